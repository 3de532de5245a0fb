//! A client that does not ask for recursion gets none (RFC 1035, 4.1.1).

use super::{Asked, Cx, Outcome, Step};
use crate::Answered;
use crate::wire::{Ede, Rcode, Reply};

pub(super) fn judge<'a>(_cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    if asked.query.rd() {
        return Step::Next;
    }
    let ede = Ede { code: Ede::NOT_AUTHORITATIVE, text: &|_| () };
    Reply::to(&asked.query, Rcode::REFUSED, out).finish(asked.limit(), Some(ede));
    Step::Done(Outcome::Answered(Answered::Refused))
}
