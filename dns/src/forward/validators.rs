//! One validator for each group of upstream servers, kept while the group stays the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use super::recurse::Recursion;
use super::server::Received;
use super::validate::{Ask, Asking, Checked, Lookup, Validator};
use super::{Groups, Question};
use crate::cache::FailureKind;
use crate::routes::Route;
use crate::shared::Snapshot;
use crate::{DnssecMode, DnssecState, UpstreamServer};

/// What came of a question.
pub(super) enum Got {
    /// As it was received: nobody has looked at signatures.
    Received(Received),
    Checked(Checked),
}

impl Got {
    pub(super) fn into_checked(self) -> Result<Checked, FailureKind> {
        match self {
            Self::Received(received) => received.into_message().map(Checked::unchecked),
            Self::Checked(checked) => Ok(checked),
        }
    }
}

/// All validators of one snapshot.
#[derive(Debug, Default)]
pub(crate) struct Validators {
    of_group: Vec<OfGroup>,
}

struct OfGroup {
    id: Arc<str>,
    tag: u64,
    ask: Arc<AskGroup>,
    validator: Arc<Validator>,
}

/// A group as one who can be asked; it may move in the list of groups.
struct AskGroup {
    groups: ArcSwap<Groups>,
    at: AtomicUsize,
}

impl Validators {
    /// Those for a snapshot's groups, with what the snapshot's validators know already.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let before = &snapshot.validators.of_group;
        let groups = snapshot.groups.upstreams.groups.iter().enumerate();
        let of_group = groups.map(|(at, group)| {
            let tag = group.tag();
            let known = before.iter().find(|of| of.tag == tag);
            if let Some(known) = known.filter(|of| of.validator.goes_by(&snapshot.dnssec)) {
                known.ask.groups.store(snapshot.groups.clone());
                known.ask.at.store(at, Ordering::Relaxed);
                let (ask, validator) = (known.ask.clone(), known.validator.clone());
                return OfGroup { id: group.id.clone(), tag, ask, validator };
            }
            let learned = &snapshot.learned;
            // A router may be another one tomorrow, at the same address.
            let lasting = group.servers.iter().all(UpstreamServer::is_public);
            let proven = known.is_some_and(|of| of.validator.is_proven())
                || (lasting && learned.is_proven(tag));
            let groups = ArcSwap::new(snapshot.groups.clone());
            let ask = Arc::new(AskGroup { groups, at: AtomicUsize::new(at) });
            let validator = Validator::new(ask.clone(), snapshot.dnssec.clone(), proven);
            let validator = validator.telling(learned, tag);
            OfGroup { id: group.id.clone(), tag, ask, validator: Arc::new(validator) }
        });
        Self { of_group: of_group.collect() }
    }

    /// Who is to validate the answer, when anybody is.
    fn validator(&self, question: &Question, route: Route) -> Option<&Arc<Validator>> {
        let validator = &self.of_group.get(route.group)?.validator;
        let off = route.exempt || validator.mode() == DnssecMode::Off || validator.is_waiting();
        (!off && !question.cd()).then_some(validator)
    }

    /// Whether the answer is to be validated.
    pub(super) fn check(&self, question: &Question, route: Route) -> bool {
        self.validator(question, route).is_some()
    }

    /// What is to be done to ask and validate, where that is to be.
    pub(super) fn checking(&self, question: &Question, route: Route) -> Option<Checking> {
        let validator = self.validator(question, route)?;
        Some(Checking { validator: validator.clone(), lookup: question.lookup()? })
    }

    /// How it goes, by the groups' ids.
    pub(crate) fn state(&self) -> Vec<(Arc<str>, DnssecState)> {
        self.of_group.iter().map(|of| (of.id.clone(), of.validator.state())).collect()
    }
}

/// A question to be asked and its answer to be validated.
pub(super) struct Checking {
    validator: Arc<Validator>,
    lookup: Lookup,
}

impl Checking {
    pub(super) async fn run(&self) -> Result<Checked, FailureKind> {
        Recursion::bounded(self.validator.resolve(self.lookup.clone())).await
    }

    /// The same, believing nothing that was told of the zones above the name before.
    pub(super) async fn run_again(&self) -> Result<Checked, FailureKind> {
        self.validator.forget_above(&self.lookup.name);
        self.run().await
    }
}

impl Ask for AskGroup {
    fn ask(&self, lookup: Lookup) -> Asking {
        let (groups, at) = (self.groups.load_full(), self.at.load(Ordering::Relaxed));
        Box::pin(async move {
            let question = Question::of(&lookup).ok_or(FailureKind::Garbled)?;
            groups.ask(at, &question).await?.into_message()
        })
    }
}

impl std::fmt::Debug for OfGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfGroup").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Upstreams;

    #[test]
    fn a_restart_forgets_signatures_only_of_who_may_be_another_tomorrow() {
        for (server, lasting) in [("9.9.9.9:53", true), ("192.168.1.1:53", false)] {
            let upstreams = Upstreams::plain([server.parse().expect("an address")]);
            let snapshot = Snapshot {
                groups: Arc::new(Groups::new(upstreams, &Groups::default())),
                ..Snapshot::default()
            };
            let is_proven =
                |snapshot: &Snapshot| Validators::of(snapshot).of_group[0].validator.is_proven();
            assert!(!is_proven(&snapshot), "{server}");
            snapshot.learned.prove(snapshot.groups.upstreams.groups[0].tag());
            assert_eq!(is_proven(&snapshot), lasting, "{server}");
        }
    }
}
