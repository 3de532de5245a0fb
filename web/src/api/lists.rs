//! Lists as JSON.

use serde::Deserialize;

use super::*;
use crate::pages::{check_source, name_of};
use crate::view::{ListKind, NewList};

/// `GET /api/v1/encrypted`
pub(crate) async fn encrypted(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.encrypted(false).await?).into_response())
}

/// `GET /api/v1/lists`
pub(crate) async fn lists(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.lists().await?).into_response())
}

/// The body of a new list. Without `policies`, every policy uses it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    id: Option<String>,
    name: Option<String>,
    source: String,
    #[serde(default)]
    kind: Kind,
    policies: Option<Vec<String>>,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Block,
    Allow,
}

fn yes() -> bool {
    true
}

/// `POST /api/v1/lists`
pub(crate) async fn add_list(
    State(app): State<Shared>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answered<Response> {
    let body: Body = body(&headers, &bytes)?;
    check_source(&body.source)
        .map_err(|message| wrong(vec![FieldError { field: "source", message }]))?;
    let policies = match body.policies {
        Some(chosen) => chosen,
        None => app.backend.policies().await?.into_iter().map(|p| p.id).collect(),
    };
    let name = body.name.filter(|n| !n.is_empty()).unwrap_or_else(|| name_of(&body.source));
    let kind = match body.kind {
        Kind::Block => ListKind::Block,
        Kind::Allow => ListKind::Allow,
    };
    let new =
        NewList { id: body.id, name, source: body.source, kind, policies, enabled: body.enabled };
    Ok((StatusCode::CREATED, Json(app.backend.add_list(new).await?)).into_response())
}

/// What of a list can be changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    enabled: bool,
}

/// `PATCH /api/v1/lists/{id}`
pub(crate) async fn patch_list(
    State(app): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answered<Response> {
    let patch: Patch = body(&headers, &bytes)?;
    Ok(Json(app.backend.set_list_enabled(id, patch.enabled).await?).into_response())
}

/// `DELETE /api/v1/lists/{id}`
pub(crate) async fn remove_list(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Answered<Response> {
    Ok(Json(app.backend.remove_list(id).await?.in_force).into_response())
}

/// `POST /api/v1/lists/update`: all of them; how it goes on is in `GET /api/v1/lists`.
pub(crate) async fn update_all(State(app): State<Shared>) -> Answered<Response> {
    app.backend.update_list(None).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `POST /api/v1/lists/{id}/update`
pub(crate) async fn update_list(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Answered<Response> {
    app.backend.update_list(Some(id)).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `POST /api/v1/lists/{id}/accept`: takes the version that is held back.
pub(crate) async fn accept_list(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Answered<Response> {
    Ok(Json(app.backend.accept_held(id).await?).into_response())
}
