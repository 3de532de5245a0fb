//! What is done to find the answer to one question: it is asked, the answer is validated, and where
//! one question does not do, others are asked.

use std::sync::Arc;

use super::dns64;
use super::groups::{Groups, avoiding, who_answered};
use super::question::Question;
use super::validate::{Checked, effort};
use super::validators::{Checking, Got, Validators};
use super::wrong_clock::TimeQuestion;
use crate::cache::FailureKind;
use crate::routes::Route;
use crate::shared::Snapshot;

/// Servers whose answer to one question may be bogus before it is called so.
const MAX_LIARS: usize = 2;

/// One question of a client.
pub(super) struct Inquiry {
    groups: Arc<Groups>,
    validators: Arc<Validators>,
    pub(super) question: Question,
    route: Route,
}

impl Inquiry {
    pub(super) fn new(snapshot: &Snapshot, question: Question, route: Route) -> Self {
        let (groups, validators) = (snapshot.groups.clone(), snapshot.validators.clone());
        Self { groups, validators, question, route }
    }

    /// Whether signatures are checked, which takes its time.
    pub(super) fn is_checking(&self) -> bool {
        self.validators.check(&self.question, self.route)
    }

    pub(super) async fn run(self) -> Result<Got, FailureKind> {
        match self.question.for_nat64(self.route.dns64) {
            // What is rare is boxed, so that what is not takes little room.
            Some(prefix) => Box::pin(dns64::find(&self, prefix)).await,
            None => self.ask(&self.question).await,
        }
    }

    /// Asks and validates. A bogus answer is asked for again of other servers of the group: one that
    /// lies, or is broken, is not the whole truth. What that costs is bounded in all, and where it was
    /// dear to find out, others are not asked: it is rather the zone that is hostile.
    async fn check(&self, checking: &Checking) -> Result<Checked, FailureKind> {
        let first = checking.run().await;
        let mut liars = Vec::new();
        for _ in 0..self.groups.others(self.route.group).min(MAX_LIARS) {
            let (Err(FailureKind::Bogus(_)), Some(liar)) = (&first, who_answered()) else { break };
            if effort::is_costly() {
                break;
            }
            liars.push(liar);
            // What is rare is boxed, as above.
            match Box::pin(avoiding(liars.clone(), checking.run_again())).await {
                Ok(checked) => return Ok(checked),
                Err(FailureKind::Bogus(_)) => {}
                // Silence proves nothing better.
                Err(_) => break,
            }
        }
        first
    }

    /// Asks one question, the client's or one that its answer is made of.
    pub(super) async fn ask(&self, question: &Question) -> Result<Got, FailureKind> {
        let route = self.route;
        let result = match self.validators.checking(question, route) {
            Some(checking) => {
                effort::bounded(Box::pin(self.check(&checking))).await.map(Got::Checked)
            }
            None => self.groups.ask(route.group, question).await.map(Got::Received),
        };
        let Err(why) = result else { return result };
        match TimeQuestion::of(&self.groups, route.group, question) {
            Some(question) => Box::pin(question.retry(why)).await,
            None => Err(why),
        }
    }
}
