//! Whether validation can begin: the upstreams must deliver the root's keys with signatures, and the
//! clock must not be from before their time.
//!
//! An upstream that has once delivered them is held to it: from then on missing signatures are an
//! attack or a fault, and answers without them are refused. One that never has (an old router) only
//! makes validation wait, and is looked at again from time to time.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use hickory_proto::dnssec::rdata::{DNSKEY, RRSIG};
use hickory_proto::dnssec::{PublicKey, Verifier};
use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, LowerName, Name, RecordType};
use tokio::time::Instant;

use super::super::wrong_clock::EARLIEST;
use super::Validator;
use super::reason::{dnskey, serial};
use super::rrset::{RrSet, sets, signature};
use crate::cache::FailureKind;
use crate::{DnssecMode, DnssecState, Suspended};

/// When suspended, the next look comes after so long, then twice as long, and so on to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(10);
const LAST_RETRY: Duration = Duration::from_secs(600);
/// A wrong clock is set soon after boot.
const CLOCK_RETRY: Duration = Duration::from_secs(5);
/// Keys that revoke themselves, looked at.
const MAX_REVOKED: usize = 4;

/// How long a good look is good for.
const GOOD_FOR: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Readiness {
    state: DnssecState,
    strict: bool,
    /// These upstreams have delivered good signatures before.
    proven: bool,
    until: Option<Instant>,
    retry: Duration,
}

impl Readiness {
    pub(super) fn new(mode: DnssecMode, proven: bool) -> Self {
        let state = match mode {
            DnssecMode::Off => DnssecState::Off,
            _ => DnssecState::Untried,
        };
        let strict = mode == DnssecMode::Strict;
        Self { state, strict, proven, until: None, retry: FIRST_RETRY }
    }

    pub(super) fn state(&self) -> DnssecState {
        self.state
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    /// What is known, while it is still good.
    pub(super) fn known(&self, now: Instant) -> Option<Option<Suspended>> {
        if self.until.is_none_or(|until| until <= now) {
            return None;
        }
        match self.state {
            DnssecState::Validating | DnssecState::Refusing => Some(None),
            DnssecState::Suspended(why) => Some(Some(why)),
            DnssecState::Off | DnssecState::Untried => None,
        }
    }

    fn ready(&mut self, now: Instant) {
        self.state = DnssecState::Validating;
        self.proven = true;
        self.retry = FIRST_RETRY;
        self.until = Some(now + GOOD_FOR);
    }

    /// Validation goes on, although nothing can be secure.
    fn refuse(&mut self, now: Instant) {
        self.state = DnssecState::Refusing;
        self.until = Some(now + FIRST_RETRY);
    }

    fn suspend(&mut self, why: Suspended, now: Instant) {
        let retry = if why == Suspended::Clock { CLOCK_RETRY } else { self.retry };
        if self.state == DnssecState::Suspended(Suspended::Stripped) {
            self.retry = (self.retry * 2).min(LAST_RETRY);
        }
        self.state = DnssecState::Suspended(why);
        self.until = Some(now + retry);
    }
}

/// What the root's keys look like from here.
enum Root {
    Good,
    /// Signed by a trusted key, at a time that has not come yet: the clock is slow. Nobody else can
    /// make such a signature.
    Future,
    /// Without signatures, or not there.
    Bare,
    /// Signed, wrongly.
    Bad,
}

impl Validator {
    /// Whether answers are to be validated now, or why not.
    pub(super) async fn readiness(&self) -> Result<Option<Suspended>, FailureKind> {
        let lock = || self.readiness.lock().unwrap_or_else(PoisonError::into_inner);
        let early = |at: SystemTime| at < SystemTime::UNIX_EPOCH + EARLIEST;
        if early((self.now)()) {
            lock().suspend(Suspended::Clock, Instant::now());
            return Ok(Some(Suspended::Clock));
        }
        if let Some(known) = lock().known(Instant::now()) {
            return Ok(known);
        }
        if !self.settings.anchors.zones.contains(&Name::root()) {
            lock().ready(Instant::now());
            return Ok(None);
        }
        let root = self.look_at_root().await;
        let now = Instant::now();
        let mut readiness = lock();
        match root {
            Ok(Root::Good) => readiness.ready(now),
            Ok(Root::Future) => readiness.suspend(Suspended::Clock, now),
            Ok(Root::Bad) => readiness.refuse(now),
            Ok(Root::Bare) | Err(FailureKind::Answered(_) | FailureKind::Garbled) => {
                if readiness.proven || readiness.strict {
                    readiness.refuse(now);
                } else {
                    readiness.suspend(Suspended::Stripped, now);
                }
            }
            Err(why) => return Err(why),
        }
        Ok(readiness.known(now).flatten())
    }

    async fn look_at_root(&self) -> Result<Root, FailureKind> {
        let keys = self.lookups.get(&Name::root(), RecordType::DNSKEY).await?;
        let found = sets(&keys.answers);
        let set = found.iter().find(|set| set.rtype == RecordType::DNSKEY && set.name.is_root());
        let Some(set) = set.filter(|set| !set.signatures.is_empty()) else {
            self.lookups.forget(&Name::root());
            return Ok(Root::Bare);
        };
        if self.verify(set).await?.is_ok() {
            self.observe(set);
            return Ok(Root::Good);
        }
        self.lookups.forget(&Name::root());
        Ok(if self.is_of_the_future(set, &keys) { Root::Future } else { Root::Bad })
    }

    /// Takes note of the keys that the root publishes (RFC 5011), and that these upstreams deliver
    /// signatures. The set is validated.
    fn observe(&self, set: &RrSet) {
        let Some((learned, group)) = &self.learned else { return };
        learned.prove(*group);
        if !self.settings.anchors.has_own_root() {
            return;
        }
        let keys = || {
            let keys = set.records.iter().filter_map(dnskey);
            keys.filter(|key| key.zone_key() && key.secure_entry_point()).cloned()
        };
        let published: Vec<DNSKEY> = keys().filter(|key| !key.revoke()).collect();
        // Only the owner of a key can revoke it (RFC 5011, 2.1).
        let revoked: Vec<DNSKEY> = keys()
            .filter(|key| key.revoke() && signs(key, set, |_| true))
            .take(MAX_REVOKED)
            .collect();
        learned.observe(&published, &revoked, (self.now)());
    }

    fn is_of_the_future(&self, set: &RrSet, keys: &Message) -> bool {
        let now = serial((self.now)());
        let root = LowerName::from(Name::root());
        let trusted = keys.answers.iter().filter_map(dnskey).filter(|key| {
            key.zone_key()
                && !key.revoke()
                && self.settings.anchors.keys.contains_with_name(key.public_key(), &root)
        });
        trusted.take(4).any(|key| signs(key, set, |rrsig| rrsig.input().sig_inception > now))
    }
}

/// Whether one of those signatures of the set that are `meant` is by this key.
fn signs(key: &DNSKEY, set: &RrSet, meant: impl Fn(&RRSIG) -> bool) -> bool {
    let signatures = set.signatures.iter().filter_map(signature);
    signatures.filter(|rrsig| meant(rrsig)).any(|rrsig| {
        key.public_key().algorithm() == rrsig.input().algorithm
            && key.calculate_key_tag().is_ok_and(|tag| tag == rrsig.input().key_tag)
            && key.verify_rrsig(&set.name, DNSClass::IN, rrsig, set.records.iter()).is_ok()
    })
}
