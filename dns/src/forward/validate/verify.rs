//! The signatures of one set of records, and the chain above them: hickory computes, within bounds.

use std::sync::atomic::Ordering;

use hickory_net::xfer::{DnsHandle, FirstAnswer};
use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::Proof;
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message, Query as Asked};
use hickory_proto::rr::{Name, Record, RecordType};

use super::rrset::{RrSet, signature};
use super::{Validator, effort, reason};
use crate::Bogus;
use crate::cache::FailureKind;

/// Signatures of one set that are checked, of those that fit one of the zone's keys.
const MAX_CHECKED: usize = 4;

impl Validator {
    /// The NSEC and NSEC3 records of a zone, verified.
    pub(super) async fn verify_denials(
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
    pub(super) async fn verify(
        &self,
        set: &RrSet,
    ) -> Result<Result<Vec<Record>, Bogus>, FailureKind> {
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
    pub(super) async fn check(&self, request: DnsRequest) -> Result<(Proof, Message), FailureKind> {
        let spent = effort::look_at(&[&request.answers, &request.authorities])?;
        self.checks.fetch_add(1, Ordering::Relaxed);
        match effort::compute(spent, self.checker.send(request).first_answer()).await {
            Ok(response) => Ok((Proof::Secure, response.into_message())),
            Err(NetError::Dns(DnsError::Nsec { response, proof, .. })) => {
                Ok((proof, response.into_message()))
            }
            Err(NetError::Timeout) => Err(FailureKind::Timeout),
            Err(_) => Err(FailureKind::Garbled),
        }
    }
}

/// The set with only those signatures that fit one of the zone's keys by tag and algorithm.
pub(super) fn checkable(mut set: RrSet, keys: &Message) -> RrSet {
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

pub(super) fn request(name: &Name, rtype: RecordType) -> DnsRequest {
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_set_dnssec_ok = true;
    DnsRequest::from_query(Asked::query(name.clone(), rtype), options)
}
