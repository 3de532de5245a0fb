//! The history of questions as a file for spreadsheets.

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use jiff::SignedDuration;

use super::Answered;
use crate::app::Shared;
use crate::refusal::Refusal;
use crate::routes::query_pairs;
use crate::view::{EditError, FieldError};
use crate::{csv, query_address};

/// Rows of a file, those asked for at once, and how long it may take to gather them.
const ROWS: usize = 10_000;
const AT_ONCE: usize = 200;
const TIME: SignedDuration = SignedDuration::from_secs(10);

/// `GET /queries.csv`, with the same fields: the newest rows, so many at most.
pub(crate) async fn queries_csv(State(app): State<Shared>, RawQuery(query): RawQuery) -> Answered {
    let refuse = |errors: Vec<FieldError>| {
        let text = errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join(" ");
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    };
    let mut question = query_address::read(&query_pairs(query.as_deref())).map_err(refuse)?;
    question.limit = Some(AT_ONCE);
    let begun = app.backend.now();
    let (mut out, mut left) = (csv::HEAD.to_owned(), ROWS);
    while left > 0 {
        let answer = match app.backend.queries(question.clone()).await {
            Ok(answer) => answer,
            Err(EditError::Fields(errors)) => return Err(refuse(errors)),
            Err(error) => {
                return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()));
            }
        };
        for row in answer.queries.iter().take(left) {
            csv::push(&mut out, row);
        }
        left = left.saturating_sub(answer.queries.len());
        let known = question.before.replace(answer.next.clone().unwrap_or_default());
        if answer.next.is_none()
            || question.before == known
            || app.backend.now().duration_since(begun) > TIME
        {
            break;
        }
    }
    let head = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"lanward-queries.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((head, out).into_response())
}
