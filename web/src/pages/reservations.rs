//! Making, changing and removing reservations.

use std::net::Ipv4Addr;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use lanward_dhcp::HwAddr;

use super::frame::{Frame, Tab};
use super::{Answered, done, failed, render_as, see};
use crate::app::Shared;
use crate::flash::Deed;
use crate::form::{Field, Sent};
use crate::view::{EditError, FieldError, NetworkView, NewReservation};
use crate::visit::{Visit, safe_path};

/// What the form of a reservation holds, as typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) replaces: String,
    pub(super) network: String,
    pub(super) mac: String,
    pub(super) addr: String,
    pub(super) name: String,
    pub(super) comment: String,
}

/// The form, ready for a template.
pub(super) struct ReservationForm {
    pub(super) replaces: String,
    pub(super) networks: Vec<(String, String, bool)>,
    pub(super) network_error: Option<String>,
    pub(super) mac: Field,
    pub(super) addr: Field,
    pub(super) name: Field,
    pub(super) comment: Field,
    /// Errors that belong to no field, and whether there are any at all.
    pub(super) general: Vec<String>,
    pub(super) wrong: bool,
}

#[derive(Template)]
#[template(path = "reservation.html")]
struct Page {
    frame: Frame,
    form: ReservationForm,
}

impl Draft {
    fn of(sent: &Sent) -> Draft {
        let field = |name| sent.text(name).to_owned();
        Draft {
            replaces: field("replaces"),
            network: field("network"),
            mac: field("mac"),
            addr: field("addr"),
            name: field("name"),
            comment: field("comment"),
        }
    }

    /// What was meant; or all that is wrong with it.
    fn parse(&self) -> Result<NewReservation, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut note = |field, message| errors.push(FieldError { field, message });
        let hw = parse_mac(&self.mac).map_err(|message| note("mac", message)).ok();
        let addr = parse_addr(&self.addr).map_err(|message| note("addr", message)).ok();
        let name = parse_label(&self.name).map_err(|message| note("name", message)).ok();
        if self.comment.chars().count() > 200 {
            note("comment", "A note may have 200 characters at most.".to_owned());
        }
        match (hw, addr, name) {
            (Some(hw), Some(addr), Some(name)) if errors.is_empty() => Ok(NewReservation {
                replaces: some(&self.replaces),
                network: self.network.clone(),
                hw,
                addr,
                name,
                comment: some(&self.comment),
            }),
            _ => Err(errors),
        }
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|t| !t.is_empty())
}

/// A MAC address in any usual spelling: six pairs with `:` or `-`, three groups with `.`, or bare.
pub(crate) fn parse_mac(text: &str) -> Result<HwAddr, String> {
    let refused = || {
        format!(
            "“{}” is not a hardware address: it has six pairs of digits and letters a to f, \
             such as 02:00:5e:10:00:01.",
            shorten(text)
        )
    };
    let hex: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.' | ' ')).collect();
    if hex.len() != 12 {
        return Err(refused());
    }
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| refused())?;
    let mac = <[u8; 6]>::try_from(bytes).map_err(|_| refused())?;
    if mac[0] & 1 == 1 {
        return Err(format!("“{}” is a group address; a device never has one.", shorten(text)));
    }
    Ok(HwAddr::ethernet(mac))
}

/// An IPv4 address; the error says which rule was broken.
pub(crate) fn parse_addr(text: &str) -> Result<Ipv4Addr, String> {
    if text.is_empty() {
        return Err("Type the address the device is to have.".to_owned());
    }
    text.parse().map_err(|_| {
        let parts: Vec<&str> = text.split('.').collect();
        let too_big = parts.iter().any(|p| p.parse::<u32>().is_ok_and(|n| n > 255));
        let rule = if too_big {
            "each part goes to 255"
        } else if parts.len() != 4 {
            "it has four parts with dots between them, such as 192.168.1.20"
        } else {
            "each part is a number from 0 to 255, without zeros in front"
        };
        format!("“{}” is not an IPv4 address: {rule}.", shorten(text))
    })
}

