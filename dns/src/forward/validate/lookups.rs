//! Keys and delegations as upstreams tell them, each asked once at a time and kept a while.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{FutureExt, Stream, stream};
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::DnsHandle;
use hickory_proto::dnssec::Algorithm;
use hickory_proto::op::{DnsRequest, DnsResponse, Message, MessageType};
use hickory_proto::rr::{Name, RData, RecordType};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::price::{self, Keyring};
use super::reason::serial;
use super::rrset::{RrSet, lean, sets};
use super::{Ask, Lookup, effort};
use crate::Dnssec;
use crate::cache::FailureKind;

/// Answers kept, and bytes of them.
const ENTRIES: usize = 4096;
const BYTES: u64 = 4 << 20;

/// How long at most an answer is kept: a withdrawn key should not be trusted for long.
const MAX_KEPT: Duration = Duration::from_secs(3600);
/// How long what is no good answer is kept, so that a broken zone is not asked with every name.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

type Key = (Name, RecordType);

#[derive(Clone)]
struct Kept {
    result: Result<Arc<Message>, FailureKind>,
    until: Instant,
}

#[derive(Clone)]
struct Weigh;

impl quick_cache::Weighter<Key, Kept> for Weigh {
    fn weight(&self, (name, _): &Key, kept: &Kept) -> u64 {
        // A key or signature with its owner takes about so much.
        let records = kept
            .result
            .as_ref()
            .map_or(0, |message| message.answers.len() + message.authorities.len());
        (200 + name.len() + records * 400) as u64
    }
}

/// DNSKEY and DS answers.
pub(super) struct Lookups {
    ask: Arc<dyn Ask>,
    settings: Arc<Dnssec>,
    kept: Cache<Key, Kept, Weigh>,
    now: fn() -> SystemTime,
}

impl Lookups {
    pub(super) fn new(ask: Arc<dyn Ask>, settings: Arc<Dnssec>, now: fn() -> SystemTime) -> Self {
        Self { ask, settings, kept: Cache::with_weighter(ENTRIES, BYTES, Weigh), now }
    }

    /// The answer to `name` and `rtype`, a DNSKEY or DS, with its signatures, not yet validated.
    pub(super) async fn get(
        &self,
        name: &Name,
        rtype: RecordType,
    ) -> Result<Arc<Message>, FailureKind> {
        let key = (name.clone(), rtype);
        self.kept.remove_if(&key, |kept| kept.until <= Instant::now());
        if let Some(kept) = self.kept.get(&key) {
            return kept.result;
        }
        // Not inside: what one question may not ask any more is no failure of the zone's.
        effort::ask()?;
        let kept = self.kept.get_or_insert_async(&key, async {
            let result = self.ask.ask(Lookup::signed(name.clone(), rtype)).await;
            let result = result.map(|message| Arc::new(lean(message, name, rtype)));
            let until = Instant::now() + result.as_deref().map_or(FAILURE_KEPT, lifetime);
            Ok::<_, std::convert::Infallible>(Kept { result, until })
        });
        let Ok(kept) = kept.await;
        if let (Ok(message), RecordType::DNSKEY) = (&kept.result, rtype) {
            // They will be checked; not again each time, as hickory remembers it.
            effort::look_at(self.keys_to_check(name, message, None).1)?;
        }
        kept.result
    }

    /// The keys of a zone that its parent vouches for. `None` when nobody has to: it has a trust anchor,
    /// or it is not known to be signed.
    pub(super) async fn vouched(
        &self,
        zone: &Name,
    ) -> Result<Option<Vec<(u16, Algorithm)>>, FailureKind> {
        if zone.is_root() || self.settings.anchors.zones.contains(zone) {
            return Ok(None);
        }
        Ok(price::vouched(&*self.get(zone, RecordType::DS).await?))
    }

    /// The keys of a zone with those signatures that are worth a check, and what that costs.
    fn keys_to_check(
        &self,
        zone: &Name,
        keys: &Message,
        vouched: Option<&[(u16, Algorithm)]>,
    ) -> (Message, u32) {
        let mut found = sets(&keys.answers);
        let (ring, now, mut price) = (Keyring::of(keys), serial((self.now)()), 0);
        for set in &mut found {
            if set.rtype == RecordType::DNSKEY && set.name == *zone {
                price = price::afford_keys(set, &ring, now, vouched);
                if price == 0 {
                    set.signatures.clear();
                }
            }
        }
        let mut message = keys.clone();
        message.answers = found.iter().flat_map(RrSet::all).cloned().collect();
        (message, price)
    }

    /// A zone's keys as hickory is to see them.
    async fn signed_keys(&self, zone: &Name) -> Result<DnsResponse, NetError> {
        let found = self.get(zone, RecordType::DNSKEY).await.map_err(|_| NetError::Timeout)?;
        let vouched = self.vouched(zone).await.map_err(|_| NetError::Timeout)?;
        match self.keys_to_check(zone, &found, vouched.as_deref()) {
            // It would take keys that the parent vouches for without the zone's own signature.
            (_, 0) if !found.answers.is_empty() => Err(NetError::from("no key to be checked")),
            (message, _) => as_response(message),
        }
    }

    /// Forgets what is known of a zone's keys, because they did not fit.
    pub(super) fn forget(&self, zone: &Name) {
        for rtype in [RecordType::DNSKEY, RecordType::DS] {
            self.kept.remove(&(zone.clone(), rtype));
        }
    }
}

fn lifetime(message: &Message) -> Duration {
    let ttls =
        message.answers.iter().chain(&message.authorities).map(|record| match &record.data {
            RData::SOA(soa) => record.ttl.min(soa.minimum),
            _ => record.ttl,
        });
    let ttl = ttls.min().map(|ttl| Duration::from_secs(u64::from(ttl)));
    ttl.map_or(FAILURE_KEPT, |ttl| ttl.clamp(FAILURE_KEPT, MAX_KEPT))
}

/// What hickory's validator asks: it gets keys and delegations from [`Lookups`], and the answer to
/// validate from the request itself, which carries it.
#[derive(Clone)]
pub(super) struct Source(pub(super) Arc<Lookups>);

impl DnsHandle for Source {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        if !request.answers.is_empty() || !request.authorities.is_empty() {
            let (message, _) = request.into_parts();
            return Box::pin(stream::once(std::future::ready(as_response(message))));
        }
        let Some(query) = request.queries.first().cloned() else {
            return Box::pin(stream::once(std::future::ready(Err(NetError::from("no question")))));
        };
        let lookups = self.0.clone();
        let answer = async move {
            match query.query_type() {
                RecordType::DS => {
                    let found = lookups.get(query.name(), RecordType::DS).await;
                    as_response(Message::clone(&*found.map_err(|_| NetError::Timeout)?))
                }
                RecordType::DNSKEY => lookups.signed_keys(query.name()).await,
                // It looks for zone cuts by NS records, for unsigned records where there should be
                // signed ones. Zone cuts are found by their DS records before it is asked.
                _ => Err(NetError::from("neither a key nor a delegation")),
            }
        };
        Box::pin(answer.into_stream())
    }
}

fn as_response(mut message: Message) -> Result<DnsResponse, NetError> {
    message.metadata.message_type = MessageType::Response;
    Ok(DnsResponse::from_message(message)?)
}
