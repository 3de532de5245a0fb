//! DNSSEC validation of what upstreams answer (RFC 4033 to 4035, 5155, 6840).
//!
//! hickory's validator checks signatures and their chain to a trust anchor. Around it stands what it
//! leaves open: each alias of an answer is proven by itself ([`links`], [`judge`]), unsigned zones are found
//! by their missing DS records from the top down rather than by guessing zone cuts ([`delegation`]),
//! keys and delegations are asked once and kept ([`lookups`]), what a hostile zone could make us
//! compute is cut off before it is looked at ([`rrset`], [`price`], [`effort`]), and a failure has its reason
//! ([`reason`]).

use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_net::dnssec::DnssecDnsHandle;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, Record, RecordType};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::cache::FailureKind;
use crate::learned::Learned;
use crate::{Dnssec, DnssecMode, DnssecState, Suspended, Validation};

mod delegation;
mod denial;
pub(super) mod effort;
mod judge;
mod links;
mod lookups;
mod price;
mod readiness;
mod reason;
mod rrset;
mod sentinel;
mod verify;

use delegation::Known;
use lookups::{Lookups, Source};
use readiness::Readiness;
use rrset::signature;

/// Whoever can be asked a question: a group of forwarders, or our own recursion.
pub(crate) trait Ask: Send + Sync {
    /// The answer with all its sections, or why there is none. NXDOMAIN and NODATA are answers.
    fn ask(&self, lookup: Lookup) -> Asking;
}

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) name: Name,
    pub(crate) rtype: RecordType,
    /// DO: with signatures.
    pub(crate) dnssec_ok: bool,
    /// CD: not validated by whoever is asked.
    pub(crate) cd: bool,
}

impl Lookup {
    /// With signatures, and unchecked: validating is for us (RFC 6840, 5.9), and a bogus answer is
    /// wanted as it is, to tell what is wrong with it.
    fn signed(name: Name, rtype: RecordType) -> Self {
        Self { name, rtype, dnssec_ok: true, cd: true }
    }
}

/// A question under way.
pub(crate) type Asking = Pin<Box<dyn Future<Output = Result<Message, FailureKind>> + Send>>;

/// Names whose delegation is remembered.
const DELEGATIONS: usize = 8192;

/// Verdicts on sets of records that hickory remembers.
const VERDICTS: usize = 4096;

/// What is asked while the clock is wrong is asked again soon.
const UNTIMED_TTL: u32 = 60;

/// Validation may take so long in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer, and what validation made of it.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) message: Message,
    pub(crate) validation: Validation,
    /// It was made here from what else there is (DNS64).
    pub(crate) synthesised: bool,
}

impl Checked {
    /// An answer that nobody has looked at.
    pub(crate) fn unchecked(mut message: Message) -> Self {
        // Whether an upstream has validated it is its own word, no proof.
        message.metadata.authentic_data = false;
        Self { message, validation: Validation::Unchecked, synthesised: false }
    }

    /// Whether an alias is part of the answer.
    pub(super) fn has_alias(&self) -> bool {
        self.message.answers.iter().any(|record| record.record_type() == RecordType::CNAME)
    }
}

/// The validator of one group of upstreams.
pub(crate) struct Validator {
    ask: Arc<dyn Ask>,
    settings: Arc<Dnssec>,
    lookups: Arc<Lookups>,
    checker: DnssecDnsHandle<Source>,
    delegations: Cache<Name, Known>,
    readiness: Mutex<Readiness>,
    /// Told what the group with this tag has delivered.
    learned: Option<(Arc<Learned>, u64)>,
    /// Questions for keys and delegations, signatures checked: for tests and measuring.
    checks: AtomicU64,
    now: fn() -> SystemTime,
}

impl Validator {
    /// `proven` is true when these upstreams are known to deliver signatures.
    #[allow(clippy::disallowed_methods, reason = "a shell: signatures have dates")]
    pub(crate) fn new(ask: Arc<dyn Ask>, settings: Arc<Dnssec>, proven: bool) -> Self {
        Self::with_clock(ask, settings, proven, SystemTime::now)
    }

