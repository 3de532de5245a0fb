//! The household's history: who changed what, undo, and edits that wait for a choice.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::IntoResponse as _;

use super::frame::{Frame, Tab};
use super::{Answered, done, failed, render, see, upstreams};
use crate::app::Shared;
use crate::flash::Flash;
use crate::form::Sent;
use crate::html::Moment;
use crate::refusal::Refusal;
use crate::routes::query_pairs;
use crate::view::{
    ChangeRow, CollisionRow, Condition, Deed, EncryptedView, PairEvent, PairOrder, PairStatus,
    Severity,
};
use crate::visit::Visit;

/// Changes on the page, unless more are asked for.
const SHOWN: usize = 50;
/// Events of the two hosts on it.
const EVENTS: usize = 30;
/// Changes there can be on it.
const MOST: usize = 500;
/// Fields shown of one record; the rest are counted.
const FIELDS: usize = 8;

#[derive(Template)]
#[template(path = "system.html")]
struct Page {
    frame: Frame,
    collisions: Vec<Collision>,
    changes: Vec<Change>,
    pair: Pair,
    upstreams: Vec<upstreams::Line>,
    encrypted: EncryptedView,
    /// There may be more of them.
    more: bool,
}

/// The two hosts: how they stand, what may be told them, what happened.
struct Pair {
    sentence: String,
    next: Option<String>,
    own: String,
    partner: Option<String>,
    /// What may be told now.
    may_pause: bool,
    may_resume: bool,
    may_say_off: bool,
    events: Vec<Event>,
}

struct Event {
    at: Moment,
    what: String,
    why: String,
}

struct Collision {
    key: String,
    what: String,
    values: Vec<Value>,
}

struct Value {
    id: String,
    in_force: bool,
    whose: String,
    at: Option<Moment>,
    fields: Vec<(String, String)>,
    more: usize,
}

struct Change {
    id: String,
    anchor: String,
    at: Moment,
    author: String,
    host: String,
    undoes: Option<String>,
    records: Vec<Record>,
    cannot_undo: Option<String>,
}

struct Record {
    what: String,
    word: &'static str,
    fields: Vec<(String, String, String)>,
    more: usize,
}

/// `GET /system`
pub(crate) async fn system(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    RawQuery(query): RawQuery,
) -> Answered {
    let all = Sent::new(query_pairs(query.as_deref())).text("changes") == "all";
    let limit = if all { MOST } else { SHOWN };
    let of = app.backend.status().await?;
    let collisions = app.backend.collisions().await?;
    let changes = app.backend.changes(limit).await?;
    let events = app.backend.pair_log(EVENTS).await?;
    let encrypted = app.backend.encrypted(false).await?;
    let frame = Frame::new(&app, &visit, "System", Tab::System, &of);
    render(&Page {
        pair: pair(&of.pair, events, &frame),
        upstreams: of.upstreams.iter().map(upstreams::line).collect(),
        encrypted,
        collisions: collisions.into_iter().map(|row| collision(row, &frame)).collect(),
        more: changes.len() >= limit && !all,
        changes: changes.into_iter().map(|row| change(row, &frame)).collect(),
        frame,
    })
}

/// `GET /system/lanward-ca.crt`: what devices install. Anybody may have it; that it was given away
/// is remembered, so only the owner asks.
pub(crate) async fn authority(State(app): State<Shared>) -> Answered {
    let Some(authority) = app.backend.encrypted(true).await?.authority else {
        return Err(Refusal::not_found());
    };
    let head = [
        (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"lanward-ca.crt\""),
    ];
    Ok((head, authority.pem).into_response())
}

/// `POST /system/undo`
pub(crate) async fn undo_change(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    match app.backend.undo(sent.text("change").to_owned()).await {
        Ok(force) => done(&app, visit.session, "The change is undone.", &force, None),
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see("/system"))
}

/// `POST /system/settle`
pub(crate) async fn settle(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let (key, value) = (sent.text("key").to_owned(), sent.text("value").to_owned());
    match app.backend.settle(key, value).await {
        Ok(force) => done(&app, visit.session, "That is settled.", &force, None),
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see("/system"))
}

