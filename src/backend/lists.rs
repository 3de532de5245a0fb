//! Blocklists and "why?" as pages and API show them, and the records an edit of them changes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lanward_blocklists::refresh::UnixSecs;
use lanward_blocklists::{Action, CompiledFilter, WireName};
use lanward_dns::{Filter, PolicyId, Verdict};
use lanward_web::view::{
    About, EditError, FieldError, ListActivity, ListKind, ListRow, NewList, Problem, Severity,
    WhyAnswer, WhyMatch, WhyPolicy, WhyQuestion, WhyVerdict,
};

use super::judged::{Judged, judged};
use super::locked;
use crate::control::Reading;
use crate::lists::{Activity, ListStatus};
use crate::settings::effective::{ListSpec, default_household};
use crate::settings::records::{self, List, Policy, Record, Source};
use crate::settings::words::Id;

/// Records to write: key and new JSON; `None` removes one.
type Writes = Vec<(String, Option<String>)>;

/// All lists, in the order of the settings, with how they are.
pub(super) fn rows(reading: &Reading<'_>, statuses: &[ListStatus]) -> Vec<ListRow> {
    let settings = reading.node.effective();
    let status = |id: &str| statuses.iter().find(|s| s.id == id).cloned().unwrap_or_default();
    settings
        .lists
        .iter()
        .map(|list| {
            let status = status(&list.id);
            let uses = settings.policies.policies.iter().zip(&settings.policy_lists);
            let policies = uses
                .filter(|(_, ids)| ids.contains(&list.id))
                .map(|(policy, _)| policy.name.clone())
                .collect();
            ListRow {
                id: list.id.to_string(),
                name: list.name.to_string(),
                source: source(list),
                kind: kind(list.kind),
                enabled: list.enabled,
                policies,
                entries: status.entries,
                entries_delta: status.entries_delta,
                skipped_lines: status
                    .entries
                    .map(|_| status.skipped.iter().map(|(_, lines)| lines).sum()),
                last_success: status.last_success.and_then(date),
                last_attempt: status.last_attempt.and_then(date),
                next_attempt: status.next_attempt.and_then(date),
                error: status.error,
                held: status.held,
                activity: match status.activity {
                    Activity::Idle => ListActivity::Idle,
                    Activity::Fetching | Activity::Compiling => ListActivity::Updating,
                },
                locked: locked(reading.node.records(), &List::key(&list.id)),
            }
        })
        .collect()
}

fn date(at: UnixSecs) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(at.0).ok()?).ok()
}

fn source(list: &ListSpec) -> String {
    match &list.source {
        Source::Url(text) | Source::File(text) => text.clone(),
        Source::Builtin => String::new(),
    }
}

fn kind(kind: records::ListKind) -> ListKind {
    match kind {
        records::ListKind::Block => ListKind::Block,
        records::ListKind::Allow => ListKind::Allow,
    }
}

/// Lists that need attention.
pub(super) fn problems(statuses: &[ListStatus]) -> Vec<Problem> {
    let problem = |list: &ListStatus, what: String, fix: &str| Problem {
        severity: Severity::Warning,
        about: About::List(list.id.clone()),
        what,
        fix: fix.to_owned(),
    };
    statuses
        .iter()
        .filter_map(|list| {
            if let Some(held) = &list.held {
                let what = format!("A new version of the list {} is held back: {held}", list.id);
                return Some(problem(list, what, "The old version stays in force. Look at it."));
            }
            let error = list.error.as_ref()?;
            let what = format!("The list {} could not be updated: {error}", list.id);
            Some(problem(list, what, "Its last good version stays in force. Check its address."))
        })
        .collect()
}

/// The lists and policies in force, as records: what is edited when nothing was written down yet.
pub(super) fn effective(reading: &Reading<'_>) -> BTreeMap<String, String> {
    let records = reading.node.records();
    let wanted = |key: &str| key.starts_with("list/") || key.starts_with("policy/");
    let own: BTreeMap<_, _> = records.iter().filter(|(key, _)| wanted(key)).collect();
    if own.is_empty() {
        return default_household().into_iter().filter(|(key, _)| wanted(key)).collect();
    }
    own.into_iter().map(|(key, json)| (key.clone(), json.clone())).collect()
}

