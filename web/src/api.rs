//! The same as JSON, under `/api/v1`. Errors are problem documents (RFC 9457).

use std::net::Ipv4Addr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::Shared;
use crate::form::Sent;
use crate::lease_table::Query;
use crate::pages;
use crate::refusal::Refusal;
use crate::routes::query_pairs;
use crate::view::{
    EditError, FieldError, LeaseRow, PairStatus, PauseView, Status, Unavailable, WhyQuestion,
};

mod changes;
mod lists;
mod queries;
mod reservations;

pub(crate) use changes::{changes, conflicts, forget, pause, pauses, resume, revert, settle};
pub(crate) use lists::{
    accept_list, add_list, encrypted, lists, patch_list, remove_list, update_all, update_list,
};
pub(crate) use queries::{forget_queries, make_rule, queries, statistics};
pub(crate) use reservations::{release, reservations, reserve, unreserve};

/// A refusal that answers as a problem document.
pub(crate) struct Problem(Refusal);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.answer(true)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        Problem(refusal)
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Problem {
        Problem(error.into())
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Problem {
        Problem(error.into())
    }
}

type Answered<T> = Result<T, Problem>;

/// Reads a JSON body. The media type is asked for because a form of another site cannot send it.
fn body<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Answered<T> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send the body as application/json.",
        )
        .into());
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("The body cannot be read: {error}.")).into()
    })
}

fn wrong(errors: Vec<FieldError>) -> Problem {
    EditError::Fields(errors).into()
}

/// `GET /api/v1/status`
pub(crate) async fn status(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.status().await?).into_response())
}

/// The pair with the words for it.
#[derive(Serialize)]
struct Ha {
    tone: &'static str,
    icon: &'static str,
    headline: String,
    sentence: String,
    dots: Vec<Dot>,
    /// Who is not filtered at present: the pages keep their countdown by it.
    pauses: Vec<PauseView>,
    #[serde(flatten)]
    pair: PairStatus,
}

#[derive(Serialize)]
struct Dot {
    name: String,
    tone: &'static str,
    word: &'static str,
}

/// Events in one answer.
const LOG: usize = 1000;

/// `GET /api/v1/ha`
pub(crate) async fn ha(State(app): State<Shared>) -> Answered<Response> {
    let Status { pair, pauses, .. } = app.backend.status().await?;
    let mark = crate::pages::pair_mark(&app, &pair);
    let dots = mark
        .dots
        .into_iter()
        .map(|dot| Dot { name: dot.name, tone: dot.tone, word: dot.word })
        .collect();
    let ha = Ha {
        tone: mark.tone,
        icon: mark.icon.0,
        headline: mark.headline,
        sentence: mark.sentence,
        dots,
        pauses,
        pair,
    };
    Ok(Json(ha).into_response())
}

/// `GET /api/v1/ha/log`: what happened to the two hosts, the latest first.
pub(crate) async fn ha_log(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.pair_log(LOG).await?).into_response())
}

/// `GET /api/v1/networks`
pub(crate) async fn networks(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.networks().await?).into_response())
}

/// `GET /api/v1/names`
pub(crate) async fn names(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.names().await?).into_response())
}

/// `GET /api/v1/policies`
pub(crate) async fn policies(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.policies().await?).into_response())
}

#[derive(Serialize)]
struct Leases {
    leases: Vec<LeaseRow>,
    total: usize,
    page: usize,
    pages: usize,
}

/// `GET /api/v1/leases?q=&network=&state=&sort=&page=&per_page=`
pub(crate) async fn leases(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
) -> Answered<Response> {
    let query = Query::from_pairs(&query_pairs(query.as_deref()));
    let rows = query.apply(app.backend.leases().await?);
    let page = query.page.min(rows.pages);
    let leases = Leases { leases: rows.rows, total: rows.total, page, pages: rows.pages };
    Ok(Json(leases).into_response())
}

/// `GET /api/v1/why/{name}?policy=`
pub(crate) async fn why(
    State(app): State<Shared>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered<Response> {
    let policy = Sent::new(query_pairs(query.as_deref())).some("policy");
    let name = match pages::understand(&name) {
        Ok(pages::Asked::Name(name)) => name,
        Ok(pages::Asked::Device(_)) => {
            let message = "This is an address, not a domain name.".to_owned();
            return Err(wrong(vec![FieldError { field: "name", message }]));
        }
        Err(message) => return Err(wrong(vec![FieldError { field: "name", message }])),
    };
    Ok(Json(app.backend.why(WhyQuestion { name, policy, client: None }).await?).into_response())
}
