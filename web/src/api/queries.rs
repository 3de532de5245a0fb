//! The history of questions.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Answered, body, wrong};
use crate::app::Shared;
use crate::form::Sent;
use crate::query_address;
use crate::routes::query_pairs;
use crate::view::{FieldError, ForgetOrder, NewRule};

/// `GET /api/v1/queries?device=&verdict=blocked&not_type=PTR&from=&to=&before=&after=&limit=`:
/// [`crate::view::QueryFilter`] says what the fields mean; `not_` before one leaves out what fits.
pub(crate) async fn queries(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
) -> Answered<Response> {
    let question = query_address::read(&query_pairs(query.as_deref())).map_err(wrong)?;
    Ok(Json(app.backend.queries(question).await?).into_response())
}

/// `GET /api/v1/statistics?hours=24`
pub(crate) async fn statistics(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
) -> Answered<Response> {
    let hours = Sent::new(query_pairs(query.as_deref())).some("hours");
    let hours = hours.map_or(Ok(24), |hours| hours.parse()).map_err(|_| {
        wrong(vec![FieldError { field: "hours", message: "Write a number of hours.".into() }])
    })?;
    Ok(Json(app.backend.statistics(hours).await?).into_response())
}

/// `POST /api/v1/rules` with `{"allow": true, "name": "..", "policy": ".."}`.
pub(crate) async fn make_rule(
    State(app): State<Shared>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answered<Response> {
    let new: NewRule = body(&headers, &bytes)?;
    Ok((StatusCode::CREATED, Json(app.backend.make_rule(new).await?)).into_response())
}

/// `POST /api/v1/queries/forget?from=&to=` with `{"device": ".."}`, `{"domain": ".."}` or
/// `"everything"`; without times, of all times.
pub(crate) async fn forget_queries(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answered<Response> {
    let order: ForgetOrder = body(&headers, &bytes)?;
    let pairs = query_pairs(query.as_deref());
    // A slip must not make it forget more than was meant.
    if pairs.iter().any(|(field, _)| !matches!(field.as_str(), "from" | "to")) {
        let message = "Only from and to can be given.".into();
        return Err(wrong(vec![FieldError { field: "from", message }]));
    }
    let filter = query_address::read(&pairs).map_err(wrong)?.filter;
    let forgotten = app.backend.forget(order, filter.from_ms, filter.to_ms).await?;
    Ok(Json(forgotten).into_response())
}
