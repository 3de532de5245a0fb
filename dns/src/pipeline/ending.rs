//! What a client is told that had to wait, once asking upstream has ended.

use std::sync::Arc;

use super::{
    Asked, Asker, Cx, Errand, Outcome, Pipeline, Step, access, conditional, filtering, local_names,
    policy, rebinding, record,
};
use crate::Answered;
use crate::cache::{Cached, Entry, FailureKind, Now, Use};
use crate::history::{Recording, Way};
use crate::shared::Snapshot;
use crate::wire::Query;

/// How asking upstream ended.
#[derive(Clone, Debug)]
pub(crate) enum Result {
    Answer(Arc<Entry>),
    /// Somebody else's question has brought the answer just before.
    Known(Arc<Entry>),
    Failed(FailureKind),
    /// Not ended yet, but the client should not wait any longer.
    Late,
}

impl Pipeline {
    /// Answers a packet that was a [`Outcome::Miss`] before, now that asking upstream has ended.
    /// The client's policy, the lists and the local names are those of now. `None` while there is
    /// nothing to say: asking is [`Result::Late`] and no expired answer is at hand.
    #[allow(clippy::too_many_arguments, reason = "two calls, each with all of it at hand")]
    pub(crate) fn finish(
        &self,
        snapshot: &Snapshot,
        packet: &[u8],
        asker: Asker,
        result: &Result,
        way: Way,
        now: Now,
        out: &mut Vec<u8>,
        history: &mut impl Recording,
    ) -> Option<Outcome> {
        let cx = Cx { snapshot, cache: &self.cache, now };
        let query = Query::parse(packet).ok()?;
        let mut asked = Asked::new(query, asker);
        for stage in [access::judge, conditional::choose, policy::choose] {
            if let Step::Done(outcome) = stage(&cx, &mut asked, out) {
                return Some(outcome);
            }
        }
        let mut result = result;
        if let Result::Answer(entry) | Result::Known(entry) = result
            && let target = local_names::leads_out(snapshot, &asked.query, asker.source.ip())
            && !entry.is_about(target.unwrap_or(asked.query.name()))
        {
            // Another name was asked: the local names are others than when the question came. The
            // client asks again, and that goes the new way.
            match self.handle_with(snapshot, packet, asker, now, out, history) {
                Outcome::Miss => result = &Result::Failed(FailureKind::Garbled),
                Outcome::Aging(how) => return Some(Outcome::Answered(how)),
                outcome => return Some(outcome),
            }
        }
        let outcome = conclude(&cx, &mut asked, result, out)?;
        if let Outcome::Answered(how) = outcome {
            record(&cx, &asked, how, way, out, history);
        }
        Some(outcome)
    }
}

/// Writes what asking upstream came to.
pub(super) fn conclude<'a>(
    cx: &Cx<'a>,
    asked: &mut Asked<'a>,
    result: &Result,
    out: &mut Vec<u8>,
) -> Option<Outcome> {
    let (snapshot, now) = (cx.snapshot, cx.now);
    let Errand { key, alias, .. } = Errand::of(snapshot, &asked.query, asked.asker);
    let (entry, how, answered) = match result {
        Result::Answer(entry) => (entry.clone(), Use::Fresh, Answered::Forwarded),
        Result::Known(entry) => (entry.clone(), Use::Fresh, Answered::Cached),
        Result::Failed(_) | Result::Late => match cx.cache.get(key.as_bytes(), now) {
            // Another question's answer came in meanwhile.
            Cached::Fresh(entry) => (entry, Use::Fresh, Answered::Cached),
            Cached::Stale(entry, _) => (entry, Use::Stale, Answered::Stale),
            Cached::Missing | Cached::Failed(_) => {
                let Result::Failed(why) = result else { return None };
                why.write(&asked.query, false, asked.limit(), out);
                return Some(Outcome::Answered(Answered::Failed));
            }
        },
    };
    let target = local_names::leads_out(snapshot, &asked.query, asked.asker.source.ip());
    match target {
        None => filtering::excuse(cx, asked),
        Some(target) => {
            if let Step::Done(outcome) = filtering::judge_alias(cx, asked, target, out) {
                return Some(outcome);
            }
        }
    }
    if let Step::Done(outcome) = filtering::judge_targets(cx, asked, &entry, out) {
        return Some(outcome);
    }
    let name = target.unwrap_or(asked.query.name());
    let public = rebinding::judge(cx, asked, name, &entry);
    let (entry, answered) =
        public.map_or((&*entry, answered), |public| (public, Answered::Withheld));
    match alias {
        None => entry.write(&asked.query, how, now, asked.limit(), out),
        Some(alias) => alias.write(asked, entry, how, now, out),
    }
    Some(Outcome::Answered(answered))
}
