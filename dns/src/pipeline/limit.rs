//! A client that asks more than it may over UDP is told by TC to come over TCP, as often as it may
//! ask at all, and hears nothing beyond that: a device that is merely busy goes on over TCP, where
//! its questions wait for their turn ([`pace`]), and a forged source is sent no more than it is said
//! to have asked.

use std::time::Duration;

use super::{Asked, Asker, Cx, Outcome, Step};
use crate::limiter::Admission;
use crate::shared::Snapshot;
use crate::wire::{Rcode, Reply};
use crate::{Answered, DropReason, Now};

/// How long a question over a connection may have to wait for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn judge<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    match admit(cx, asked.asker) {
        Admission::Admitted => Step::Next,
        Admission::Referred => {
            let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
            reply.truncated();
            reply.finish(asked.limit(), None);
            Step::Done(Outcome::Answered(Answered::Limited))
        }
        Admission::Ignored => Step::Done(Outcome::Dropped(DropReason::RateLimit)),
    }
}

/// Counts the question. This host's own questions, and those of programs on it, are not limited;
/// those over connections have waited for their turn already.
pub(super) fn admit(cx: &Cx<'_>, asker: Asker) -> Admission {
    let source = asker.source.ip();
    match cx.snapshot.protection.rate_limit {
        Some(limit) if asker.transport.is_udp() && !source.to_canonical().is_loopback() => {
            cx.snapshot.limiter.admit(source, limit, cx.now)
        }
        _ => Admission::Admitted,
    }
}

/// How long a question over a connection has to wait before it is looked at; an error when its client
/// asks far more than it may.
pub(crate) fn pace(snapshot: &Snapshot, asker: Asker, now: Now) -> Result<Duration, DropReason> {
    let source = asker.source.ip();
    match snapshot.protection.rate_limit {
        Some(limit) if !source.to_canonical().is_loopback() => {
            let wait = snapshot.limiter.pace(source, limit, now, PATIENCE);
            wait.ok_or(DropReason::RateLimit)
        }
        _ => Ok(Duration::ZERO),
    }
}