/// `POST /system/pair`
pub(crate) async fn pair_order(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let back = || Ok(see("/system#pair"));
    let (order, deed) = match sent.text("order") {
        "pause" => (
            PairOrder::Maintenance(true),
            "This host is paused: the other one serves DHCP for everybody.",
        ),
        "resume" => (PairOrder::Maintenance(false), "This host takes its part again."),
        "off" => (
            PairOrder::PartnerOff,
            "The other host counts as off: nothing of it answered on any network.",
        ),
        "remove" => (PairOrder::Remove, "The other host is removed. This one goes on alone."),
        _ => return back(),
    };
    // What is hard to take back wants a tick beside the button.
    if matches!(order, PairOrder::PartnerOff | PairOrder::Remove) && sent.text("sure") != "yes" {
        let text = "Nothing was changed: tick the box beside the button to say that you are sure.";
        super::leave(&app, visit.session, Flash::new(Severity::Info, text));
        return back();
    }
    match app.backend.pair_order(order).await {
        Ok(()) => super::leave(&app, visit.session, Flash::new(Severity::Ok, deed)),
        Err(error) => failed(&app, &visit, &error),
    }
    back()
}

fn pair(pair: &PairStatus, events: Vec<PairEvent>, frame: &Frame) -> Pair {
    let event = |event: PairEvent| Event {
        at: frame.ago(event.at),
        what: format!("{} {}", event.who, event.what),
        why: event.why,
    };
    let removed = pair.condition == Condition::Removed;
    let partner = pair.partner.as_ref().filter(|_| !removed);
    Pair {
        sentence: pair.sentence(),
        next: pair.next().map(|next| next.replace('`', "")),
        own: pair.own.name.clone(),
        may_pause: pair.condition == Condition::BothUp,
        may_resume: pair.condition == Condition::Maintenance,
        may_say_off: matches!(pair.condition, Condition::PartnerDown | Condition::Unsure),
        partner: partner.map(|partner| partner.name.clone()),
        events: events.into_iter().map(event).collect(),
    }
}

fn collision(row: CollisionRow, frame: &Frame) -> Collision {
    let values = row.values.into_iter().enumerate().map(|(n, value)| {
        let differing = value.fields.iter().filter(|field| field.differs).count();
        // What the values agree on helps nobody to choose.
        let shown = value.fields.into_iter().filter(|field| field.differs).take(FIELDS);
        Value {
            id: value.id,
            in_force: n == 0,
            whose: match (value.author.is_empty(), value.host.is_empty()) {
                (false, false) => format!("{} on {}", value.author, value.host),
                _ => "somebody".to_owned(),
            },
            at: value.at.map(|at| frame.ago(at)),
            fields: shown.map(|field| (field.field, field.value)).collect(),
            more: differing.saturating_sub(FIELDS),
        }
    });
    Collision { key: row.key, what: row.what, values: values.collect() }
}

fn change(row: ChangeRow, frame: &Frame) -> Change {
    Change {
        anchor: short(&row.id).to_owned(),
        at: frame.ago(row.at),
        author: row.author,
        host: row.host,
        undoes: row.undoes.map(|id| short(&id).to_owned()),
        cannot_undo: row.cannot_undo,
        id: row.id,
        records: row.records.into_iter().map(record).collect(),
    }
}

fn record(record: crate::view::RecordChange) -> Record {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "not set".to_owned());
    // Of what is new or gone, its name says enough.
    let fields = if record.deed == Deed::Changed { record.fields } else { Vec::new() };
    let more = fields.len().saturating_sub(FIELDS);
    Record {
        what: record.what,
        word: record.deed.word(),
        fields: fields
            .into_iter()
            .take(FIELDS)
            .map(|field| (field.field, shown(field.before), shown(field.after)))
            .collect(),
        more,
    }
}

/// The first digits of an id, which are enough to name it.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
