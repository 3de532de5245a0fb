//! Blocklists.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;

use super::frame::{Frame, Tab};
use super::{Answered, done, failed, leave, render_as, see};
use crate::app::Shared;
use crate::flash::{Deed, Flash};
use crate::form::{Field, Sent};
use crate::format::{count, number};
use crate::html::{Chip, Moment};
use crate::view::{
    EditError, FieldError, ListActivity, ListKind, ListRow, NewList, PolicyView, Severity,
};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "lists.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    summary: String,
    updating: bool,
    form: AddForm,
    why: Field,
}

struct AddForm {
    name: Field,
    source: Field,
    allow: bool,
    /// Id, networks, ticked.
    policies: Vec<(String, String, bool)>,
    policies_error: Option<String>,
    wrong: bool,
    general: Vec<String>,
}

/// A list, in words.
struct Line {
    id: String,
    name: String,
    source: String,
    built_in: bool,
    chip: Chip,
    tint: &'static str,
    allow: bool,
    enabled: bool,
    entries: String,
    delta: Option<String>,
    skipped: Option<String>,
    policies: String,
    last_success: Option<Moment>,
    /// Only where it is not the last success.
    last_attempt: Option<Moment>,
    next_attempt: Option<Moment>,
    error: Option<String>,
    held: Option<String>,
    locked: Option<String>,
}

/// What the form holds, as typed.
struct Draft {
    name: String,
    source: String,
    allow: bool,
    policies: Option<Vec<String>>,
}

/// `GET /lists`
pub(crate) async fn lists(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
) -> Answered {
    let empty = Draft { name: String::new(), source: String::new(), allow: false, policies: None };
    page(&app, &visit, StatusCode::OK, empty, &[]).await
}

/// `POST /lists`
pub(crate) async fn add(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let policies = app.backend.policies().await?;
    let draft = Draft {
        name: sent.text("name").to_owned(),
        source: sent.text("source").to_owned(),
        allow: sent.text("kind") == "allow",
        policies: (policies.len() > 1).then(|| sent.all("policies")),
    };
    let ended = match draft.parse(&policies) {
        Ok(new) => app.backend.add_list(new.clone()).await.map(|saved| (new, saved)),
        Err(errors) => Err(EditError::Fields(errors)),
    };
    match ended {
        Ok((new, saved)) => {
            let what = format!("{} is added and is being fetched.", new.name);
            done(&app, visit.session, &what, &saved.in_force, Some(Deed::RemoveList(saved.id)));
            Ok(see("/lists"))
        }
        Err(EditError::Fields(errors)) => {
            page(&app, &visit, StatusCode::UNPROCESSABLE_ENTITY, draft, &errors).await
        }
        Err(error) => {
            failed(&app, &visit, &error);
            Ok(see("/lists"))
        }
    }
}

