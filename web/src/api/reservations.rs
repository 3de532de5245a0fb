//! Reservations and releases as JSON.

use serde::Deserialize;

use super::*;
use crate::pages::{parse_addr, parse_label, parse_mac};
use crate::view::NewReservation;

/// `GET /api/v1/reservations`
pub(crate) async fn reservations(State(app): State<Shared>) -> Answered<Response> {
    Ok(Json(app.backend.reservations().await?).into_response())
}

/// The body of a new reservation, or, with `replaces`, of a changed one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    replaces: Option<String>,
    network: String,
    mac: String,
    addr: String,
    name: Option<String>,
    comment: Option<String>,
}

impl Body {
    fn parse(self) -> Result<NewReservation, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut note = |field, message| errors.push(FieldError { field, message });
        let hw = parse_mac(&self.mac).map_err(|m| note("mac", m)).ok();
        let addr = parse_addr(&self.addr).map_err(|m| note("addr", m)).ok();
        let name = self.name.as_deref().unwrap_or_default();
        let name = parse_label(name).map_err(|m| note("name", m)).ok();
        match (hw, addr, name) {
            (Some(hw), Some(addr), Some(name)) => Ok(NewReservation {
                replaces: self.replaces,
                network: self.network,
                hw,
                addr,
                name,
                comment: self.comment.filter(|c| !c.is_empty()),
            }),
            _ => Err(errors),
        }
    }
}

/// `POST /api/v1/reservations`
pub(crate) async fn reserve(
    State(app): State<Shared>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answered<Response> {
    let new = body::<Body>(&headers, &bytes)?.parse().map_err(wrong)?;
    let saved = app.backend.reserve(new).await?;
    Ok((StatusCode::CREATED, Json(saved)).into_response())
}

/// `DELETE /api/v1/reservations/{id}`
pub(crate) async fn unreserve(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Answered<Response> {
    Ok(Json(app.backend.unreserve(id).await?.in_force).into_response())
}

/// `POST /api/v1/leases/{addr}/release`
pub(crate) async fn release(
    State(app): State<Shared>,
    Path(addr): Path<String>,
) -> Answered<Response> {
    let addr: Ipv4Addr =
        parse_addr(&addr).map_err(|message| wrong(vec![FieldError { field: "addr", message }]))?;
    Ok(Json(app.backend.release(addr).await?).into_response())
}
