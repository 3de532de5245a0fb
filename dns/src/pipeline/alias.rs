//! A local alias that leads out of the house: its target is asked upstream, and the answer gets the
//! alias in front. Rare, so it may allocate.

use std::net::IpAddr;

use hickory_proto::op::Message;

use super::{Asked, Now, local_names};
use crate::cache::{Entry, FailureKind, Key, Use};
use crate::local::Found;
use crate::name::Name;
use crate::routes::Route;
use crate::shared::Snapshot;
use crate::wire::{CLASS_IN, HEADER, Query, Rcode, Reply};
use crate::{LocalNames, RecordType};

/// Where a local alias leads.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    /// The aliases as records in wire format, and how many.
    records: Vec<u8>,
    count: u16,
    target: Name,
    pub(super) key: Key,
    pub(super) route: Route,
}

impl Alias {
    /// `None` when the asked name is no alias, or one that ends in the house. `route` tells who is
    /// asked for a name.
    pub(crate) fn of(
        snapshot: &Snapshot,
        query: &Query<'_>,
        asker: IpAddr,
        route: impl Fn(&[u8]) -> Route,
    ) -> Option<Self> {
        let (mut records, mut count, mut name) = (Vec::new(), 0, query.name());
        let mut found = snapshot.local.find_asked(name, query.qtype, asker);
        loop {
            match found {
                Found::Alias(alias) if usize::from(count) < LocalNames::MAX_ALIASES => {
                    records.extend_from_slice(name);
                    records.extend_from_slice(&RecordType::CNAME.0.to_be_bytes());
                    records.extend_from_slice(&CLASS_IN.to_be_bytes());
                    records.extend_from_slice(&alias.ttl_secs.to_be_bytes());
                    records.extend_from_slice(&(alias.rdata.len() as u16).to_be_bytes());
                    records.extend_from_slice(&alias.rdata);
                    count += 1;
                    name = &alias.rdata;
                    found = local_names::next(snapshot, name, query.qtype, asker);
                }
                Found::Elsewhere if count > 0 => break,
                _ => return None,
            }
        }
        let route = route(name);
        let key = route.key(name, query);
        Some(Self { records, count, target: Name::from_wire(name)?, key, route })
    }

    /// The name to ask upstream.
    pub(crate) fn target(&self) -> &Name {
        &self.target
    }

    /// Writes the aliases and after them the target's answer.
    pub(super) fn write(
        &self,
        asked: &Asked<'_>,
        entry: &Entry,
        how: Use,
        now: Now,
        out: &mut Vec<u8>,
    ) {
        let query = &asked.query;
        let Some((message, rcode)) = self.message(query, entry, how, now) else {
            return FailureKind::Garbled.write(query, false, asked.limit(), out);
        };
        let Some(body) = message.get(HEADER + query.question.len()..) else {
            return FailureKind::Garbled.write(query, false, asked.limit(), out);
        };
        let count = |at| crate::wire::u16_at(&message, at).unwrap_or(0);
        let mut reply = Reply::to(query, rcode, out);
        reply.body(body, count(6), count(8));
        reply.finish(asked.limit(), entry.ede(how));
    }

    /// The whole answer, compressed for the asked question.
    fn message(
        &self,
        query: &Query<'_>,
        entry: &Entry,
        how: Use,
        now: Now,
    ) -> Option<(Vec<u8>, Rcode)> {
        let [high, low] = query.qtype.0.to_be_bytes();
        let question = [self.target.as_wire(), &[high, low], &CLASS_IN.to_be_bytes()].concat();
        let target = entry.to_message(&question, how, now)?;
        let mut wire = vec![0, 0, 0x80, 0, 0, 1];
        wire.extend_from_slice(&self.count.to_be_bytes());
        wire.extend_from_slice(&[0; 4]);
        wire.extend_from_slice(query.question);
        wire.extend_from_slice(&self.records);
        let mut message = Message::from_vec(&wire).ok()?;
        message.answers.extend(target.answers);
        message.authorities = target.authorities;
        let rcode = Rcode(u16::from(target.metadata.response_code));
        Some((message.to_vec().ok()?, rcode))
    }
}