impl Draft {
    fn parse(&self, policies: &[PolicyView]) -> Result<NewList, Vec<FieldError>> {
        let mut errors = Vec::new();
        if let Err(message) = check_source(&self.source) {
            errors.push(FieldError { field: "source", message });
        }
        if self.name.chars().count() > 80 {
            let message = "A name may have 80 characters at most.".to_owned();
            errors.push(FieldError { field: "name", message });
        }
        let chosen = match &self.policies {
            None => policies.iter().map(|p| p.id.clone()).collect(),
            Some(chosen) => chosen.clone(),
        };
        if chosen.is_empty() && !policies.is_empty() {
            let message = "Choose at least one policy: else nobody would use the list.".to_owned();
            errors.push(FieldError { field: "policies", message });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let name = if self.name.is_empty() { name_of(&self.source) } else { self.name.clone() };
        Ok(NewList {
            id: None,
            name,
            source: self.source.clone(),
            kind: if self.allow { ListKind::Allow } else { ListKind::Block },
            policies: chosen,
            enabled: true,
        })
    }
}

/// Whether something can be the source of a list; the error says what to type.
pub(crate) fn check_source(source: &str) -> Result<(), String> {
    let foreign = |c: char| c.is_whitespace() || c.is_control();
    if source.is_empty() {
        return Err("Type the address of the list.".to_owned());
    }
    if source.len() > 2000 || source.contains(foreign) {
        return Err("An address has no spaces, and 2000 characters at most.".to_owned());
    }
    if source.starts_with('/') {
        return Ok(());
    }
    let rest = source.strip_prefix("https://").or_else(|| source.strip_prefix("http://"));
    match rest {
        Some(rest) if !host_of(rest).is_empty() && !host_of(rest).contains('@') => Ok(()),
        Some(rest) if host_of(rest).contains('@') => {
            Err("The address must not hold a user name or password.".to_owned())
        }
        _ => Err("The address begins with https:// or http://, or is the path of a file on the \
                  hosts, such as /etc/lanward/extra.txt."
            .to_owned()),
    }
}

fn host_of(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// A name for a list that was given none: where it comes from.
pub(crate) fn name_of(source: &str) -> String {
    let rest = source.strip_prefix("https://").or_else(|| source.strip_prefix("http://"));
    let path = rest.unwrap_or(source).split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
    file.chars().take(80).collect()
}

/// `POST /lists/remove`
pub(crate) async fn remove(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    match app.backend.remove_list(sent.text("id").to_owned()).await {
        Ok(removed) => {
            let what = format!("{} is removed.", removed.was.name);
            let deed = Deed::AddList(removed.was);
            done(&app, visit.session, &what, &removed.in_force, Some(deed));
        }
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see("/lists"))
}

/// `POST /lists/switch`
pub(crate) async fn switch(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let (id, on) = (sent.text("id").to_owned(), sent.text("on") == "true");
    match app.backend.set_list_enabled(id.clone(), on).await {
        Ok(force) => {
            let what = if on { "The list is on." } else { "The list is off; its rules stopped." };
            done(&app, visit.session, what, &force, Some(Deed::SetList(id, !on)));
        }
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see("/lists"))
}

/// `POST /lists/update`
pub(crate) async fn update(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    match app.backend.update_list(sent.some("id")).await {
        Ok(()) => {
            let text = "Updating. The rules of before stay in force until the new ones are ready.";
            leave(&app, visit.session, Flash::new(Severity::Info, text));
        }
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see("/lists"))
}

/// `POST /lists/accept`
pub(crate) async fn accept(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    match app.backend.accept_held(sent.text("id").to_owned()).await {
        Ok(force) => done(&app, visit.session, "The new version is taken.", &force, None),
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see("/lists"))
}

async fn page(
    app: &Shared,
    visit: &Visit,
    status: StatusCode,
    draft: Draft,
    errors: &[FieldError],
) -> Answered {
    let of = app.backend.status().await?;
    let rows = app.backend.lists().await?;
    let policies = app.backend.policies().await?;
    let frame = Frame::new(app, visit, "Blocklists", Tab::Lists, &of);
    let on = rows.iter().filter(|l| l.enabled).count() as u64;
    let summary = format!(
        "{} rules in force, from {}.",
        number(of.blocked_names),
        count(on, "list", "lists")
    );
    let page = Page {
        updating: rows.iter().any(|l| l.activity != ListActivity::Idle),
        lines: rows.iter().map(|row| line(row, &policies, &frame)).collect(),
        form: add_form(draft, &policies, errors),
        why: Field::text("name", "Domain or link", "")
            .id("why")
            .hint("For example ads.example.com, or a link you copied.")
            .mono(),
        summary,
        frame,
    };
    render_as(status, &page)
}

fn add_form(draft: Draft, policies: &[PolicyView], errors: &[FieldError]) -> AddForm {
    let ticked = |id: &String| draft.policies.as_ref().is_none_or(|chosen| chosen.contains(id));
    let of = |field: &str| errors.iter().find(|e| e.field == field).map(|e| e.message.clone());
    let known = ["name", "source", "policies"];
    AddForm {
        policies: if policies.len() > 1 {
            policies.iter().map(|p| (p.id.clone(), p.networks.join(", "), ticked(&p.id))).collect()
        } else {
            Vec::new()
        },
        policies_error: of("policies"),
        source: Field::text("source", "Address of the list", draft.source)
            .hint("https://… or the path of a file on the hosts. Most formats are understood.")
            .mono()
            .errors(errors),
        name: Field::text("name", "Name", draft.name).optional().errors(errors),
        allow: draft.allow,
        wrong: !errors.is_empty(),
        general: errors
            .iter()
            .filter(|e| !known.contains(&e.field))
            .map(|e| e.message.clone())
            .collect(),
    }
}

fn line(row: &ListRow, policies: &[PolicyView], frame: &Frame) -> Line {
    let (chip, tint) = state(row);
    let all = !policies.is_empty() && policies.iter().all(|p| row.policies.contains(&p.id));
    let used_by = match (all, row.policies.is_empty()) {
        (true, _) => "everyone".to_owned(),
        (false, true) => "nobody".to_owned(),
        (false, false) => row.policies.join(", "),
    };
    Line {
        id: row.id.clone(),
        name: row.name.clone(),
        built_in: row.source.is_empty(),
        source: row.source.clone(),
        chip,
        tint,
        allow: row.kind == ListKind::Allow,
        enabled: row.enabled,
        entries: row.entries.map_or_else(|| "–".to_owned(), number),
        delta: row
            .entries_delta
            .filter(|&d| d != 0)
            .map(|d| format!("{}{}", if d > 0 { "+" } else { "−" }, number(d.unsigned_abs()))),
        skipped: row
            .skipped_lines
            .filter(|&n| n > 0)
            .map(|n| count(n, "line is no DNS rule", "lines are no DNS rules")),
        policies: used_by,
        last_success: row.last_success.map(|at| frame.ago(at)),
        last_attempt: row
            .last_attempt
            .filter(|_| row.last_attempt != row.last_success)
            .map(|at| frame.ago(at)),
        next_attempt: row.next_attempt.filter(|_| row.enabled).map(|at| frame.ago(at)),
        error: row.error.clone(),
        held: row.held.clone(),
        locked: row.locked.clone(),
    }
}

/// A list's mark, and its row's tint.
fn state(row: &ListRow) -> (Chip, &'static str) {
    match row.activity {
        ListActivity::Updating => return (Chip::new("info", "sync", "Updating"), ""),
        ListActivity::Queued => return (Chip::new("info", "clock", "Waiting"), ""),
        ListActivity::Idle => {}
    }
    if !row.enabled {
        (Chip::new("plain", "off", "Off"), "quiet")
    } else if row.held.is_some() {
        (Chip::new("warn", "warn", "Held back"), "warn")
    } else if row.error.is_some() && row.entries.is_none() {
        (Chip::new("bad", "bad", "Failed"), "bad")
    } else if row.error.is_some() {
        (Chip::new("warn", "warn", "Old copy in force"), "warn")
    } else if row.entries.is_none() {
        (Chip::new("info", "clock", "Not fetched yet"), "")
    } else {
        (Chip::new("ok", "ok", "In force"), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_links_or_absolute_paths() {
        for good in
            ["https://lists.example/ads.txt", "http://10.0.0.9:8000/x", "/etc/lanward/extra.txt"]
        {
            assert_eq!(check_source(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "lists.example/ads.txt",
            "ftp://lists.example/ads.txt",
            "https://",
            "https:///x",
            "javascript:alert(1)",
            "https://lists.example/a b",
            "https://user:secret@lists.example/ads.txt",
        ] {
            assert!(check_source(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_without_a_name_is_called_by_its_file() {
        assert_eq!(name_of("https://lists.example/a/ads.txt?x=1"), "ads.txt");
        assert_eq!(name_of("https://lists.example/"), "lists.example");
        assert_eq!(name_of("/etc/lanward/extra.txt"), "extra.txt");
    }
}
