//! Own recursion: asking the name servers of the zones themselves, from the root down (RFC 1034,
//! 5.3.3), instead of a forwarder.
//!
//! hickory's recursor finds the servers, asks each only for the next label of the name (RFC 9156),
//! refuses what is out of bailiwick and servers at private addresses, and keeps what it learns. Left
//! to us are the bounds of one question, and the aliases: where an alias leads to nothing, hickory
//! loses the alias, and where it leads to a wildcard, the proof.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hickory_net::{DnsError, NetError};
use hickory_proto::op::{Message, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::recursor::{
    AuthorityData, DnssecPolicy, QNameMinimization, Recursor, RecursorError, RecursorOptions,
};
use tokio::time::timeout;

use super::validate::{Ask, Asking, Lookup};
use crate::cache::FailureKind;
use crate::wire::UDP_PAYLOAD;
use provider::{Provider, SENDS};

mod provider;

/// Requests sent for one question of a client, those for keys and delegations included. Each may be
/// repeated once, so this bounds the packets to twice as many (NXNSAttack: 100).
pub(crate) const MAX_SENDS: u32 = 50;

/// Aliases followed for one question, each with a search of its own.
const MAX_RESTARTS: usize = 11;

/// One search ends after so long.
const PATIENCE: Duration = Duration::from_millis(4500);

/// Answers and groups of name servers that are remembered; the answers of clients' questions are
/// kept elsewhere.
const ANSWERS: u64 = 4096;
const SERVERS: usize = 1024;

/// Bytes of answers after which all is forgotten: hickory counts answers, and a hostile zone's may be
/// of 64 KiB each. Ordinary ones take about 3 KiB, so a household gets there once a day or less.
const REMEMBERED: u64 = 48 << 20;

/// Labels of all names on the way, aliases and name servers included.
const MAX_DEPTH: u8 = 64;

/// The root's name servers, a to m (iana.org/domains/root/servers).
pub(crate) const ROOT_SERVERS: [IpAddr; 26] = [
    v4(198, 41, 0, 4),
    v4(170, 247, 170, 2),
    v4(192, 33, 4, 12),
    v4(199, 7, 91, 13),
    v4(192, 203, 230, 10),
    v4(192, 5, 5, 241),
    v4(192, 112, 36, 4),
    v4(198, 97, 190, 53),
    v4(192, 36, 148, 17),
    v4(192, 58, 128, 30),
    v4(193, 0, 14, 129),
    v4(199, 7, 83, 42),
    v4(202, 12, 27, 33),
    v6([0x2001, 0x503, 0xba3e, 0, 0, 0, 0x2, 0x30]),
    v6([0x2801, 0x1b8, 0x10, 0, 0, 0, 0, 0xb]),
    v6([0x2001, 0x500, 0x2, 0, 0, 0, 0, 0xc]),
    v6([0x2001, 0x500, 0x2d, 0, 0, 0, 0, 0xd]),
    v6([0x2001, 0x500, 0xa8, 0, 0, 0, 0, 0xe]),
    v6([0x2001, 0x500, 0x2f, 0, 0, 0, 0, 0xf]),
    v6([0x2001, 0x500, 0x12, 0, 0, 0, 0, 0xd0d]),
    v6([0x2001, 0x500, 0x1, 0, 0, 0, 0, 0x53]),
    v6([0x2001, 0x7fe, 0, 0, 0, 0, 0, 0x53]),
    v6([0x2001, 0x503, 0xc27, 0, 0, 0, 0x2, 0x30]),
    v6([0x2001, 0x7fd, 0, 0, 0, 0, 0, 0x1]),
    v6([0x2001, 0x500, 0x9f, 0, 0, 0, 0, 0x42]),
    v6([0x2001, 0xdc3, 0, 0, 0, 0, 0, 0x35]),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

/// Our own recursion.
#[derive(Clone)]
pub(crate) struct Recursion {
    roots: Arc<[IpAddr]>,
    provider: Provider,
    recursor: Arc<ArcSwap<Recursor<Provider>>>,
}

impl Recursion {
    /// Beginning at these root servers; `None` when there are none.
    pub(crate) fn new(roots: &[IpAddr]) -> Option<Self> {
        Self::by(roots, Provider::default())
    }

    fn by(roots: &[IpAddr], provider: Provider) -> Option<Self> {
        let recursor = Arc::new(ArcSwap::from(Self::begin(roots, &provider)?));
        Some(Self { roots: roots.into(), provider, recursor })
    }

    /// One that knows nothing yet.
    fn begin(roots: &[IpAddr], provider: &Provider) -> Option<Arc<Recursor<Provider>>> {
        if roots.is_empty() {
            return None;
        }
        let options = RecursorOptions {
            ns_cache_size: SERVERS,
            response_cache_size: ANSWERS,
            recursion_limit: MAX_DEPTH,
            ns_recursion_limit: MAX_DEPTH,
            case_randomization: true,
            edns_payload_len: UDP_PAYLOAD,
            // Many servers still deny names that only have others below them.
            qname_minimization: QNameMinimization::Relaxed,
            ..RecursorOptions::default()
        };
        let policy = DnssecPolicy::ValidationDisabled;
        Recursor::new(roots, policy, None, options, provider.clone()).ok().map(Arc::new)
    }

    /// Forgets everything when it has become too much; questions under way go on as they were.
    fn bound_memory(&self, most: u64) {
        if self.provider.has_taken(most)
            && let Some(new) = Self::begin(&self.roots, &self.provider)
        {
            tracing::debug!("recursion has learned too much to remember, and begins anew");
            self.recursor.store(new);
        }
    }

    /// Runs what is done for one question of a client within its bounds.
    pub(crate) async fn bounded<T>(work: impl Future<Output = T>) -> T {
        match SENDS.try_with(|_| ()) {
            Ok(()) => work.await,
            Err(_) => SENDS.scope(AtomicU32::new(MAX_SENDS), work).await,
        }
    }

    async fn find(&self, lookup: Lookup) -> Result<Message, FailureKind> {
        let mut message = Message::response(0, OpCode::Query);
        message.queries.push(Asked::query(lookup.name.clone(), lookup.rtype));
        let (mut name, rtype) = (lookup.name, lookup.rtype);
        for _ in 0..=MAX_RESTARTS {
            match self.step(&name, rtype).await? {
                Step::End { answers, authorities, rcode } => {
                    message.answers.extend(answers);
                    message.authorities.extend(authorities);
                    message.metadata.response_code = rcode;
                    return Ok(message);
                }
                Step::Alias { answers, authorities, target } => {
                    message.answers.extend(answers);
                    message.authorities.extend(authorities);
                    name = target;
                }
            }
        }
        Err(FailureKind::Circle)
    }

    /// What stands at `name` itself.
    async fn step(&self, name: &Name, rtype: RecordType) -> Result<Step, FailureKind> {
        match self.ask_servers(name, rtype).await {
            Ok(message) => Ok(Step::of(name, rtype, message)),
            Err(RecursorError::Negative(data)) if rtype != RecordType::CNAME => {
                // Perhaps of an alias's target.
                match self.ask_servers(name, RecordType::CNAME).await {
                    Ok(message) => match Step::of(name, rtype, message) {
                        alias @ Step::Alias { .. } => Ok(alias),
                        Step::End { .. } => Ok(Step::nothing(data)),
                    },
                    Err(_) => Ok(Step::nothing(data)),
                }
            }
            Err(RecursorError::Negative(data)) => Ok(Step::nothing(data)),
            Err(error) => Err(failure(&error)),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a shell: what is remembered expires")]
    async fn ask_servers(&self, name: &Name, rtype: RecordType) -> Result<Message, RecursorError> {
        self.bound_memory(REMEMBERED);
        let recursor = self.recursor.load_full();
        recursor.resolve(Asked::query(name.clone(), rtype), Instant::now(), true).await
    }
}

impl std::fmt::Debug for Recursion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recursion").finish_non_exhaustive()
    }
}

enum Step {
    Alias { answers: Vec<Record>, authorities: Vec<Record>, target: Name },
    End { answers: Vec<Record>, authorities: Vec<Record>, rcode: ResponseCode },
}

impl Step {
    fn of(name: &Name, rtype: RecordType, message: Message) -> Self {
        let Message { answers, authorities, .. } = message;
        let has = |wanted: RecordType| {
            answers.iter().find(|record| record.name == *name && record.record_type() == wanted)
        };
        let target = match has(RecordType::CNAME).map(|record| &record.data) {
            Some(RData::CNAME(target)) if has(rtype).is_none() => Some(target.0.clone()),
            _ => None,
        };
        // What was found at the end of an alias is asked for again, by then from memory, with its
        // own authority section.
        let of_name = |record: &Record| {
            let covered = match super::validate::covered(record) {
                Some(covered) => covered,
                None => record.record_type(),
            };
            let renames = covered == RecordType::DNAME && record.name.zone_of(name);
            renames || (record.name == *name && [rtype, RecordType::CNAME].contains(&covered))
        };
        let answers: Vec<Record> = answers.into_iter().filter(of_name).collect();
        match target {
            Some(target) => Self::Alias { answers, authorities, target },
            None => Self::End { answers, authorities, rcode: ResponseCode::NoError },
        }
    }

    fn nothing(data: AuthorityData) -> Self {
        let nxdomain = data.is_nx_domain();
        let rcode = if nxdomain { ResponseCode::NXDomain } else { ResponseCode::NoError };
        let mut authorities: Vec<Record> =
            data.authorities.map(|records| records.to_vec()).unwrap_or_default();
        if let Some(soa) = data.soa {
            let soa = soa.into_record_of_rdata();
            if !authorities.contains(&soa) {
                authorities.push(soa);
            }
        }
        Self::End { answers: Vec::new(), authorities, rcode }
    }
}

fn failure(error: &RecursorError) -> FailureKind {
    let spent = SENDS.try_with(|sends| sends.load(std::sync::atomic::Ordering::Relaxed) == 0);
    match error {
        _ if spent.unwrap_or(false) => FailureKind::TooMuch,
        RecursorError::QueryBudgetExceeded => FailureKind::TooMuch,
        RecursorError::RecursionLimitExceeded { .. }
        | RecursorError::MaxRecordLimitExceeded { .. } => FailureKind::Circle,
        RecursorError::Timeout | RecursorError::Net(NetError::Timeout) => FailureKind::Timeout,
        RecursorError::Net(NetError::Dns(DnsError::ResponseCode(code))) => {
            FailureKind::Answered(crate::wire::Rcode((*code).into()))
        }
        _ => FailureKind::Lame,
    }
}

impl Ask for Recursion {
    fn ask(&self, lookup: Lookup) -> Asking {
        let this = self.clone();
        Box::pin(async move {
            let found = timeout(PATIENCE, Self::bounded(this.find(lookup))).await;
            found.unwrap_or(Err(FailureKind::Timeout))
        })
    }
}

#[cfg(test)]
mod tests;
