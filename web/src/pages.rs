//! The pages: HTML made on the server, complete without JavaScript.

mod day;
mod device;
mod frame;
mod leases;
mod lists;
mod login;
mod names;
mod overview;
mod pause;
mod queries;
mod query_file;
mod reservations;
mod rules;
mod setup;
mod small;
mod system;
mod upstreams;
mod why;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use crate::app::App;
use crate::auth::SessionId;
use crate::flash::{Deed, Flash};
use crate::refusal::Refusal;
use crate::view::{InForce, PairStatus, Severity};
use crate::visit::Visit;

pub(crate) use device::{device, release};
pub(crate) use frame::PairMark;
pub(crate) use leases::leases;
pub(crate) use lists::{
    accept, add, check_source, lists, name_of, remove as remove_list, switch, update,
};
pub(crate) use login::{login, login_form, logout, logout_everywhere};
pub(crate) use names::names;
pub(crate) use overview::overview;
pub(crate) use pause::{pause, resume};
pub(crate) use queries::queries;
pub(crate) use query_file::queries_csv;
pub(crate) use reservations::{
    new as new_reservation, parse_addr, parse_label, parse_mac, remove as remove_reservation, save,
};
pub(crate) use rules::make_rule;
pub(crate) use setup::{setup, setup_form};
pub(crate) use small::{health, theme, undo};
pub(crate) use system::{authority, pair_order, settle, system, undo_change};
pub(crate) use why::{Asked, forget_answers, understand, why};

type Answered = Result<Response, Refusal>;

fn render(page: &impl Template) -> Answered {
    render_as(StatusCode::OK, page)
}

fn render_as(status: StatusCode, page: &impl Template) -> Answered {
    match page.render() {
        Ok(html) => Ok((status, Html(html)).into_response()),
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "This page could not be made."))
        }
    }
}

/// The pair's mark as every page shows it.
pub(crate) fn pair_mark(app: &App, pair: &PairStatus) -> PairMark {
    PairMark::new(pair, app.backend.now(), &app.zone)
}

/// Goes on to `path` with a GET.
fn see(path: &str) -> Response {
    Redirect::to(path).into_response()
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Leaves the message of a done edit, with what would undo it.
fn done(app: &App, session: Option<SessionId>, what: &str, force: &InForce, undo: Option<Deed>) {
    let severity = match force {
        InForce::Here | InForce::BothHosts => Severity::Ok,
        InForce::PartnerLater { .. } | InForce::Staged { .. } => Severity::Info,
    };
    let mut flash = Flash::new(severity, format!("{what} {}", force.sentence()));
    if let Some(deed) = undo {
        flash = flash.undo(deed);
    }
    leave(app, session, flash);
}

/// Leaves the message of an edit that could not be done.
fn failed(app: &App, visit: &Visit, error: &crate::view::EditError) {
    leave(app, visit.session, Flash::new(Severity::Bad, error.to_string()));
}

fn leave(app: &App, session: Option<SessionId>, flash: Flash) {
    if let Some(session) = session {
        app.flashes.leave(session, flash);
    }
}
