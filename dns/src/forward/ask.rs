//! Asking the forwarders: the preferred one first, the next when it fails or is slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_net::xfer::{DnsHandle, FirstAnswer};
use hickory_net::{DnsError, NetError, NoRecords};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message, OpCode, Query as Asked};
use hickory_proto::rr::{Name as HickoryName, RecordType as HickoryType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::time::{Instant, sleep, timeout};

use super::connection::Provider;
use crate::Upstreams;
use crate::cache::FailureKind;
use crate::wire::{Query, Rcode, UDP_PAYLOAD};

/// Requests on one TCP connection to a forwarder; hickory answers more with `Busy`.
const TCP_REQUESTS: usize = 4096;

/// A forwarder that has failed is asked last for so long, times the failures in a row, ...
const REST: Duration = Duration::from_secs(2);
/// ... but at most so long.
const MAX_REST: Duration = Duration::from_secs(30);

/// What to ask.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    asked: Asked,
    dnssec_ok: bool,
    cd: bool,
}

impl Question {
    /// `name`, a lower-case wire name, with everything else as in `like`.
    pub(super) fn new(name: &[u8], like: &Query<'_>) -> Option<Self> {
        let name = HickoryName::read(&mut BinDecoder::new(name)).ok()?;
        let asked = Asked::query(name, HickoryType::from(like.qtype.0));
        Some(Self { asked, dnssec_ok: like.dnssec_ok(), cd: like.cd() })
    }

    /// A request with a random id and a random mix of upper and lower case.
    fn request(&self, edns: bool) -> DnsRequest {
        let mut options = DnsRequestOptions::default();
        options.use_edns = edns;
        options.edns_payload_len = UDP_PAYLOAD;
        options.edns_set_dnssec_ok = self.dnssec_ok;
        options.case_randomization = true;
        let mut request = DnsRequest::from_query(self.asked.clone(), options);
        request.metadata.checking_disabled = self.cd;
        // RFC 6840, 5.7: tells us whether the answer was validated, without signatures.
        request.metadata.authentic_data = true;
        request
    }
}

/// The forwarders of one settings snapshot, with their connections and what is known of them.
pub(super) struct Forwarders {
    upstreams: Arc<Upstreams>,
    forwarders: Vec<Forwarder>,
    started: Instant,
}

struct Forwarder {
    pool: NameServerPool<Provider>,
    failures: AtomicU32,
    /// Until when it is asked last, milliseconds since `started`.
    rests_until: AtomicU64,
}

impl Forwarders {
    pub(super) fn new(upstreams: &Arc<Upstreams>) -> Self {
        let mut options = ResolverOpts::default();
        options.timeout = upstreams.timeout;
        options.max_active_requests = TCP_REQUESTS;
        options.num_concurrent_reqs = 1;
        let forwarders = upstreams.forwarders.iter().filter_map(|forwarder| {
            let mut udp = ConnectionConfig::udp();
            let mut tcp = ConnectionConfig::tcp();
            (udp.port, tcp.port) = (forwarder.addr.port(), forwarder.addr.port());
            let server = NameServerConfig::new(forwarder.addr.ip(), true, vec![udp, tcp]);
            let tls = TlsConfig::new().ok()?;
            let cx = Arc::new(PoolContext::new(options.clone(), tls));
            let pool = NameServerPool::from_config([server], cx, Provider::default());
            Some(Forwarder { pool, failures: AtomicU32::new(0), rests_until: AtomicU64::new(0) })
        });
        Self {
            forwarders: forwarders.collect(),
            upstreams: upstreams.clone(),
            started: Instant::now(),
        }
    }

    /// Whether these are made from that snapshot.
    pub(super) fn are(&self, upstreams: &Arc<Upstreams>) -> bool {
        Arc::ptr_eq(&self.upstreams, upstreams)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forwarders.is_empty()
    }

