//! The history, collisions and pauses as JSON.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::*;
use crate::view::{NewPause, PauseLength, PauseScope};

/// Changes told, unless another number is asked for; and at most.
const USUAL: usize = 100;
const MOST: usize = 500;

/// `GET /api/v1/changes?limit=`
pub(crate) async fn changes(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
) -> Answered<Response> {
    let limit = Sent::new(query_pairs(query.as_deref())).text("limit").parse().unwrap_or(USUAL);
    Ok(Json(app.backend.changes(limit.min(MOST)).await?).into_response())
}

/// `POST /api/v1/changes/{id}/revert`
pub(crate) async fn revert(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Answered<Response> {
    Ok(Json(app.backend.undo(id).await?).into_response())
}

/// `GET /api/v1/conflicts`
pub(crate) async fn conflicts(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.collisions().await?).into_response())
}

/// `DELETE /api/v1/cache?name=&below=`: everything, where no name is given.
pub(crate) async fn forget(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
) -> Answered<Response> {
    let sent = Sent::new(query_pairs(query.as_deref()));
    let below = match sent.text("below") {
        "" | "false" => false,
        "true" => true,
        _ => {
            let message = "Write true or false.".to_owned();
            return Err(wrong(vec![FieldError { field: "below", message }]));
        }
    };
    let forgotten = app.backend.forget_answers(sent.some("name"), below).await?;
    Ok(Json(serde_json::json!({ "forgotten": forgotten })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    key: String,
    value: String,
}

/// `POST /api/v1/conflicts/settle`
pub(crate) async fn settle(
    State(app): State<Shared>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answered<Response> {
    let choice: Choice = body(&headers, &bytes)?;
    Ok(Json(app.backend.settle(choice.key, choice.value).await?).into_response())
}

/// `GET /api/v1/pause`
pub(crate) async fn pauses(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.status().await?.pauses).into_response())
}

/// The body of a new pause: with neither `secs` nor `until`, until somebody ends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    #[serde(default = "everybody")]
    scope: String,
    secs: Option<u64>,
    /// RFC 3339.
    until: Option<String>,
}

fn everybody() -> String {
    "all".to_owned()
}

fn scope(text: &str) -> Answered<PauseScope> {
    PauseScope::parse(text).ok_or_else(|| {
        let message = "Use all, network/ID or device/ADDRESS.".to_owned();
        wrong(vec![FieldError { field: "scope", message }])
    })
}

/// `POST /api/v1/pause`
pub(crate) async fn pause(
    State(app): State<Shared>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answered<Response> {
    let new: Pause = body(&headers, &bytes)?;
    let until: Option<Timestamp> = match new.until.as_deref().map(str::parse).transpose() {
        Ok(until) => until,
        Err(_) => {
            let message = "Write a time such as 2026-11-20T18:00:00Z.".to_owned();
            return Err(wrong(vec![FieldError { field: "until", message }]));
        }
    };
    let length = match (new.secs, until) {
        (Some(secs), None) => PauseLength::For(Duration::from_secs(secs)),
        (None, Some(until)) => PauseLength::Until(until),
        (None, None) => PauseLength::UntilResumed,
        (Some(_), Some(_)) => {
            let message = "Give a length or an end, not both.".to_owned();
            return Err(wrong(vec![FieldError { field: "until", message }]));
        }
    };
    let new = NewPause { scope: scope(&new.scope)?, length };
    Ok(Json(app.backend.pause(new).await?).into_response())
}

/// `DELETE /api/v1/pause?scope=`: everything, where no scope is given.
pub(crate) async fn resume(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
) -> Answered<Response> {
    let only = Sent::new(query_pairs(query.as_deref())).some("scope");
    let only = only.as_deref().map(scope).transpose()?;
    Ok(Json(app.backend.resume(only).await?).into_response())
}
