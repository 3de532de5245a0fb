//! DNSSEC validation of what upstreams answer (RFC 4033 to 4035, 5155, 6840).
//!
//! hickory's validator checks signatures and their chain to a trust anchor. Around it stands what it
//! leaves open: each alias of an answer is proven by itself ([`links`]), unsigned zones are found by
//! their missing DS records from the top down rather than by guessing zone cuts ([`delegation`]),
//! keys and delegations are asked once and kept ([`lookups`]), what a hostile zone could make us
//! compute is cut off before it is looked at ([`rrset`]), and a failure has its reason ([`reason`]).

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::xfer::{DnsHandle, FirstAnswer};
use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::Proof;
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message, Query as Asked, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::cache::FailureKind;
use crate::learned::Learned;
use crate::{Bogus, Dnssec, DnssecMode, DnssecState, Suspended, Validation};

mod delegation;
mod denial;
mod links;
mod lookups;
mod readiness;
mod reason;
mod rrset;
mod sentinel;

use delegation::{Known, Zone, home};
use links::{Link, links};
use lookups::{Lookups, Source};
use readiness::Readiness;
use rrset::{RrSet, proofs, signature};

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

/// Signatures of one set that are checked, of those that fit one of the zone's keys.
const MAX_CHECKED: usize = 4;

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
    pub(super) fn unchecked(mut message: Message) -> Self {
        // Whether an upstream has validated it is its own word, no proof.
        message.metadata.authentic_data = false;
        Self { message, validation: Validation::Unchecked, synthesised: false }
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
        let lookups = Arc::new(Lookups::new(ask.clone()));
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
        let judging = self.judge(&name, rtype, message);
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

    /// The answer with nothing in it but what has been looked at.
    async fn judge(
        &self,
        name: &Name,
        rtype: RecordType,
        mut message: Message,
    ) -> Result<Checked, FailureKind> {
        let Some(links) = links(name, rtype, &message) else { return Err(FailureKind::Circle) };
        let proofs = proofs(&message.authorities);
        let mut validation = Validation::Secure;
        let (mut answers, mut authorities) = (Vec::new(), Vec::new());
        for link in links {
            let judged = match link {
                Link::Set(set) => {
                    self.judge_set(&set, &proofs, &mut answers, &mut authorities).await?
                }
                Link::Renamed { by, alias } => {
                    let judged =
                        self.judge_set(&by, &proofs, &mut answers, &mut authorities).await?;
                    answers.extend(alias.records);
                    judged
                }
                Link::Nothing(name) => {
                    let rcode = message.metadata.response_code;
                    self.judge_nothing(&name, rtype, rcode, &proofs, &mut authorities).await?
                }
            };
            validation = validation.and(judged);
        }
        if let Validation::Bogus(why) = validation {
            return Err(FailureKind::Bogus(why));
        }
        for records in [&mut answers, &mut authorities] {
            drop_repeated(records);
        }
        message.answers = answers;
        message.authorities = authorities;
        message.additionals = Vec::new();
        message.metadata.authentic_data = validation == Validation::Secure;
        Ok(Checked { message, validation, synthesised: false })
    }

    async fn judge_set(
        &self,
        set: &RrSet,
        proofs: &[RrSet],
        answers: &mut Vec<Record>,
        authorities: &mut Vec<Record>,
    ) -> Result<Validation, FailureKind> {
        if let Some(judged) = self.judge_zone(&set.name, set.signer(), &home(set)).await? {
            answers.extend(set.all().cloned());
            return Ok(judged);
        }
        let records = match self.verify(set).await? {
            Ok(records) => records,
            Err(why) => return Ok(Validation::Bogus(why)),
        };
        if records.iter().any(|record| record.proof == Proof::Insecure) {
            answers.extend(records);
            return Ok(Validation::Insecure);
        }
        let expanded = set.is_expanded();
        answers.extend(records);
        if !expanded {
            return Ok(Validation::Secure);
        }
        let labels = set.signatures.iter().filter_map(signature);
        let Some(labels) = labels.map(|rrsig| rrsig.input().num_labels).min() else {
            return Ok(Validation::Bogus(Bogus::SignaturesMissing));
        };
        let denials = match self.verify_denials(set.signer(), proofs).await? {
            Ok(denials) => denials,
            Err(why) => return Ok(Validation::Bogus(why)),
        };
        let proven = denial::of_closer_names(&set.name, labels, &denials);
        authorities.extend(denials);
        Ok(match proven {
            Some(true) => Validation::Secure,
            Some(false) => Validation::Insecure,
            None => Validation::Bogus(Bogus::ProofMissing),
        })
    }

    /// The verdict where the zone alone decides it: unsigned, exempt, or not delegated rightly.
    async fn judge_zone(
        &self,
        name: &Name,
        signer: Option<&Name>,
        home: &Name,
    ) -> Result<Option<Validation>, FailureKind> {
        let now = (self.now)();
        if self.settings.exempts(name, now)
            || signer.is_some_and(|signer| self.settings.exempts(signer, now))
        {
            return Ok(Some(Validation::Insecure));
        }
        Ok(match self.zone(signer.unwrap_or(home)).await? {
            Zone::Unsigned => Some(Validation::Insecure),
            Zone::Bogus(why) => Some(Validation::Bogus(why)),
            Zone::Signed if signer.is_none() => Some(Validation::Bogus(Bogus::SignaturesMissing)),
            Zone::Signed => None,
        })
    }

    /// Judges NXDOMAIN or NODATA for `name`.
    async fn judge_nothing(
        &self,
        name: &Name,
        rtype: RecordType,
        rcode: ResponseCode,
        proofs: &[RrSet],
        authorities: &mut Vec<Record>,
    ) -> Result<Validation, FailureKind> {
        let is_denial = |set: &&RrSet| set.rtype != RecordType::SOA && !set.signatures.is_empty();
        let mut signers = proofs.iter().filter(is_denial).filter_map(RrSet::signer);
        let signer = signers.find(|signer| {
            signer.zone_of(name) && (rtype != RecordType::DS || *signer != name || name.is_root())
        });
        let home = if rtype == RecordType::DS { name.base_name() } else { name.clone() };
        let judged = self.judge_zone(name, signer, &home).await?;
        let of_zone = |set: &&RrSet| match signer {
            Some(signer) => set.signer() == Some(signer),
            None => set.name.zone_of(name) || set.rtype != RecordType::SOA,
        };
        if let Some(mut judged) = judged {
            if judged == Validation::Bogus(Bogus::SignaturesMissing) {
                judged = Validation::Bogus(Bogus::ProofMissing);
            }
            authorities.extend(proofs.iter().filter(of_zone).flat_map(RrSet::all).cloned());
            return Ok(judged);
        }
        let Some(signer) = signer else {
            return Ok(Validation::Bogus(Bogus::ProofMissing));
        };
        // Nobody is above the root who could deny its DS, which hickory would want.
        if name.is_root() && rtype == RecordType::DS {
            let denials = self.verify_denials(Some(signer), proofs).await?;
            return Ok(match denials {
                Ok(denials) if denial::is_bare_root(&denials) => {
                    authorities.extend(proofs.iter().filter(of_zone).flat_map(RrSet::all).cloned());
                    Validation::Secure
                }
                Ok(_) => Validation::Bogus(Bogus::ProofMissing),
                Err(why) => Validation::Bogus(why),
            });
        }
        let sets: Vec<RrSet> = proofs.iter().filter(of_zone).cloned().collect();
        let keys = self.lookups.get(signer, RecordType::DNSKEY).await?;
        let sets: Vec<RrSet> = sets.into_iter().map(|set| checkable(set, &keys)).collect();
        let denials = sets.iter().filter(|set| set.rtype != RecordType::SOA);
        if let Some(why) = denials.filter_map(|set| self.reason(set, &keys)).next() {
            self.forget(signer);
            return Ok(Validation::Bogus(why));
        }
        let mut request = request(name, rtype);
        request.metadata.response_code = rcode;
        request.authorities = sets.iter().flat_map(RrSet::all).cloned().collect();
        let (proof, mut records) = self.check(request).await?;
        // An unsigned SOA beside signed proofs is somebody else's.
        records.authorities.retain(|record| {
            record.proof != Proof::Bogus || record.record_type() == RecordType::RRSIG
        });
        match proof {
            Proof::Secure => {}
            Proof::Insecure => {
                authorities.extend(records.authorities);
                return Ok(Validation::Insecure);
            }
            _ => {
                self.forget(signer);
                return Ok(Validation::Bogus(Bogus::ProofMissing));
            }
        }
        let nxdomain = rcode == ResponseCode::NXDomain;
        let opted_out = denial::rests_on_opt_out(name, nxdomain, &records.authorities);
        authorities.extend(records.authorities);
        Ok(if opted_out { Validation::Insecure } else { Validation::Secure })
    }

    /// The NSEC and NSEC3 records of a zone, verified.
    async fn verify_denials(
        &self,
        signer: Option<&Name>,
        proofs: &[RrSet],
    ) -> Result<Result<Vec<Record>, Bogus>, FailureKind> {
        let mut records = Vec::new();
        for set in proofs {
            if set.rtype != RecordType::SOA && set.signer().is_some() && set.signer() == signer {
                match self.verify(set).await? {
                    Ok(verified) => records.extend(verified),
                    Err(why) => return Ok(Err(why)),
                }
            }
        }
        Ok(Ok(records))
    }

    /// Checks the signatures of one set, and the chain above them. Its records come back secure or
    /// insecure.
    async fn verify(&self, set: &RrSet) -> Result<Result<Vec<Record>, Bogus>, FailureKind> {
        let Some(signer) = set.signer().cloned() else {
            return Ok(Err(Bogus::SignaturesMissing));
        };
        // Nor is a delegation ever made of a wildcard.
        if set.rtype == RecordType::DS && set.is_expanded() {
            return Ok(Err(Bogus::ProofMissing));
        }
        let keys = self.lookups.get(&signer, RecordType::DNSKEY).await?;
        let set = checkable(set.clone(), &keys);
        // What can be seen without computing. It also asks more than hickory, which takes keys that
        // the parent vouches for one by one without the zone's own signature.
        if let Some(why) = self.reason(&set, &keys) {
            self.forget(&signer);
            return Ok(Err(why));
        }
        let mut request = request(&set.name, set.rtype);
        request.answers = set.all().cloned().collect();
        let (_, message) = self.check(request).await?;
        let good = |record: &Record| matches!(record.proof, Proof::Secure | Proof::Insecure);
        let mut own = message.answers.iter().filter(|record| record.record_type() == set.rtype);
        if own.clone().count() == set.records.len() && own.all(good) {
            return Ok(Ok(message.answers));
        }
        self.forget(&signer);
        Ok(Err(Bogus::Signature))
    }

    /// Has hickory validate what the request carries.
    async fn check(&self, request: DnsRequest) -> Result<(Proof, Message), FailureKind> {
        self.checks.fetch_add(1, Ordering::Relaxed);
        match self.checker.send(request).first_answer().await {
            Ok(response) => Ok((Proof::Secure, response.into_message())),
            Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) => {
                Ok((proof, response.into_message()))
            }
            Err(NetError::Timeout) => Err(FailureKind::Timeout),
            Err(_) => Err(FailureKind::Garbled),
        }
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

/// The set with only those signatures that fit one of the zone's keys by tag and algorithm.
fn checkable(mut set: RrSet, keys: &Message) -> RrSet {
    let tags = reason::tags(keys);
    let fits = |record: &Record| {
        signature(record)
            .is_some_and(|rrsig| tags.contains(&(rrsig.input().key_tag, rrsig.input().algorithm)))
    };
    // With none that fits, the reason is looked for in what there is.
    if set.signatures.iter().any(fits) {
        set.signatures.retain(fits);
    }
    set.signatures.truncate(MAX_CHECKED);
    set
}

fn request(name: &Name, rtype: RecordType) -> DnsRequest {
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_set_dnssec_ok = true;
    DnsRequest::from_query(Asked::query(name.clone(), rtype), options)
}

/// What a record signs, when it is a signature.
pub(super) fn covered(record: &Record) -> Option<RecordType> {
    signature(record).map(|rrsig| rrsig.input().type_covered)
}

fn drop_repeated(records: &mut Vec<Record>) {
    let mut kept: Vec<Record> = Vec::with_capacity(records.len());
    for record in records.drain(..) {
        if !kept.contains(&record) {
            kept.push(record);
        }
    }
    *records = kept;
}

pub(super) fn shorten(message: &mut Message) {
    for record in message.answers.iter_mut().chain(&mut message.authorities) {
        record.ttl = record.ttl.min(UNTIMED_TTL);
    }
}

#[cfg(test)]
mod tests;