/// One DNS label, or none.
pub(crate) fn parse_label(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if text.len() > 63 {
        return Err("A name may have 63 characters at most.".to_owned());
    }
    if text.contains('.') {
        return Err("Only the first part of the name: the domain is added by itself.".to_owned());
    }
    if !text.bytes().all(inner) || text.starts_with('-') || text.ends_with('-') {
        return Err(format!(
            "“{}” cannot be a name: use letters a to z, digits, and hyphens between them.",
            shorten(text)
        ));
    }
    Ok(Some(text.to_ascii_lowercase()))
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl ReservationForm {
    pub(super) fn new(
        draft: Draft,
        networks: &[NetworkView],
        errors: &[FieldError],
    ) -> ReservationForm {
        let known = ["network", "mac", "addr", "name", "comment"];
        let network_error: Vec<&str> =
            errors.iter().filter(|e| e.field == "network").map(|e| e.message.as_str()).collect();
        ReservationForm {
            replaces: draft.replaces,
            networks: networks
                .iter()
                .map(|n| (n.id.clone(), n.subnet.clone(), n.id == draft.network))
                .collect(),
            network_error: (!network_error.is_empty()).then(|| network_error.join(" ")),
            name: Field::text("name", "Name", draft.name).optional().mono().errors(errors),
            addr: Field::text("addr", "Address", draft.addr).mono().errors(errors),
            mac: Field::text("mac", "Hardware address", draft.mac).mono().errors(errors),
            comment: Field::text("comment", "Note", draft.comment).optional().errors(errors),
            general: errors
                .iter()
                .filter(|e| !known.contains(&e.field))
                .map(|e| e.message.clone())
                .collect(),
            wrong: !errors.is_empty(),
        }
    }
}

/// `GET /reservations/new`: for a device that has not been seen yet.
pub(crate) async fn new(State(app): State<Shared>, Extension(visit): Extension<Visit>) -> Answered {
    page(&app, &visit, StatusCode::OK, Draft::default(), &[]).await
}

/// `POST /reservations`
pub(crate) async fn save(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let draft = Draft::of(&sent);
    let before = match sent.some("replaces") {
        Some(id) => app.backend.reservations().await?.into_iter().find(|r| r.id == id),
        None => None,
    };
    let ended = match draft.parse() {
        Ok(new) => app.backend.reserve(new.clone()).await.map(|saved| (new, saved)),
        Err(errors) => Err(EditError::Fields(errors)),
    };
    match ended {
        Ok((new, saved)) => {
            let undo = match before {
                None => Some(Deed::Unreserve(saved.id)),
                Some(old) => old.hw.map(|hw| {
                    Deed::Reserve(NewReservation {
                        replaces: Some(saved.id),
                        network: old.network,
                        hw,
                        addr: old.addr,
                        name: old.name,
                        comment: old.comment,
                    })
                }),
            };
            let whose = new.name.unwrap_or_else(|| new.hw.to_string());
            let what = format!("{} is reserved for {whose}.", new.addr);
            done(&app, visit.session, &what, &saved.in_force, undo);
            Ok(see(safe_path(sent.some("back").as_deref().unwrap_or("/leases"))))
        }
        Err(EditError::Fields(errors)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            match sent.text("from").parse::<Ipv4Addr>() {
                Ok(from) => {
                    super::device::page(&app, &visit, status, from, Some(draft), &errors).await
                }
                Err(_) => page(&app, &visit, status, draft, &errors).await,
            }
        }
        Err(error) => {
            failed(&app, &visit, &error);
            Ok(see("/leases"))
        }
    }
}

/// `POST /reservations/remove`
pub(crate) async fn remove(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    match app.backend.unreserve(sent.text("id").to_owned()).await {
        Ok(removed) => {
            let what = format!("The reservation of {} is removed.", removed.was.addr);
            let deed = Deed::Reserve(NewReservation { replaces: None, ..removed.was });
            done(&app, visit.session, &what, &removed.in_force, Some(deed));
        }
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see(safe_path(sent.some("back").as_deref().unwrap_or("/leases"))))
}

async fn page(
    app: &Shared,
    visit: &Visit,
    status: StatusCode,
    draft: Draft,
    errors: &[FieldError],
) -> Answered {
    let of = app.backend.status().await?;
    let networks = app.backend.networks().await?;
    let frame = Frame::new(app, visit, "New reservation", Tab::Leases, &of);
    render_as(status, &Page { frame, form: ReservationForm::new(draft, &networks, errors) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_taken_in_any_spelling() {
        let want = HwAddr::ethernet([2, 0, 0x5e, 0x10, 0, 0xab]);
        for good in ["02:00:5e:10:00:ab", "02-00-5E-10-00-AB", "0200.5e10.00ab", "02005e1000ab"] {
            assert_eq!(parse_mac(good), Ok(want), "{good}");
        }
        for bad in ["", "02:00:5e:10:00", "02:00:5e:10:00:zz", "ü2005e1000ab", "<img src=x>"] {
            assert!(parse_mac(bad).unwrap_err().contains("six pairs"), "{bad}");
        }
        assert!(parse_mac("01:00:5e:00:00:fb").unwrap_err().contains("group address"));
    }

    #[test]
    fn address_errors_say_what_is_wrong() {
        assert_eq!(
            parse_addr("10.0.20.300").unwrap_err(),
            "“10.0.20.300” is not an IPv4 address: each part goes to 255."
        );
        assert!(parse_addr("10.0.20").unwrap_err().contains("four parts"));
        assert!(parse_addr("10.0.20.x").unwrap_err().contains("number from 0"));
        assert!(parse_addr("").unwrap_err().contains("Type the address"));
    }

    #[test]
    fn names_are_one_label() {
        assert_eq!(parse_label("Printer-2"), Ok(Some("printer-2".to_owned())));
        assert_eq!(parse_label(""), Ok(None));
        assert!(parse_label("a.home.arpa").unwrap_err().contains("domain is added"));
        for bad in ["-a", "a-", "a b", "<b>", "ü"] {
            assert!(parse_label(bad).is_err(), "{bad}");
        }
        assert!(parse_label(&"a".repeat(64)).is_err());
    }
}
