//! An event as bytes in a ring: a head of fixed size and two names.
//!
//! Both ends are in this process, so the format has no version.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::{DnssecOutcome, UpstreamId};
use crate::name::MAX_WIRE;
use crate::{Answered, ListId, Now, PolicyId, RecordType, RuleRef, Transport};

/// Bytes before the names.
const HEAD: usize = 46;

/// The largest event.
pub(super) const MAX: usize = HEAD + 2 * MAX_WIRE;

/// Stands for "answered at once" and for "nobody".
const NONE_32: u32 = u32::MAX;
const NONE_16: u16 = u16::MAX;

const RULE: u8 = 1;
const ALLOWED: u8 = 2;

/// What a worker knows of an event, in what it has at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft<'a> {
    pub(crate) at: Now,
    pub(crate) took: Option<Duration>,
    pub(crate) client: IpAddr,
    pub(crate) transport: Transport,
    pub(crate) name: &'a [u8],
    pub(crate) qtype: RecordType,
    pub(crate) how: Answered,
    pub(crate) rcode: u8,
    /// Which names the numbers of policy and list stand for.
    pub(crate) generation: u16,
    pub(crate) policy: PolicyId,
    pub(crate) rule: Option<Rule<'a>>,
    pub(crate) upstream: Option<UpstreamId>,
    pub(crate) dnssec: DnssecOutcome,
}

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule<'a> {
    pub(crate) rule: RuleRef,
    pub(crate) allowed: bool,
    /// The name that it matched, unless that is the one asked for.
    pub(crate) target: Option<&'a [u8]>,
}

impl Draft<'_> {
    /// Writes the event into `out`, and gives its length. `None` for names longer than names are.
    pub(super) fn encode(&self, out: &mut [u8; MAX]) -> Option<usize> {
        let target = self.rule.and_then(|rule| rule.target).unwrap_or_default();
        let len = HEAD + self.name.len() + target.len();
        let (head, names) = out.split_first_chunk_mut::<HEAD>()?;
        let (name, rest) = names.split_at_mut_checked(self.name.len())?;
        name.copy_from_slice(self.name);
        if !target.is_empty() {
            rest.get_mut(..target.len())?.copy_from_slice(target);
        }
        let client = match self.client {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let took = self.took.map_or(NONE_32, |took| {
            u32::try_from(took.as_micros()).unwrap_or(NONE_32 - 1).min(NONE_32 - 1)
        });
        let upstream = self.upstream.map_or(NONE_16, |upstream| upstream.0);
        let (rule, mut flags) = match self.rule {
            Some(Rule { rule, allowed, .. }) => (rule, if allowed { RULE | ALLOWED } else { RULE }),
            None => (RuleRef { list: ListId(0), labels: 0 }, 0),
        };
        flags |= (self.dnssec as u8) << 4;
        let (numbers, bytes) = (
            [len as u16, self.generation, self.policy.0, self.qtype.0, upstream, rule.list.0],
            [
                self.how as u8,
                self.transport as u8,
                self.rcode,
                rule.labels,
                flags,
                self.name.len() as u8,
            ],
        );
        head[..16].copy_from_slice(&client.octets());
        head[16..24].copy_from_slice(&(self.at.0.as_micros() as u64).to_le_bytes());
        head[24..28].copy_from_slice(&took.to_le_bytes());
        for (slot, number) in head[28..40].chunks_exact_mut(2).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        head[40..46].copy_from_slice(&bytes);
        Some(len)
    }

    /// Reads the first event in `bytes`, and gives the rest.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Draft<'_>, &[u8])> {
        let head = bytes.first_chunk::<HEAD>()?;
        let mut numbers = [0; 6];
        for (number, slot) in numbers.iter_mut().zip(head[28..40].chunks_exact(2)) {
            *number = u16::from_le_bytes(slot.try_into().ok()?);
        }
        let [len, generation, policy, qtype, upstream, list] = numbers;
        let [how, transport, rcode, labels, flags, name_len] = head[40..46].try_into().ok()?;
        let (event, rest) = bytes.split_at_checked(usize::from(len))?;
        let (name, target) = event.get(HEAD..)?.split_at_checked(usize::from(name_len))?;
        let client = Ipv6Addr::from_octets(head[..16].try_into().ok()?);
        let took = u32::from_le_bytes(head[24..28].try_into().ok()?);
        let draft = Draft {
            at: Now(Duration::from_micros(u64::from_le_bytes(head[16..24].try_into().ok()?))),
            took: (took != NONE_32).then(|| Duration::from_micros(took.into())),
            client: client.to_canonical(),
            transport: *Transport::ALL.get(usize::from(transport))?,
            name,
            qtype: RecordType(qtype),
            how: *Answered::ALL.get(usize::from(how))?,
            rcode,
            generation,
            policy: PolicyId(policy),
            rule: (flags & RULE != 0).then(|| Rule {
                rule: RuleRef { list: ListId(list), labels },
                allowed: flags & ALLOWED != 0,
                target: Some(target).filter(|target| !target.is_empty()),
            }),
            upstream: (upstream != NONE_16).then_some(UpstreamId(upstream)),
            dnssec: *DnssecOutcome::ALL.get(usize::from(flags >> 4))?,
        };
        Some((draft, rest))
    }
}