/// The records of `in_force` that are not written down.
pub(super) fn missing_defaults(
    records: &BTreeMap<String, String>,
    in_force: &BTreeMap<String, String>,
) -> Writes {
    let missing = in_force.iter().filter(|(key, _)| !records.contains_key(*key));
    missing.map(|(key, json)| (key.clone(), Some(json.clone()))).collect()
}

/// What adding a list writes: its record, which names the policies that are to use it. Gives its
/// id too.
pub(super) fn add(
    records: &BTreeMap<String, String>,
    in_force: &BTreeMap<String, String>,
    new: &NewList,
) -> Result<(String, Writes), EditError> {
    let id = match &new.id {
        Some(id) => id.clone(),
        None => free_id(records, &new.name),
    };
    let id = Id::parse(&id)
        .map_err(|wrong| EditError::field("id", format!("{} {}", wrong.message, wrong.fix)))?;
    if in_force.contains_key(&List::key(id.as_str())) {
        return Err(EditError::field("name", format!("There is a list {id} already.")));
    }
    let list = List {
        source: if new.source.is_empty() {
            Source::Builtin
        } else if new.source.starts_with('/') {
            Source::File(new.source.clone())
        } else {
            Source::Url(new.source.clone())
        },
        name: Some(new.name.clone()).filter(|name| !name.is_empty()),
        kind: match new.kind {
            ListKind::Block => records::ListKind::Block,
            ListKind::Allow => records::ListKind::Allow,
        },
        enabled: new.enabled,
        mirrors: Vec::new(),
        allow_private: false,
        policies: used_by(records, in_force, &new.policies)?,
        comment: None,
    };
    let mut writes = missing_defaults(records, in_force);
    writes.push((List::key(id.as_str()), Some(list.to_json())));
    Ok((id.to_string(), writes))
}

/// The policies that are to use a new list. They stay as they are: the list names them.
fn used_by(
    records: &BTreeMap<String, String>,
    in_force: &BTreeMap<String, String>,
    policies: &[String],
) -> Result<Vec<Id>, EditError> {
    let used_by = policies.iter().map(|policy| {
        let key = Policy::key(policy);
        if let Some(why) = locked(records, &key) {
            let message = format!("The policy {policy} cannot use it. {why}");
            return Err(EditError::field("policies", message));
        }
        let known = in_force.contains_key(&key).then(|| Id::parse(policy).ok()).flatten();
        known.ok_or_else(|| EditError::field("policies", format!("There is no policy {policy}.")))
    });
    used_by.collect()
}

/// An id made of a name: its letters and digits, and a number where it is taken.
fn free_id(records: &BTreeMap<String, String>, name: &str) -> String {
    let mut id = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => id.push(c),
            _ if !id.is_empty() && !id.ends_with('-') => id.push('-'),
            _ => {}
        }
    }
    id.truncate(32);
    let id = id.trim_matches('-');
    let id = if id.is_empty() { "list" } else { id };
    let taken = |id: &str| records.contains_key(&List::key(id));
    if !taken(id) {
        return id.to_owned();
    }
    let mut numbers = 2..;
    let numbered = numbers.find_map(|n| {
        let id = format!("{id}-{n}");
        (!taken(&id)).then_some(id)
    });
    numbered.unwrap_or_default()
}

