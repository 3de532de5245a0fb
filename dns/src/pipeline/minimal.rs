//! ANY is answered with one HINFO record that says so (RFC 8482, 4.2): the full answer is what
//! amplification attacks ask for, and no client needs it.

use super::{Asked, Cx, Outcome, Step};
use crate::wire::{Owner, Rcode, Reply};
use crate::{Answered, RecordType};

const TTL_SECS: u32 = 3600;

pub(super) fn answer<'a>(_cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    if asked.query.qtype != RecordType::ANY {
        return Step::Next;
    }
    write(asked, false, out);
    Step::Done(Outcome::Answered(Answered::Refused))
}

pub(super) fn write(asked: &Asked<'_>, authoritative: bool, out: &mut Vec<u8>) {
    let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
    if authoritative {
        reply.authoritative();
    }
    reply.answer(Owner::Question, RecordType::HINFO, TTL_SECS, b"\x07RFC8482\0");
    reply.finish(asked.limit(), None);
}
