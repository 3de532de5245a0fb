//! The history of questions: newest first, with filters that stand in the address.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::frame::{Frame, Tab};
use super::{Answered, render_as, understand};
use crate::app::Shared;
use crate::format::{count, encode};
use crate::html::{Chip, Moment};
use crate::query_address;
use crate::routes::query_pairs;
use crate::view::{EditError, QueriesAnswer, QueriesQuestion, QueryFilter, QueryRow};
use crate::visit::Visit;

/// Rows of a page.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "queries.html")]
struct Page {
    frame: Frame,
    chips: Vec<FilterChip>,
    /// How many, in words.
    filters: String,
    presets: Vec<Preset>,
    /// The filters in force, for the form that adds one.
    hidden: Vec<(String, String)>,
    networks: Vec<String>,
    wrong: Vec<String>,
    missing: Vec<String>,
    rows: Vec<Line>,
    /// Where the page's script asks for what is new; `None` on older pages.
    follow: Option<String>,
    older: Option<String>,
    newest: Option<String>,
    cut: bool,
    level: Option<&'static str>,
    /// The rows that the filters leave, as a file.
    csv: String,
}

/// A filter in force, and the address without it.
struct FilterChip {
    not: bool,
    label: &'static str,
    value: String,
    without: String,
    /// The address with the opposite.
    turned: String,
}

struct Preset {
    label: &'static str,
    href: String,
    current: bool,
}

/// A row, in words.
struct Line {
    at: Moment,
    host: String,
    who: Option<(String, String)>,
    address: String,
    name: Option<String>,
    qtype: String,
    chip: Chip,
    tint: &'static str,
    why: String,
    details: Vec<(&'static str, String)>,
    only: Vec<(&'static str, String)>,
    hide: Option<String>,
    why_href: Option<String>,
    rule: Option<Rule>,
}

/// The rule that a row offers to make.
struct Rule {
    /// `allow POLICY NAME`, as the form sends it.
    value: String,
    word: &'static str,
    policy: String,
}

/// `GET /queries`, with the same fields as the API.
pub(crate) async fn queries(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    RawQuery(query): RawQuery,
) -> Answered {
    let pairs = query_pairs(query.as_deref());
    let status = app.backend.status().await?;
    let networks = app.backend.networks().await?;
    let frame = Frame::new(&app, &visit, "Queries", Tab::Queries, &status);
    let (question, mut wrong) = match query_address::read(&pairs) {
        Ok(question) => (question, Vec::new()),
        Err(errors) => {
            (QueriesQuestion::default(), errors.into_iter().map(|e| e.message).collect())
        }
    };
    let question = QueriesQuestion { limit: Some(ROWS), ..question };
    let answer = match app.backend.queries(question.clone()).await {
        Ok(answer) => answer,
        Err(EditError::Fields(errors)) => {
            wrong.extend(errors.into_iter().map(|error| error.message));
            QueriesAnswer::default()
        }
        Err(error) => {
            wrong.push(error.to_string());
            QueriesAnswer::default()
        }
    };
    let filter = &question.filter;
    let rows = answer.queries.iter().map(|row| line(row, filter, &frame)).collect();
    let newest_page = question.before.is_none() && question.filter.to_ms.is_none();
    let code = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = Page {
        filters: count((filter.include.len() + filter.exclude.len()) as u64, "filter", "filters"),
        chips: chips(filter),
        presets: presets(filter),
        hidden: hidden(filter),
        networks: networks.into_iter().map(|network| network.id).collect(),
        missing: answer.missing,
        rows,
        follow: (newest_page && wrong.is_empty())
            .then(|| with(filter, &[("after", answer.newest.as_str())])),
        older: answer.next.as_ref().map(|next| with(filter, &[("before", next.as_str())])),
        newest: (!newest_page).then(|| with(filter, &[])),
        cut: answer.cut,
        level: level(&answer.level),
        csv: format!("/queries.csv?{}", query_address::write(filter)),
        wrong,
        frame,
    };
    render_as(code, &page)
}

/// What is not kept, in a sentence.
fn level(word: &str) -> Option<&'static str> {
    match word {
        "no_clients" => Some("Who asked is not kept."),
        "no_names" => Some("What was asked is not kept."),
        "numbers" => Some("Neither who asked nor what is kept."),
        "off" => Some("No history is kept. What is shown was kept before."),
        _ => None,
    }
}

fn with(filter: &QueryFilter, more: &[(&str, &str)]) -> String {
    let mut parts = vec![query_address::write(filter)];
    parts.extend(more.iter().map(|(field, value)| format!("{field}={}", encode(value))));
    parts.retain(|part| !part.is_empty());
    match parts.is_empty() {
        true => "/queries".to_owned(),
        false => format!("/queries?{}", parts.join("&")),
    }
}

fn label(field: &str) -> &'static str {
    match field {
        "device" => "Device",
        "network" => "Network",
        "name" => "Name holds",
        "domain" => "Domain",
        "type" => "Type",
        "verdict" => "Answer",
        "rcode" => "Code",
        "list" => "List",
        "upstream" => "Upstream",
        "policy" => "Policy",
        "transport" => "Transport",
        "dnssec" => "DNSSEC",
        _ => "Filter",
    }
}

