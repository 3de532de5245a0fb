//! The first run: whoever knows the code from the host's terminal becomes the owner.

#![allow(clippy::disallowed_methods, reason = "a shell: tries are timed by the system's clock")]

use std::time::Instant;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Answered, leave, render_as, see};
use crate::app::Shared;
use crate::assets;
use crate::auth::{ClaimRefusal, password};
use crate::flash::Flash;
use crate::form::{Field, Sent};
use crate::pages::login::{begin, seconds, wait};
use crate::view::{FieldError, Severity};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "setup.html")]
struct Page {
    css: &'static str,
    js: &'static str,
    icon: &'static str,
    theme: &'static str,
    problem: Option<String>,
    code: Field,
    password: Field,
    again: Field,
}

/// `GET /setup`
pub(crate) async fn setup_form(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
) -> Answered {
    if app.backend.owner_password_hash().await?.is_some() {
        return Ok(see("/login"));
    }
    // Draws and announces a code if none is good.
    let _ = app.claim.current();
    page(StatusCode::OK, &visit, "", None, &[])
}

/// `POST /setup`
pub(crate) async fn setup(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    if app.backend.owner_password_hash().await?.is_some() {
        return Ok(see("/login"));
    }
    let (code, chosen) = (sent.text("code"), sent.raw("password"));
    if let Some(left) = wait(&app, visit.client) {
        let problem =
            format!("Too many wrong codes from this device. Try again in {}.", seconds(left));
        return page(StatusCode::TOO_MANY_REQUESTS, &visit, code, Some(problem), &[]);
    }
    // The password first: a code is good for one use and should not be lost to a typing error.
    let mut errors = Vec::new();
    if let Err(message) = password::check(chosen) {
        errors.push(FieldError { field: "password", message });
    } else if chosen != sent.raw("again") {
        let message = "The two passwords are not the same.".to_owned();
        errors.push(FieldError { field: "again", message });
    }
    if code.is_empty() {
        let message = "Type the code that the host printed.".to_owned();
        errors.push(FieldError { field: "code", message });
    }
    if !errors.is_empty() {
        return page(StatusCode::UNPROCESSABLE_ENTITY, &visit, code, None, &errors);
    }
    app.delays.tried(Instant::now(), visit.client);
    if let Err(refusal) = app.claim.redeem(code) {
        let message = match refusal {
            ClaimRefusal::Wrong { tries_left: 1 } => {
                "That is not the code. One more try; then the host prints a new one.".to_owned()
            }
            ClaimRefusal::Wrong { tries_left } => {
                format!(
                    "That is not the code. {tries_left} more tries; then the host prints a new one."
                )
            }
            ClaimRefusal::Renewed => {
                "That code is not good any more. The host has printed a new one.".to_owned()
            }
        };
        let errors = [FieldError { field: "code", message }];
        return page(StatusCode::UNPROCESSABLE_ENTITY, &visit, code, None, &errors);
    }
    app.delays.right(visit.client);
    claimed(&app, &visit, chosen.to_owned()).await
}

async fn claimed(
    app: &Shared,
    visit: &Visit,
    chosen: String,
) -> Result<Response, crate::refusal::Refusal> {
    let Some(phc) = app.passwords.hash(chosen).await else {
        let problem = "The password could not be stored. Try again.".to_owned();
        return page(StatusCode::SERVICE_UNAVAILABLE, visit, "", Some(problem), &[]);
    };
    let force = app.backend.set_owner_password_hash(phc).await?;
    let (response, session) = begin(app, visit, "/").await?;
    let text = format!("This household is yours now. {}", force.sentence());
    leave(app, Some(session), Flash::new(Severity::Ok, text));
    Ok(response)
}

fn page(
    status: StatusCode,
    visit: &Visit,
    code: &str,
    problem: Option<String>,
    errors: &[FieldError],
) -> Answered {
    let length = format!(
        "{} characters or more. A few words are easier than a puzzle.",
        password::MIN_CHARS
    );
    render_as(
        status,
        &Page {
            css: assets::css(),
            js: assets::js(),
            icon: assets::icon(),
            theme: visit.theme.word(),
            problem,
            code: Field::text("code", "Claim code", code)
                .hint("Eight characters, printed by Lanward when it started.")
                .mono()
                .errors(errors),
            password: Field::password("password", "Choose a password", "new-password")
                .hint(length)
                .errors(errors),
            again: Field::password("again", "The same password again", "new-password")
                .errors(errors),
        },
    )
}
