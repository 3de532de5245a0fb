//! The names that this host answers itself.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};

use super::frame::{Frame, Tab};
use super::{Answered, render};
use crate::app::Shared;
use crate::form::Sent;
use crate::format::{count, number};
use crate::routes::query_pairs;
use crate::view::{LocalNames, NameRow, RefusedName};
use crate::visit::Visit;

/// More lines than this are of no use on a page: the search finds the rest.
const MOST: usize = 500;

#[derive(Template)]
#[template(path = "names.html")]
struct Page {
    frame: Frame,
    find: String,
    lines: Vec<Line>,
    range: String,
    any: bool,
    refused: Vec<RefusedName>,
    mistakes: Vec<(u32, String)>,
}

/// A record, in words.
struct Line {
    name: String,
    rtype: String,
    value: String,
    source: String,
    networks: String,
}

/// `GET /names?q=`
pub(crate) async fn names(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    RawQuery(query): RawQuery,
) -> Answered {
    let find = Sent::new(query_pairs(query.as_deref())).some("q").unwrap_or_default();
    let status = app.backend.status().await?;
    let LocalNames { names, refused, mistakes } = app.backend.names().await?;
    let any = !names.is_empty();
    let wanted = find.trim().to_lowercase();
    let found: Vec<&NameRow> = names.iter().filter(|row| fits(row, &wanted)).collect();
    let range = match found.len() {
        n if n > MOST => {
            format!("The first {} of {} records", number(MOST as u64), number(n as u64))
        }
        n => count(n as u64, "record", "records"),
    };
    let page = Page {
        frame: Frame::new(&app, &visit, "Names", Tab::Leases, &status),
        lines: found.into_iter().take(MOST).map(line).collect(),
        range,
        any,
        find,
        refused,
        mistakes,
    };
    render(&page)
}

fn fits(row: &NameRow, wanted: &str) -> bool {
    row.name.contains(wanted) || row.value.to_lowercase().contains(wanted)
}

fn line(row: &NameRow) -> Line {
    let source = row.source.label();
    Line {
        name: row.name.clone(),
        rtype: row.rtype.clone(),
        value: row.value.clone(),
        source: match row.line {
            Some(line) => format!("{source}, line {line}"),
            None => source.to_owned(),
        },
        networks: row.networks.join(", "),
    }
}