fn chips(filter: &QueryFilter) -> Vec<FilterChip> {
    let of = |not: bool, at: usize| {
        let mut without = filter.clone();
        let (own, other) = match not {
            false => (&mut without.include, &mut without.exclude),
            true => (&mut without.exclude, &mut without.include),
        };
        let (field, value) = own.remove(at);
        let mut turned = QueryFilter { include: Vec::new(), exclude: Vec::new(), ..*filter };
        let href = {
            other.push((field.clone(), value.clone()));
            (turned.include, turned.exclude) = (without.include.clone(), without.exclude.clone());
            with(&turned, &[])
        };
        let last = if not { &mut without.include } else { &mut without.exclude };
        last.pop();
        let without = with(&without, &[]);
        FilterChip { not, label: label(&field), value, without, turned: href }
    };
    let included = (0..filter.include.len()).map(|at| of(false, at));
    included.chain((0..filter.exclude.len()).map(|at| of(true, at))).collect()
}

fn presets(filter: &QueryFilter) -> Vec<Preset> {
    let verdict = |word: &str| ("verdict".to_owned(), word.to_owned());
    let others = filter.include.iter().filter(|(field, _)| field != "verdict");
    let others: Vec<_> = others.cloned().collect();
    let now: Vec<_> = filter.include.iter().filter(|(field, _)| field == "verdict").collect();
    [("All", None), ("Blocked only", Some("blocked")), ("Failed", Some("failed"))]
        .into_iter()
        .map(|(label, word)| {
            let mut include = others.clone();
            include.extend(word.map(verdict));
            let current = match word {
                None => now.is_empty(),
                Some(word) => now.iter().all(|(_, own)| own == word) && !now.is_empty(),
            };
            Preset { label, href: with(&QueryFilter { include, ..filter.clone() }, &[]), current }
        })
        .collect()
}

fn hidden(filter: &QueryFilter) -> Vec<(String, String)> {
    let mut hidden = filter.include.clone();
    hidden.extend(
        filter.exclude.iter().map(|(field, value)| (format!("not_{field}"), value.clone())),
    );
    hidden
}

fn chip(row: &QueryRow) -> (Chip, &'static str) {
    let allowed = row.rule.as_ref().is_some_and(|rule| rule.allowed);
    match row.verdict.as_str() {
        "blocked" => (Chip::new("bad", "bad", "Blocked"), "bad"),
        "failed" => (Chip::new("warn", "warn", "Failed"), "warn"),
        "stale" => (Chip::new("warn", "clock", "Expired answer"), ""),
        _ if allowed => (Chip::new("ok", "ok", "Allowed"), ""),
        "cached" => (Chip::new("plain", "ok", "Cached"), ""),
        "forwarded" => (Chip::new("plain", "ok", "Forwarded"), ""),
        "local" => (Chip::new("plain", "pin", "Local"), ""),
        "special" => (Chip::new("plain", "pin", "Special"), ""),
        "refused" => (Chip::new("plain", "off", "Refused"), ""),
        "withheld" => (Chip::new("warn", "warn", "Withheld"), ""),
        "limited" => (Chip::new("warn", "warn", "Too many"), ""),
        _ => (Chip::new("plain", "ok", "Answered"), ""),
    }
}

