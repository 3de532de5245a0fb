//! Answers from the cache.

use super::filtering::judge_targets;
use super::{Asked, Cx, Outcome, Step, rebinding};
use crate::Answered;
use crate::cache::{Cached, Use};

pub(super) fn answer<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let (entry, how, answered) =
        match cx.cache.get(asked.route.key(asked.query.name(), &asked.query).as_bytes(), cx.now) {
            Cached::Fresh(entry) => (entry, Use::Fresh, Answered::Cached),
            // Asking has just failed: no use in letting the client wait for the next failure.
            Cached::Stale(entry, Some(_)) => (entry, Use::Stale, Answered::Stale),
            Cached::Failed(failure) => {
                failure.why.write(&asked.query, true, asked.limit(), out);
                return Step::Done(Outcome::Answered(Answered::Failed));
            }
            Cached::Stale(_, None) | Cached::Missing => return Step::Next,
        };
    if let blocked @ Step::Done(_) = judge_targets(cx, asked, &entry, out) {
        return blocked;
    }
    if let Some(public) = rebinding::judge(cx, asked, asked.query.name(), &entry) {
        public.write(&asked.query, how, cx.now, asked.limit(), out);
        return Step::Done(Outcome::Answered(Answered::Withheld));
    }
    entry.write(&asked.query, how, cx.now, asked.limit(), out);
    Step::Done(match how == Use::Fresh && asked.query.rd() && entry.wants_refresh(cx.now) {
        true => Outcome::Aging(answered),
        false => Outcome::Answered(answered),
    })
}
