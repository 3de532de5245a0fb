//! Forms: what was sent, and fields with their label, hint, value and error.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequest, Request};
use axum::http::StatusCode;

use crate::refusal::Refusal;
use crate::view::FieldError;

/// The pairs of a submitted form; fields we do not know are ignored.
pub(crate) struct Sent(Vec<(String, String)>);

impl Sent {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Sent {
        Sent(pairs)
    }

    /// The field's text without spaces around it; empty when it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The field as sent: passwords may begin with a space.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
    }

    /// The field's text, unless it is empty.
    pub(crate) fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|t| !t.is_empty()).map(str::to_owned)
    }

    /// All values of a field that may be ticked more than once.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Sent, Refusal> {
        let form: Result<Form<Vec<(String, String)>>, FormRejection> =
            Form::from_request(request, state).await;
        match form {
            Ok(Form(pairs)) => Ok(Sent(pairs)),
            Err(error) => Err(Refusal::new(
                match error.status() {
                    StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                    status => status,
                },
                "The form could not be read.",
            )),
        }
    }
}

/// One line of a form.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/field.html")]
pub(crate) struct Field {
    id: &'static str,
    name: &'static str,
    label: &'static str,
    hint: String,
    value: String,
    error: Option<String>,
    kind: &'static str,
    autocomplete: &'static str,
    required: bool,
    mono: bool,
}
impl HtmlSafe for Field {}

impl Field {
    /// A required line of text.
    pub(crate) fn text(name: &'static str, label: &'static str, value: impl Into<String>) -> Field {
        Field {
            id: name,
            name,
            label,
            hint: String::new(),
            value: value.into(),
            error: None,
            kind: "text",
            autocomplete: "off",
            required: true,
            mono: false,
        }
    }

    /// A password; its value is never sent back.
    pub(crate) fn password(
        name: &'static str,
        label: &'static str,
        autocomplete: &'static str,
    ) -> Field {
        Field { kind: "password", autocomplete, ..Field::text(name, label, "") }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Field {
        self.hint = hint.into();
        self
    }

    /// An id of its own, where another form of the page has a field of the same name.
    pub(crate) fn id(mut self, id: &'static str) -> Field {
        self.id = id;
        self
    }

    pub(crate) fn optional(mut self) -> Field {
        self.required = false;
        self
    }

    pub(crate) fn mono(mut self) -> Field {
        self.mono = true;
        self
    }

    /// Takes the errors that name this field.
    pub(crate) fn errors(mut self, errors: &[FieldError]) -> Field {
        let mine: Vec<&str> =
            errors.iter().filter(|e| e.field == self.name).map(|e| e.message.as_str()).collect();
        self.error = (!mine.is_empty()).then(|| mine.join(" "));
        self
    }

    fn describedby(&self) -> String {
        let mut ids = Vec::new();
        if !self.hint.is_empty() {
            ids.push(format!("{}-hint", self.id));
        }
        if self.error.is_some() {
            ids.push(format!("{}-error", self.id));
        }
        ids.join(" ")
    }
}