    /// The first usable answer of any forwarder, or why there is none.
    pub(super) async fn ask(&self, question: Question) -> Result<Message, FailureKind> {
        match timeout(self.upstreams.timeout, self.ask_in_turn(&question)).await {
            Ok(result) => result,
            Err(_) => {
                self.forwarders.iter().for_each(|forwarder| self.failed(forwarder));
                Err(FailureKind::Timeout)
            }
        }
    }

    async fn ask_in_turn(&self, question: &Question) -> Result<Message, FailureKind> {
        let mut left = self.in_turn().into_iter();
        let mut running = FuturesUnordered::new();
        let mut asked = Vec::new();
        let mut worst = FailureKind::NoForwarder;
        loop {
            if let Some(forwarder) = left.next() {
                asked.push(forwarder);
                running.push(async move { (forwarder, ask_one(forwarder, question).await) });
            }
            let hedge = sleep(self.upstreams.hedge_after);
            tokio::select! {
                Some((forwarder, result)) = running.next() => match result {
                    Ok(message) => {
                        forwarder.failures.store(0, Ordering::Relaxed);
                        forwarder.rests_until.store(0, Ordering::Relaxed);
                        // Whoever was asked before it was too slow.
                        let slow = asked.iter().take_while(|f| !std::ptr::eq(**f, forwarder));
                        slow.for_each(|forwarder| self.failed(forwarder));
                        return Ok(message);
                    }
                    Err(why) => {
                        self.failed(forwarder);
                        worst = why;
                        if running.is_empty() && left.len() == 0 {
                            return Err(worst);
                        }
                    }
                },
                () = hedge, if left.len() > 0 => {}
                else => return Err(worst),
            }
        }
    }

    /// All forwarders in order of preference, those that have just failed last.
    fn in_turn(&self) -> Vec<&Forwarder> {
        let now = self.started.elapsed().as_millis() as u64;
        let mut all: Vec<&Forwarder> = self.forwarders.iter().collect();
        all.sort_by_key(|forwarder| forwarder.rests_until.load(Ordering::Relaxed) > now);
        all
    }

    fn failed(&self, forwarder: &Forwarder) {
        let failures = forwarder.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let rest = REST.saturating_mul(failures).min(MAX_REST);
        let until = (self.started.elapsed() + rest).as_millis() as u64;
        forwarder.rests_until.store(until, Ordering::Relaxed);
    }
}

async fn ask_one(forwarder: &Forwarder, question: &Question) -> Result<Message, FailureKind> {
    match ask_once(forwarder, question, true).await {
        // RFC 6891, 7: whoever does not know EDNS says so, and is asked without.
        Err(FailureKind::Answered(Rcode::FORM_ERR | Rcode::NOT_IMP)) => {
            ask_once(forwarder, question, false).await
        }
        result => result,
    }
}

async fn ask_once(
    forwarder: &Forwarder,
    question: &Question,
    edns: bool,
) -> Result<Message, FailureKind> {
    match forwarder.pool.send(question.request(edns)).first_answer().await {
        Ok(response) => Ok(response.into_message()),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => Ok(negative(question, none)),
        Err(NetError::Dns(DnsError::ResponseCode(code))) => {
            Err(FailureKind::Answered(Rcode(code.into())))
        }
        Err(NetError::Timeout) => Err(FailureKind::Timeout),
        Err(NetError::Io(_) | NetError::NoConnections) => Err(FailureKind::Unreachable),
        Err(NetError::Busy) => Err(FailureKind::Overload),
        Err(_) => Err(FailureKind::Garbled),
    }
}

/// hickory reports NXDOMAIN and NODATA as errors; this makes the answer of it again.
fn negative(question: &Question, none: NoRecords) -> Message {
    let mut message = Message::response(0, OpCode::Query);
    message.metadata.response_code = none.response_code;
    message.queries.push(question.asked.clone());
    message.authorities = none.authorities.map(|records| records.to_vec()).unwrap_or_default();
    message
}