/// What removing a list writes, and what would bring it back.
pub(super) fn remove(
    records: &BTreeMap<String, String>,
    id: &str,
    list: &List,
) -> Result<(NewList, Writes), EditError> {
    let prefix = Policy::key("");
    let mut writes = vec![(List::key(id), None)];
    let mut policies: Vec<String> = list.policies.iter().map(ToString::to_string).collect();
    for (key, json) in records.range(prefix.clone()..) {
        let Some(policy_id) = key.strip_prefix(&prefix) else { break };
        let Some(mut policy) = Policy::from_json(key, json, &mut Vec::new()) else { continue };
        if !policy.lists.iter().any(|used| used.as_str() == id) {
            continue;
        }
        if let Some(why) = locked(records, key) {
            return Err(EditError::Locked(format!("The policy {policy_id} uses it. {why}")));
        }
        policy.lists.retain(|used| used.as_str() != id);
        if !policies.iter().any(|known| known == policy_id) {
            policies.push(policy_id.to_owned());
        }
        writes.push((key.clone(), Some(policy.to_json())));
    }
    let was = NewList {
        id: Some(id.to_owned()),
        name: list.name.clone().unwrap_or_else(|| id.to_owned()),
        source: match &list.source {
            Source::Url(text) | Source::File(text) => text.clone(),
            Source::Builtin => String::new(),
        },
        kind: kind(list.kind),
        policies,
        enabled: list.enabled,
    };
    Ok((was, writes))
}

/// Puts errors about the whole record at the field a form would show them at.
pub(super) fn at_field(error: EditError, field: &'static str) -> EditError {
    match error {
        EditError::Fields(errors) => EditError::Fields(
            errors
                .into_iter()
                .map(|e| FieldError {
                    field: if e.field.is_empty() { field } else { e.field },
                    ..e
                })
                .collect(),
        ),
        other => other,
    }
}

/// Which lists and rules match a name, and which of them decides.
pub(super) fn why(
    reading: &Reading<'_>,
    filter: &CompiledFilter,
    question: &WhyQuestion,
) -> WhyAnswer {
    let settings = reading.node.effective();
    let Judged { name, exempt } = judged(settings, &question.name);
    let (paused, policies) = (Vec::new(), Vec::new());
    let mut answer = WhyAnswer { name: name.clone(), exempt, paused, policies };
    let Ok(wire) = WireName::parse(&name) else {
        answer.exempt = Some("This is not a domain name.".to_owned());
        return answer;
    };
    // An exception for an alias goes before what its target is.
    let own = WireName::parse(&question.name).ok();
    let list_rules: BTreeMap<&str, &ListSpec> =
        settings.lists.iter().map(|list| (&*list.id, list)).collect();
    for (index, policy) in settings.policies.policies.iter().enumerate() {
        if question.policy.as_ref().is_some_and(|wanted| *wanted != policy.name) {
            continue;
        }
        let policy_id = PolicyId(index as u16);
        let excused = own
            .as_ref()
            .filter(|own| matches!(filter.verdict(own.as_bytes(), policy_id), Verdict::Allowed(_)));
        let explanation = filter.explain(excused.unwrap_or(&wire), policy_id);
        let mut matches: Vec<WhyMatch> = explanation
            .matches
            .iter()
            .map(|found| WhyMatch {
                list: found.list_id.clone(),
                list_name: found.list_name.clone(),
                rule: found.rule(),
                kind: match found.action {
                    Action::Block => ListKind::Block,
                    Action::Allow => ListKind::Allow,
                },
                in_use: found.applies
                    && list_rules.get(found.list_id.as_str()).is_none_or(|list| list.enabled),
                decides: found.decided && policy.filtering,
            })
            .collect();
        matches.sort_by_key(|found| !found.decides);
        let verdict = match explanation.verdict {
            _ if !policy.filtering => WhyVerdict::FilteringOff,
            Verdict::Blocked(_) => WhyVerdict::Blocked,
            Verdict::Allowed(_) => WhyVerdict::Allowed,
            Verdict::NoMatch => WhyVerdict::NotListed,
        };
        let networks = settings.networks.iter().filter(|n| *n.policy == *policy.name);
        answer.policies.push(WhyPolicy {
            policy: policy.name.clone(),
            networks: networks.map(|n| n.id.to_string()).collect(),
            verdict,
            matches,
        });
    }
    answer
}
