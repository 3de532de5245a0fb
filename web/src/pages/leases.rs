//! The lease table.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};

use super::frame::{Frame, Tab};
use super::{Answered, render};
use crate::app::Shared;
use crate::format::{count, number};
use crate::html::{Chip, Icon, Moment};
use crate::lease_table::{Column, PAGES, Page as Rows, Query, Show};
use crate::routes::query_pairs;
use crate::view::{LeaseRow, LeaseState};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "leases.html")]
struct Page {
    frame: Frame,
    query: Query,
    networks: Vec<(String, bool)>,
    tabs: Vec<TabLink>,
    heads: Vec<Head>,
    lines: Vec<Line>,
    range: String,
    clear: Option<String>,
    previous: Option<String>,
    next: Option<String>,
    sizes: Vec<(usize, bool, String)>,
    nothing: Nothing,
    many_networks: bool,
}

/// Why the table is empty, if it is.
enum Nothing {
    No,
    Matches,
    YetAtAll,
}

struct TabLink {
    label: &'static str,
    count: String,
    href: String,
    current: bool,
}

/// A column's head: a link that sorts by it.
struct Head {
    label: &'static str,
    class: &'static str,
    href: Option<String>,
    aria_sort: Option<&'static str>,
    icon: Option<Icon>,
}

/// A row, in words.
struct Line {
    href: String,
    name: String,
    named: bool,
    vendor_class: Option<String>,
    addr: String,
    mac: String,
    randomised: bool,
    network: String,
    chip: Chip,
    reserved: bool,
    staged: Option<String>,
    expires: Option<Moment>,
    last_seen: Option<Moment>,
    served_by: String,
    tint: &'static str,
    action: &'static str,
}

/// `GET /leases`
pub(crate) async fn leases(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    RawQuery(query): RawQuery,
) -> Answered {
    let query = Query::from_pairs(&query_pairs(query.as_deref()));
    let status = app.backend.status().await?;
    let networks = app.backend.networks().await?;
    let all = app.backend.leases().await?;
    let frame = Frame::new(&app, &visit, "Leases", Tab::Leases, &status);
    let nothing_at_all = all.is_empty();
    let rows = query.apply(all);
    let nothing = match (rows.total, nothing_at_all) {
        (0, true) => Nothing::YetAtAll,
        (0, false) => Nothing::Matches,
        _ => Nothing::No,
    };
    let page_now = query.page.min(rows.pages);
    let turn = |page: usize| link(&Query { page, ..query.clone() });
    let page = Page {
        networks: networks.iter().map(|n| (n.id.clone(), n.id == query.network)).collect(),
        tabs: tabs(&query, &rows),
        heads: heads(&query),
        range: range(&query, &rows),
        clear: (query.filters() > 0).then(|| count(query.filters() as u64, "filter", "filters")),
        previous: (page_now > 1).then(|| turn(page_now - 1)),
        next: (page_now < rows.pages).then(|| turn(page_now + 1)),
        sizes: sizes(&query, &rows),
        lines: rows.rows.iter().map(|row| line(row, &frame)).collect(),
        many_networks: networks.len() > 1,
        nothing,
        query,
        frame,
    };
    render(&page)
}

fn link(query: &Query) -> String {
    format!("/leases{}", query.to_query_string())
}

fn tabs(query: &Query, rows: &Rows) -> Vec<TabLink> {
    Show::ALL
        .into_iter()
        .zip(rows.counts)
        .map(|(show, n)| TabLink {
            label: show.label(),
            count: number(n as u64),
            href: link(&Query { show, page: 1, ..query.clone() }),
            current: show == query.show,
        })
        .collect()
}

fn heads(query: &Query) -> Vec<Head> {
    let columns = [
        ("Name", "c-name", Some(Column::Name)),
        ("Address", "c-addr", Some(Column::Addr)),
        ("Hardware address", "c-mac", Some(Column::Mac)),
        ("Network", "c-net", Some(Column::Network)),
        ("State", "c-state", Some(Column::State)),
        ("Expires", "c-expires", Some(Column::Expires)),
        ("Last seen", "c-seen", Some(Column::LastSeen)),
        ("Served by", "c-host", None),
    ];
    columns.into_iter().map(|(label, class, column)| head(query, label, class, column)).collect()
}

fn head(query: &Query, label: &'static str, class: &'static str, column: Option<Column>) -> Head {
    let Some(column) = column else {
        return Head { label, class, href: None, aria_sort: None, icon: None };
    };
    let current = column == query.sort;
    // The most recent first is what one wants of "last seen".
    let descending = if current { !query.descending } else { column == Column::LastSeen };
    let href = link(&Query { sort: column, descending, page: 1, ..query.clone() });
    let (aria_sort, icon) = match (current, query.descending) {
        (false, _) => ("none", None),
        (true, false) => ("ascending", Some(Icon("up"))),
        (true, true) => ("descending", Some(Icon("down"))),
    };
    Head { label, class, href: Some(href), aria_sort: Some(aria_sort), icon }
}

fn range(query: &Query, rows: &Rows) -> String {
    let first = (query.page.min(rows.pages) - 1) * query.per_page;
    match rows.total {
        0 => "No addresses".to_owned(),
        n if n <= query.per_page => count(n as u64, "address", "addresses"),
        n => format!("{}–{} of {}", first + 1, first + rows.rows.len(), number(n as u64)),
    }
}

/// Page sizes to choose from, where it makes a difference.
fn sizes(query: &Query, rows: &Rows) -> Vec<(usize, bool, String)> {
    if rows.total <= PAGES[0] {
        return Vec::new();
    }
    PAGES
        .into_iter()
        .map(|n| (n, n == query.per_page, link(&Query { per_page: n, page: 1, ..query.clone() })))
        .collect()
}

/// A state's mark.
pub(super) fn chip(state: LeaseState) -> Chip {
    match state {
        LeaseState::Active => Chip::new("ok", "ok", "Active"),
        LeaseState::Idle => Chip::new("plain", "pin", "Not here"),
        LeaseState::Expired => Chip::new("plain", "clock", "Expired"),
        LeaseState::Released => Chip::new("plain", "off", "Released"),
        LeaseState::Declined => Chip::new("bad", "bad", "Conflict"),
    }
}

fn line(row: &LeaseRow, frame: &Frame) -> Line {
    Line {
        href: format!("/leases/{}", row.addr),
        name: row.name.clone().unwrap_or_else(|| "no name".to_owned()),
        named: row.name.is_some(),
        vendor_class: row.vendor_class.clone().filter(|v| !v.trim().is_empty()),
        addr: row.addr.to_string(),
        mac: row.hw.map_or_else(String::new, |hw| hw.to_string()),
        randomised: row.hw.is_some_and(|hw| hw.is_randomised()),
        network: row.network.clone(),
        chip: chip(row.state),
        reserved: row.reserved.is_some(),
        staged: row.reserved.as_ref().and_then(|r| r.staged.clone()),
        expires: row.expires.map(|at| frame.ago(at)),
        last_seen: row.last_seen.map(|at| frame.ago(at)),
        served_by: row.served_by.clone().unwrap_or_default(),
        tint: match row.state {
            LeaseState::Active => "",
            LeaseState::Declined => "bad",
            _ => "quiet",
        },
        action: if row.reserved.is_some() { "Edit" } else { "Reserve" },
    }
}
