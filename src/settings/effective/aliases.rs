//! Aliases among the household's own records that lead nowhere: round in a circle, or on and on.

use std::collections::{BTreeMap, BTreeSet};

use lanward_dns::LocalNames;

use super::NamedRecord;
use crate::settings::problem::{Place, Problem};
use crate::settings::records::{LocalRecord, Record, RecordData};

/// What is wrong with which of `records`, each with its id: nobody can be answered by those. Names
/// without a dot are of `domain`.
pub(super) fn problems(records: &[(&str, NamedRecord)], domain: &str) -> BTreeMap<usize, Problem> {
    let aliases = Aliases::of(records, domain);
    let mut found = BTreeMap::new();
    for &at in aliases.targets.keys() {
        if let Some(problem) = aliases.viewers.iter().find_map(|who| aliases.judge(at, *who)) {
            found.insert(at, problem);
        }
    }
    found
}

struct Aliases<'r> {
    records: &'r [(&'r str, NamedRecord)],
    owners: BTreeMap<&'r str, Vec<usize>>,
    /// Where each alias leads.
    targets: BTreeMap<usize, String>,
    /// The networks whose clients may see other records than everybody, and everybody.
    viewers: BTreeSet<Option<&'r str>>,
}

impl<'r> Aliases<'r> {
    fn of(records: &'r [(&'r str, NamedRecord)], domain: &str) -> Self {
        let mut aliases = Self {
            records,
            owners: BTreeMap::new(),
            targets: BTreeMap::new(),
            viewers: [None].into(),
        };
        for (at, (_, record)) in records.iter().enumerate() {
            aliases.owners.entry(&record.name).or_default().push(at);
            aliases.viewers.extend(record.networks.iter().map(|network| Some(&**network)));
            if let RecordData::Cname(target) = &record.data {
                aliases.targets.insert(at, target.in_domain(domain));
            }
        }
        aliases
    }

    /// The alias that `viewer` sees at `name`. A network's own records stand in place of
    /// everybody's.
    fn seen(&self, name: &str, viewer: Option<&str>) -> Option<usize> {
        let all = self.owners.get(name)?;
        let networks = |at: usize| &self.records[at].1.networks;
        let own = |at: &usize| networks(*at).iter().any(|network| Some(&**network) == viewer);
        let special = all.iter().any(own);
        all.iter()
            .copied()
            .filter(|at| if special { own(at) } else { networks(*at).is_empty() })
            .find(|at| self.targets.contains_key(at))
    }

    fn judge(&self, start: usize, viewer: Option<&str>) -> Option<Problem> {
        let name = |at: usize| &*self.records[at].1.name;
        let place = |at: usize| Place::new(LocalRecord::key(self.records[at].0), "value");
        if self.seen(name(start), viewer) != Some(start) {
            return None;
        }
        let mut way = vec![start];
        while let Some(next) =
            way.last().and_then(|at| self.targets.get(at)).and_then(|to| self.seen(to, viewer))
        {
            if next == start {
                let names: Vec<&str> = way.iter().chain(&[start]).map(|at| name(*at)).collect();
                let message =
                    format!("{} leads back to itself: {}.", name(start), names.join(", "));
                let fix = "Have one of these CNAME records lead to a host.";
                let problem = Problem::error(place(start), message, fix);
                return Some(match way.get(1) {
                    Some(second) => problem.with(place(*second)),
                    None => problem,
                });
            }
            // A circle further on is those records' fault.
            if way.contains(&next) {
                return None;
            }
            if way.len() == LocalNames::MAX_ALIASES {
                let message = format!(
                    "{} leads through more than {} other names.",
                    name(start),
                    LocalNames::MAX_ALIASES
                );
                let fix = "Have it lead to the host itself.";
                return Some(Problem::error(place(start), message, fix).with(place(next)));
            }
            way.push(next);
        }
        None
    }
}
