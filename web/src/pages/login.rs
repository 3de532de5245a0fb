//! Logging in and out.

#![allow(clippy::disallowed_methods, reason = "a shell: tries are timed by the system's clock")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::{Answered, render_as, see, with_cookie};
use crate::app::App;
use crate::app::Shared;
use crate::assets;
use crate::auth::{SessionId, sessions};
use crate::form::{Field, Sent};
use crate::refusal::Refusal;
use crate::view::FieldError;
use crate::visit::{Visit, safe_path};

#[derive(Template)]
#[template(path = "login.html")]
struct Page {
    css: &'static str,
    js: &'static str,
    icon: &'static str,
    theme: &'static str,
    household: String,
    node: String,
    next: String,
    password: Field,
}

/// `GET /login`
pub(crate) async fn login_form(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    RawQuery(query): RawQuery,
) -> Answered {
    let pairs = crate::routes::query_pairs(query.as_deref());
    let next = safe_path(Sent::new(pairs).text("next")).to_owned();
    if visit.session.is_some() {
        return Ok(see(&next));
    }
    if app.backend.owner_password_hash().await?.is_none() {
        return Ok(see("/setup"));
    }
    page(&app, &visit, StatusCode::OK, next, &[]).await
}

/// `POST /login`
pub(crate) async fn login(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let next = safe_path(sent.text("next")).to_owned();
    let Some(phc) = app.backend.owner_password_hash().await? else { return Ok(see("/setup")) };
    if let Some(left) = wait(&app, visit.client) {
        let message =
            format!("Too many wrong passwords from this device. Try again in {}.", seconds(left));
        let errors = [FieldError { field: "password", message }];
        let mut response = page(&app, &visit, StatusCode::TOO_MANY_REQUESTS, next, &errors).await?;
        let secs = left.as_secs().max(1);
        response.headers_mut().insert(header::RETRY_AFTER, secs.into());
        return Ok(response);
    }
    app.delays.tried(Instant::now(), visit.client);
    if !app.passwords.verify(sent.raw("password").to_owned(), phc).await {
        let message = "That is not the password. If it is lost, run “lanward passwd” on the host.";
        let errors = [FieldError { field: "password", message: message.to_owned() }];
        return page(&app, &visit, StatusCode::UNAUTHORIZED, next, &errors).await;
    }
    app.delays.right(visit.client);
    Ok(begin(&app, &visit, &next).await?.0)
}

/// `POST /logout`
pub(crate) async fn logout(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
) -> Answered {
    if let Some(session) = visit.session {
        app.flashes.forget(session);
        app.backend.end_session(session).await?;
    }
    Ok(logged_out(&visit))
}

/// `POST /logout/everywhere`
pub(crate) async fn logout_everywhere(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
) -> Answered {
    app.backend.end_all_sessions().await?;
    Ok(logged_out(&visit))
}

fn logged_out(visit: &Visit) -> Response {
    let gone = format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax", visit.cookie);
    with_cookie(see("/login"), &gone)
}

/// Begins a session and goes on to `next`. A session the browser had before ends: an id that was
/// planted is worth nothing.
pub(super) async fn begin(
    app: &App,
    visit: &Visit,
    next: &str,
) -> Result<(Response, SessionId), Refusal> {
    if let Some(old) = visit.session {
        app.flashes.forget(old);
        app.backend.end_session(old).await?;
    }
    let (text, id) = sessions::draw();
    app.backend.begin_session(id).await?;
    let age = sessions::ABSOLUTE.as_secs();
    let cookie = format!("{}={text}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax", visit.cookie);
    Ok((with_cookie(see(next), &cookie), id))
}

/// How long this client has to wait before its next try, if it has to.
pub(super) fn wait(app: &App, client: IpAddr) -> Option<Duration> {
    Some(app.delays.wait(Instant::now(), client)).filter(|left| !left.is_zero())
}

/// Rounded up: who comes back after so long gets in.
pub(super) fn seconds(left: Duration) -> String {
    format!("{} s", left.as_millis().div_ceil(1000))
}

async fn page(
    app: &App,
    visit: &Visit,
    status: StatusCode,
    next: String,
    errors: &[FieldError],
) -> Answered {
    let of = app.backend.status().await?;
    render_as(
        status,
        &Page {
            css: assets::css(),
            js: assets::js(),
            icon: assets::icon(),
            theme: visit.theme.word(),
            household: of.household,
            node: of.pair.own.name,
            next,
            password: Field::password("password", "Password", "current-password").errors(errors),
        },
    )
}
