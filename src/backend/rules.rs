//! Rules made by hand, from a row of the history: the records they are.

use std::collections::BTreeMap;

use lanward_web::view::{EditError, MadeRule, NewRule};

use super::{Daemon, locked};
use crate::control::Reading;
use crate::settings::records::{Record, Rule, RuleKind};
use crate::settings::words::{Id, Name};

/// Longest id (see [`Id`]).
const LONGEST: usize = 63;

impl Daemon {
    pub(super) async fn make_rule(&self, new: NewRule) -> Result<MadeRule, EditError> {
        let (key, writes) = self.read(move |reading| writes(reading, &new)).await??;
        let in_force = self.write(writes).await?;
        // The newest change of the record is this one.
        let rows = self.change_rows(20).await?;
        let ours = rows.iter().find(|row| row.records.iter().any(|record| record.key == key));
        Ok(MadeRule { change: ours.map(|row| row.id.clone()), in_force })
    }
}

type Writes = Vec<(String, Option<String>)>;

fn writes(reading: &Reading<'_>, new: &NewRule) -> Result<(String, Writes), EditError> {
    let settings = reading.node.effective();
    let known: Vec<&str> = settings.policies.policies.iter().map(|p| p.name.as_str()).collect();
    let Some(policy) = known.iter().position(|known| *known == new.policy) else {
        return Err(EditError::field("policy", format!("There is no policy {}.", new.policy)));
    };
    if !new.allow {
        let own = id(RuleKind::Allow, &new.policy, &new.name);
        let allows = |rule: &&crate::settings::effective::RuleSpec| {
            let of_policy = rule.policies.iter().any(|id| usize::from(id.0) == policy);
            rule.kind == RuleKind::Allow && of_policy && *rule.id != *own && covers(rule, &new.name)
        };
        if let Some(rule) = settings.rules.iter().find(allows) {
            let (id, name) = (&rule.id, &rule.name);
            return Err(EditError::Refused(format!(
                "The rule {id} allows {name}, and what is allowed is never blocked: take it back \
                 first, on the page System or in its file."
            )));
        }
    }
    plan(reading.node.records(), new)
}

fn covers(rule: &crate::settings::effective::RuleSpec, name: &str) -> bool {
    let below = || name.strip_suffix(&*rule.name).is_some_and(|rest| rest.ends_with('.'));
    *rule.name == *name || (rule.subdomains && below())
}

/// What is written: the rule, and that the opposite one is gone.
fn plan(records: &BTreeMap<String, String>, new: &NewRule) -> Result<(String, Writes), EditError> {
    let wrong = |field, wrong: crate::settings::fields::Wrong| {
        EditError::field(field, format!("{} {}", wrong.message, wrong.fix))
    };
    let (kind, other) = match new.allow {
        true => (RuleKind::Allow, RuleKind::Deny),
        false => (RuleKind::Deny, RuleKind::Allow),
    };
    let rule = Rule {
        kind,
        name: Name::parse(&new.name).map_err(|why| wrong("name", why))?,
        subdomains: true,
        policies: vec![Id::parse(&new.policy).map_err(|why| wrong("policy", why))?],
        comment: None,
    };
    let key = |kind| Rule::key(&id(kind, &new.policy, rule.name.as_str()));
    let (key, opposite) = (key(kind), key(other));
    if let Some(why) = locked(records, &key).or_else(|| locked(records, &opposite)) {
        return Err(EditError::Locked(why));
    }
    let mut writes = vec![(key.clone(), Some(rule.to_json()))];
    if records.contains_key(&opposite) {
        writes.push((opposite, None));
    }
    Ok((key, writes))
}

/// The id of such a rule, the same on both hosts. Of a long name only the end stands in it, with a
/// number that tells it from others that end so.
fn id(kind: RuleKind, policy: &str, name: &str) -> String {
    let kind = if kind == RuleKind::Allow { "allow" } else { "deny" };
    let whole = format!("{kind}-{policy}-{name}").to_ascii_lowercase();
    if whole.len() <= LONGEST {
        return whole;
    }
    // FNV-1a.
    let hash = whole
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let start = format!("{kind}-{hash:08x}-");
    // An id is ASCII, and so is what it is made of.
    let end = whole.get(whole.len() - (LONGEST - start.len())..).unwrap_or_default();
    format!("{start}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, name: &str) -> NewRule {
        NewRule { allow, name: name.to_owned(), policy: "kids".to_owned() }
    }

    #[test]
    fn a_rule_takes_the_place_of_its_opposite() {
        let mut records = BTreeMap::new();
        let (denied, writes) = plan(&records, &rule(false, "Ads.Example")).expect("a rule");
        assert_eq!(denied, "rule/deny-kids-ads.example");
        assert_eq!(writes.len(), 1);
        let json = writes[0].1.clone().expect("a record");
        assert!(json.contains("\"policies\":[\"kids\"]") && json.contains("\"ads.example\""));
        records.insert(denied.clone(), json);
        let (allowed, writes) = plan(&records, &rule(true, "ads.example")).expect("a rule");
        assert_eq!(allowed, "rule/allow-kids-ads.example");
        assert_eq!(writes[1], (denied, None));
    }

    #[test]
    fn ids_of_long_names_fit_and_differ() {
        let long = |first: &str| format!("{first}.{}.example", "x".repeat(60));
        let (a, b) = (long("a"), long("b"));
        let ids = [&a, &b].map(|name| id(RuleKind::Allow, "kids", name));
        assert_ne!(ids[0], ids[1]);
        for id in ids {
            assert!(Id::parse(&id).is_ok(), "{id}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "a..b", "<img>", "=1+1"] {
            assert!(plan(&BTreeMap::new(), &rule(true, name)).is_err(), "{name}");
        }
    }
}
