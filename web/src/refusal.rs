//! Requests that are not done: a page for people, a problem document (RFC 9457) for programs.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use crate::assets;
use crate::view::{EditError, FieldError, Unavailable};

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    pub(crate) fields: Vec<FieldError>,
    pub(crate) retry_after_secs: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Refusal {
        Refusal { status, detail: detail.into(), fields: Vec::new(), retry_after_secs: None }
    }

    pub(crate) fn not_found() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "There is no such page.")
    }

    fn title(&self) -> &'static str {
        match self.status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Refused",
            StatusCode::MISDIRECTED_REQUEST => "Unknown host name",
            StatusCode::UNAUTHORIZED => "Log in first",
            StatusCode::SERVICE_UNAVAILABLE => "Not available at present",
            StatusCode::TOO_MANY_REQUESTS => "Too many tries",
            StatusCode::UNPROCESSABLE_ENTITY => "Some fields are wrong",
            other => other.canonical_reason().unwrap_or("Error"),
        }
    }

    /// As JSON, or as a page.
    pub(crate) fn answer(&self, api: bool) -> Response {
        let mut response = if api { self.problem() } else { self.page() };
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }

    fn problem(&self) -> Response {
        #[derive(Serialize)]
        struct Problem<'a> {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        let body = serde_json::to_vec(&Problem {
            r#type: "about:blank",
            title: self.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.fields,
        })
        .unwrap_or_default();
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }

    fn page(&self) -> Response {
        #[derive(Template)]
        #[template(path = "refusal.html")]
        struct Page<'a> {
            title: &'static str,
            detail: &'a str,
            status: u16,
            css: &'static str,
        }
        let page = Page {
            title: self.title(),
            detail: &self.detail,
            status: self.status.as_u16(),
            css: assets::css(),
        };
        match page.render() {
            Ok(html) => (self.status, Html(html)).into_response(),
            Err(_) => self.status.into_response(),
        }
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.0)
    }
}

impl From<EditError> for Refusal {
    fn from(error: EditError) -> Refusal {
        let detail = error.to_string();
        match error {
            EditError::Fields(fields) => {
                Refusal { fields, ..Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
            }
            EditError::NotFound(_) => Refusal::new(StatusCode::NOT_FOUND, detail),
            EditError::Locked(_) | EditError::Refused(_) => {
                Refusal::new(StatusCode::CONFLICT, detail)
            }
            EditError::Unavailable(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail),
        }
    }
}

/// Page handlers answer with a page; `?` refuses with one.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.answer(false)
    }
}
