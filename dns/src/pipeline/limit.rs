//! A client that asks more than it may gets half of its surplus questions back with TC, and nothing
//! for the rest: a device that is merely busy goes on over TCP, where it has to wait for its
//! answers, and a forged source is sent no more than it is said to have asked.

use super::{Asked, Asker, Cx, Outcome, Step};
use crate::wire::{Rcode, Reply};
use crate::{Answered, DropReason};

pub(super) fn judge<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    if admits(cx, asked.asker) {
        return Step::Next;
    }
    // The id is random, where the client is honest.
    let [_, low] = asked.query.head.id;
    if !asked.asker.transport.is_udp() || low & 1 == 0 {
        return Step::Done(Outcome::Dropped(DropReason::RateLimit));
    }
    let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
    reply.truncated();
    reply.finish(asked.limit(), None);
    Step::Done(Outcome::Answered(Answered::Limited))
}

/// Counts the question. This host's own questions, and those of programs on it, are not limited.
pub(super) fn admits(cx: &Cx<'_>, asker: Asker) -> bool {
    let Some(limit) = cx.snapshot.protection.rate_limit else { return true };
    let source = asker.source.ip();
    source.to_canonical().is_loopback() || cx.snapshot.limiter.admits(source, limit, cx.now)
}
