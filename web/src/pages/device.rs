//! One address: who has it, and the form that reserves it.

use std::net::Ipv4Addr;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::frame::{Frame, Tab};
use super::leases::chip;
use super::reservations::{Draft, ReservationForm};
use super::{Answered, done, failed, render_as, see};
use crate::app::Shared;
use crate::html::{Chip, Moment};
use crate::refusal::Refusal;
use crate::view::{FieldError, LeaseRow, LeaseState, ReservationView};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "device.html")]
struct Page {
    frame: Frame,
    title: String,
    addr: Ipv4Addr,
    chip: Chip,
    mac: Option<String>,
    randomised: bool,
    vendor_class: Option<String>,
    network: String,
    expires: Option<Moment>,
    last_seen: Option<Moment>,
    served_by: Option<String>,
    active: bool,
    form: ReservationForm,
    reservation: Option<ReservationView>,
    /// The reservation is for another address than this one.
    elsewhere: bool,
}

/// `GET /leases/{addr}`
pub(crate) async fn device(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    Path(addr): Path<String>,
) -> Answered {
    let Ok(addr) = addr.parse() else { return Err(Refusal::not_found()) };
    page(&app, &visit, StatusCode::OK, addr, None, &[]).await
}

/// `POST /leases/{addr}/release`
pub(crate) async fn release(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    Path(addr): Path<String>,
) -> Answered {
    let Ok(addr) = addr.parse::<Ipv4Addr>() else { return Err(Refusal::not_found()) };
    match app.backend.release(addr).await {
        Ok(force) => {
            done(&app, visit.session, &format!("The lease of {addr} is ended."), &force, None);
        }
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see("/leases"))
}

/// The page, with what was typed if the form comes back with errors.
pub(super) async fn page(
    app: &Shared,
    visit: &Visit,
    status: StatusCode,
    addr: Ipv4Addr,
    typed: Option<Draft>,
    errors: &[FieldError],
) -> Answered {
    let of = app.backend.status().await?;
    let networks = app.backend.networks().await?;
    let row = app.backend.leases().await?.into_iter().find(|row| row.addr == addr);
    let Some(row) = row else {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            format!("Nobody has {addr} at present, and it is not reserved."),
        ));
    };
    let reservation = app.backend.reservations().await?.into_iter().find(|r| belongs(r, &row));
    let draft = typed.unwrap_or_else(|| prefill(&row, reservation.as_ref()));
    let title = row.name.clone().unwrap_or_else(|| addr.to_string());
    let frame = Frame::new(app, visit, title.clone(), Tab::Leases, &of);
    let page = Page {
        title,
        addr,
        chip: chip(row.state),
        mac: row.hw.map(|hw| hw.to_string()),
        randomised: row.hw.is_some_and(|hw| hw.is_randomised()),
        expires: row.expires.map(|at| frame.ago(at)),
        last_seen: row.last_seen.map(|at| frame.ago(at)),
        active: row.state == LeaseState::Active,
        form: ReservationForm::new(draft, &networks, errors),
        elsewhere: reservation.as_ref().is_some_and(|r| r.addr != addr),
        reservation,
        vendor_class: row.vendor_class,
        network: row.network,
        served_by: row.served_by,
        frame,
    };
    render_as(status, &page)
}

/// Whether a reservation is the one of this row: by its id, else by the hardware address there.
fn belongs(reservation: &ReservationView, row: &LeaseRow) -> bool {
    match &row.reserved {
        Some(reserved) => reserved.id == reservation.id,
        None => {
            reservation.hw.is_some()
                && reservation.hw == row.hw
                && reservation.network == row.network
        }
    }
}

/// The form filled with what is known: saving it as it stands pins the device to its address.
fn prefill(row: &LeaseRow, reservation: Option<&ReservationView>) -> Draft {
    let mac = |hw: Option<lanward_dhcp::HwAddr>| hw.map_or_else(String::new, |hw| hw.to_string());
    match reservation {
        Some(r) => Draft {
            replaces: r.id.clone(),
            network: r.network.clone(),
            mac: mac(r.hw),
            addr: r.addr.to_string(),
            name: r.name.clone().unwrap_or_default(),
            comment: r.comment.clone().unwrap_or_default(),
        },
        None => Draft {
            replaces: String::new(),
            network: row.network.clone(),
            mac: mac(row.hw),
            addr: row.addr.to_string(),
            name: row.name.clone().unwrap_or_default(),
            comment: String::new(),
        },
    }
}