/// Why it was answered so, in a few words.
fn why(row: &QueryRow) -> String {
    let Some(rule) = &row.rule else {
        return match (row.verdict.as_str(), &row.upstream) {
            ("forwarded", Some(upstream)) => format!("by {upstream}"),
            ("failed", _) => "No upstream answered.".to_owned(),
            ("stale", _) => "Kept from before: no upstream answered.".to_owned(),
            ("withheld", _) => {
                "Its private addresses: a public name must not lead into the house.".to_owned()
            }
            ("limited", _) => "More questions than one device may ask.".to_owned(),
            _ => String::new(),
        };
    };
    let deed = if rule.allowed { "Allowed by" } else { "by" };
    let mut why = format!("{deed} {}", rule.list);
    if let Some(text) = &rule.rule {
        why += &format!(", rule {text}");
    }
    if let Some(target) = &rule.target {
        why += &format!("; it leads to {target}");
    }
    why
}

fn line(row: &QueryRow, filter: &QueryFilter, frame: &Frame) -> Line {
    let (chip, tint) = chip(row);
    let plus = |field: &str, value: &str, not: bool| {
        let mut filter = filter.clone();
        let terms = if not { &mut filter.exclude } else { &mut filter.include };
        let term = (field.to_owned(), value.to_owned());
        if !terms.contains(&term) {
            terms.push(term);
        }
        with(&filter, &[])
    };
    let who = row.device.clone().or_else(|| row.client.clone());
    let client = row.client.clone().unwrap_or_default();
    let mut details = vec![("Response", row.rcode.clone()), ("Came over", row.transport.clone())];
    details.push(("Policy", row.policy.clone()));
    details.extend(row.upstream.clone().map(|upstream| ("Upstream", upstream)));
    if row.dnssec != "unchecked" {
        details.push(("DNSSEC", row.dnssec.clone()));
    }
    details.push(match row.took_ms {
        Some(ms) => ("Took", format!("{ms:.1} ms")),
        None => ("Took", "answered at once".to_owned()),
    });
    let mut only = vec![("type", plus("type", &row.qtype, false))];
    only.extend(row.name.as_ref().map(|name| ("name", plus("domain", name, false))));
    only.extend(row.rule.as_ref().map(|rule| ("list", plus("list", &rule.list, false))));
    Line {
        at: Moment::precise(row.at, frame.now, &frame.zone),
        host: row.host.clone(),
        who: who.map(|who| (who, plus("device", &client, false))),
        address: if row.device.is_some() { client } else { String::new() },
        qtype: row.qtype.clone(),
        chip,
        tint,
        why: why(row),
        details,
        only,
        hide: row.name.as_ref().map(|name| plus("domain", name, true)),
        why_href: row.name.as_ref().map(|name| format!("/why?name={}", encode(name))),
        rule: rule(row),
        name: row.name.clone(),
    }
}

/// What is blocked may be allowed, and the other way round; names of the house are neither.
fn rule(row: &QueryRow) -> Option<Rule> {
    let name = row.name.as_ref().filter(|name| understand(name).is_ok())?;
    let (kind, word) = match row.verdict.as_str() {
        "blocked" => ("allow", "Allow"),
        "cached" | "forwarded" | "stale" | "failed" => ("deny", "Block"),
        _ => return None,
    };
    let policy = Some(&row.policy).filter(|policy| !policy.is_empty())?;
    Some(Rule { value: format!("{kind} {policy} {name}"), word, policy: policy.clone() })
}
