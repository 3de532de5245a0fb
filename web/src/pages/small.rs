//! Small things that have no page of their own.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Answered, done, failed, see, with_cookie};
use crate::app::Shared;
use crate::flash::{Deed, Flash};
use crate::form::Sent;
use crate::view::{EditError, InForce, Severity};
use crate::visit::{Theme, Visit, safe_path};

/// `POST /theme`: remembers the colours in this browser.
pub(crate) async fn theme(sent: Sent) -> Answered {
    let theme = Theme::from_word(sent.text("theme"));
    let age = if theme == Theme::Auto { 0 } else { 31_536_000 };
    let cookie = format!("lanward_theme={}; Path=/; Max-Age={age}; SameSite=Lax", theme.word());
    Ok(with_cookie(see(safe_path(sent.text("back"))), &cookie))
}

/// `GET /healthz`: for programs that send devices to this host or away from it. 200 while it
/// answers DNS, else 503; the body says why.
pub(crate) async fn health(State(app): State<Shared>) -> Response {
    let health = app.backend.health();
    let code = if health.is_well() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{}\n", health.sentence())).into_response()
}

/// `POST /undo`: does the opposite of the last edit.
pub(crate) async fn undo(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let token = sent.text("undo");
    let deed = visit
        .session
        .and_then(|session| app.flashes.look(session, |f| Flash::take_undo(f, token)))
        .flatten();
    let back = safe_path(sent.text("back")).to_owned();
    let Some(deed) = deed else {
        let flash = Flash::new(Severity::Info, "There is nothing left to undo.");
        super::leave(&app, visit.session, flash);
        return Ok(see(&back));
    };
    match carry_out(&app, deed).await {
        Ok(force) => done(&app, visit.session, "Undone.", &force, None),
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see(&back))
}

async fn carry_out(app: &Shared, deed: Deed) -> Result<InForce, EditError> {
    let backend = &app.backend;
    match deed {
        Deed::Reserve(new) => backend.reserve(new).await.map(|saved| saved.in_force),
        Deed::Unreserve(id) => backend.unreserve(id).await.map(|removed| removed.in_force),
        Deed::AddList(new) => backend.add_list(new).await.map(|saved| saved.in_force),
        Deed::RemoveList(id) => backend.remove_list(id).await.map(|removed| removed.in_force),
        Deed::Undo(change) => backend.undo(change).await,
        Deed::SetList(id, on) => backend.set_list_enabled(id, on).await,
    }
}
