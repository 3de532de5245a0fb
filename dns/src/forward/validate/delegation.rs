//! Where signed zones end: the DS records on the way down from a trust anchor to a name.

use std::time::Duration;

use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::time::Instant;

use super::denial::{Denial, of_delegation};
use super::rrset::{RrSet, proofs, sets};
use super::{Validator, effort, price};
use crate::Bogus;
use crate::cache::FailureKind;

/// What was found is good for so long, at most; something bogus for so long.
const MAX_KNOWN: Duration = Duration::from_secs(3600);
const BOGUS_KNOWN: Duration = Duration::from_secs(5);

/// Labels of a name that are looked at: an IPv6 address's reverse name has 34.
const MAX_DEPTH: usize = 40;

/// Records that deny one DS: closest encloser, next closer name, wildcard.
const MAX_PROOFS: usize = 6;

/// What is known of the delegation to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delegation {
    /// A signed zone begins here, or none begins here.
    Secure,
    /// An unsigned zone begins here.
    Insecure,
    /// Nothing is here or below.
    Absent,
    Bogus(Bogus),
}

/// The state of the zone that a name is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// Signed, as far as its parents say.
    Signed,
    /// Not signed, provably.
    Unsigned,
    Bogus(Bogus),
}

#[derive(Clone, Copy)]
pub(super) struct Known {
    delegation: Delegation,
    until: Instant,
}

impl Validator {
    /// Whether an insecure delegation stands at `name` or above.
    pub(super) async fn zone(&self, name: &Name) -> Result<Zone, FailureKind> {
        // Without an anchor above, there is nothing to go by.
        let Some(anchor) = self.settings.anchors.above(name) else { return Ok(Zone::Unsigned) };
        let labels = name.iter().len();
        for depth in anchor.iter().len() + 1..=labels.min(MAX_DEPTH) {
            match self.delegation(&name.trim_to(depth)).await? {
                Delegation::Secure => {}
                Delegation::Insecure => return Ok(Zone::Unsigned),
                Delegation::Absent => return Ok(Zone::Signed),
                Delegation::Bogus(why) => return Ok(Zone::Bogus(why)),
            }
        }
        Ok(Zone::Signed)
    }

    async fn delegation(&self, name: &Name) -> Result<Delegation, FailureKind> {
        if let Some(known) = self.delegations.get(name)
            && Instant::now() < known.until
        {
            return Ok(known.delegation);
        }
        let (delegation, lasts) = self.find_delegation(name).await?;
        let until = Instant::now() + lasts;
        self.delegations.insert(name.clone(), Known { delegation, until });
        Ok(delegation)
    }

    async fn find_delegation(&self, name: &Name) -> Result<(Delegation, Duration), FailureKind> {
        let message = self.lookups.get(name, RecordType::DS).await?;
        let answers = sets(&message.answers);
        let at_name = |rtype| answers.iter().find(|set| set.name == *name && set.rtype == rtype);
        let bogus = |why| Ok((Delegation::Bogus(why), BOGUS_KNOWN));
        if let Some(set) = at_name(RecordType::DS).or_else(|| at_name(RecordType::CNAME)) {
            return Ok(match self.verify(set).await? {
                Err(why) => (Delegation::Bogus(why), BOGUS_KNOWN),
                // A DS that nobody here can use is as good as none (RFC 4035, 5.2).
                Ok(records) if set.rtype == RecordType::CNAME || records.iter().any(is_usable) => {
                    (Delegation::Secure, lasts(&records))
                }
                Ok(records) => (Delegation::Insecure, lasts(&records)),
            });
        }
        let mut proofs = proofs(&message.authorities);
        proofs.retain(|set| set.rtype != RecordType::SOA && !set.signatures.is_empty());
        if proofs.is_empty() {
            return bogus(Bogus::SignaturesMissing);
        }
        let mut records = Vec::new();
        for set in proofs.iter().take(MAX_PROOFS) {
            // Only the parent may deny a DS.
            if set.signer().is_some_and(|signer| signer.zone_of(name) && signer != name) {
                match self.verify(set).await? {
                    Ok(verified) => records.extend(verified),
                    Err(why) => return bogus(why),
                }
            }
        }
        // Signed with what nobody here can check.
        if !records.is_empty() && records.iter().all(|record| record.proof == Proof::Insecure) {
            return Ok((Delegation::Insecure, lasts(&records)));
        }
        effort::look_at(price::of_hashes(&records))?;
        let found = match of_delegation(name, &records) {
            Some(Denial::InsecureDelegation | Denial::OptedOut) => Delegation::Insecure,
            Some(Denial::NoDelegation) => Delegation::Secure,
            Some(Denial::Absent) => Delegation::Absent,
            None => return bogus(Bogus::ProofMissing),
        };
        Ok((found, lasts(&records)))
    }
}

fn lasts(records: &[Record]) -> Duration {
    let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
    Duration::from_secs(u64::from(ttl)).clamp(BOGUS_KNOWN, MAX_KNOWN)
}

fn is_usable(record: &Record) -> bool {
    record.proof == Proof::Secure
        && matches!(&record.data, RData::DNSSEC(DNSSECRData::DS(ds))
            if ds.algorithm().is_supported() && ds.digest_type().is_supported())
}

/// The zone that an unsigned set would have to be signed by: for a DS, the one above its name.
pub(super) fn home(set: &RrSet) -> Name {
    if set.rtype == RecordType::DS { set.name.base_name() } else { set.name.clone() }
}