    fn with_clock(
        ask: Arc<dyn Ask>,
        settings: Arc<Dnssec>,
        proven: bool,
        now: fn() -> SystemTime,
    ) -> Self {
        let lookups = Arc::new(Lookups::new(ask.clone(), settings.clone(), now));
        let source = Source(lookups.clone());
        let hour = Duration::ZERO..=Duration::from_secs(3600);
        let checker = DnssecDnsHandle::with_trust_anchor(source, settings.anchors.keys.clone())
            .nsec3_iteration_limits(Some(denial::TRUSTED_ITERATIONS), Some(rrset::MAX_ITERATIONS))
            .positive_validation_ttl(hour)
            .negative_validation_ttl(Duration::from_secs(1)..=Duration::from_secs(30))
            .validation_cache_size(VERDICTS);
        Self {
            ask,
            lookups,
            checker,
            delegations: Cache::new(DELEGATIONS),
            readiness: Mutex::new(Readiness::new(settings.mode, proven)),
            settings,
            learned: None,
            checks: AtomicU64::new(0),
            now,
        }
    }

    /// Has `learned` told of what it learns of the root, and of these upstreams.
    pub(crate) fn telling(mut self, learned: &Arc<Learned>, group: u64) -> Self {
        self.learned = Some((learned.clone(), group));
        self
    }

    /// Whether validation is under way, for whoever looks at the system.
    pub(crate) fn state(&self) -> DnssecState {
        self.readiness.lock().unwrap_or_else(PoisonError::into_inner).state()
    }

    pub(crate) fn mode(&self) -> DnssecMode {
        self.settings.mode
    }

    /// Whether it need not be asked for now: the upstreams strip signatures, and are not looked at
    /// again yet.
    pub(crate) fn is_waiting(&self) -> bool {
        let readiness = self.readiness.lock().unwrap_or_else(PoisonError::into_inner);
        readiness.known(Instant::now()) == Some(Some(Suspended::Stripped))
    }

    /// Whether it was made from these settings.
    pub(crate) fn goes_by(&self, settings: &Arc<Dnssec>) -> bool {
        Arc::ptr_eq(&self.settings, settings)
    }

    /// Whether these upstreams have delivered signatures that fit.
    pub(crate) fn is_proven(&self) -> bool {
        self.readiness.lock().unwrap_or_else(PoisonError::into_inner).is_proven()
    }

    /// Asks, and validates the answer unless the question wants it unchecked (CD; RFC 4035, 3.2.2).
    /// A bogus answer is an error.
    pub(crate) async fn resolve(&self, lookup: Lookup) -> Result<Checked, FailureKind> {
        let (name, rtype) = (lookup.name.clone(), lookup.rtype);
        let unchecked = self.settings.mode == DnssecMode::Off || lookup.cd;
        // Signatures themselves are not signed.
        if unchecked || rtype == RecordType::RRSIG {
            return self.ask_unchecked(lookup).await;
        }
        if self.settings.exempts(&name, (self.now)()) {
            // The upstream must not validate it either.
            return self.ask_unchecked(Lookup { cd: true, ..lookup }).await;
        }
        match self.readiness().await {
            Ok(None) => {}
            Ok(Some(why)) => {
                let mut checked = self.ask_unchecked(lookup).await?;
                if why == Suspended::Clock {
                    shorten(&mut checked.message);
                }
                return Ok(checked);
            }
            Err(why) => return Err(why),
        }
        let message = self.ask.ask(Lookup::signed(name.clone(), rtype)).await?;
        let judging = effort::bounded(self.judge(&name, rtype, message));
        let judged = tokio::time::timeout(PATIENCE, judging).await;
        let checked = judged.unwrap_or(Err(FailureKind::Timeout))?;
        if checked.validation == Validation::Secure
            && sentinel::denies(&name, rtype, &self.settings.anchors)
        {
            return Err(FailureKind::Sentinel);
        }
        Ok(checked)
    }

    async fn ask_unchecked(&self, lookup: Lookup) -> Result<Checked, FailureKind> {
        Ok(Checked::unchecked(self.ask.ask(lookup).await?))
    }

    /// Forgets the keys and delegations of all zones that `name` may be in, but the root's.
    pub(crate) fn forget_above(&self, name: &Name) {
        for depth in 1..=name.iter().len() {
            self.forget(&name.trim_to(depth));
        }
    }

    /// Forgets the keys of a zone whose signatures do not fit: they may be the wrong ones.
    fn forget(&self, zone: &Name) {
        self.lookups.forget(zone);
        self.delegations.remove(zone);
    }
}

/// What a record signs, when it is a signature.
pub(super) fn covered(record: &Record) -> Option<RecordType> {
    signature(record).map(|rrsig| rrsig.input().type_covered)
}

pub(super) fn shorten(message: &mut Message) {
    for record in message.answers.iter_mut().chain(&mut message.authorities) {
        record.ttl = record.ttl.min(UNTIMED_TTL);
    }
}

#[cfg(test)]
mod tests;
