//! The signatures of one set of records, and the chain above them: hickory computes, within bounds.

use std::sync::atomic::Ordering;

use hickory_net::xfer::{DnsHandle, FirstAnswer};
use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::Proof;
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message, Query as Asked};
use hickory_proto::rr::{Name, Record, RecordType};

use super::price::{self, Keyring};
use super::reason::{reason, serial};
use super::rrset::RrSet;
use super::{Validator, effort};
use crate::Bogus;
use crate::cache::FailureKind;

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
        let (ring, now, mut set) = (Keyring::of(&keys), serial((self.now)()), set.clone());
        let price = if set.rtype == RecordType::DNSKEY {
            let vouched = self.lookups.vouched(&set.name).await?;
            price::afford_keys(&mut set, &ring, now, vouched.as_deref())
        } else {
            price::afford(&mut set, &ring, now)
        };
        // What can be seen without computing. It also asks more than hickory, which takes keys that
        // the parent vouches for one by one without the zone's own signature.
        if let Some(why) = reason(&set, &keys, &ring, now) {
            self.forget(&signer);
            return Ok(Err(why));
        }
        if price == 0 {
            self.forget(&signer);
            return Ok(Err(Bogus::Signature));
        }
        let mut request = request(&set.name, set.rtype);
        request.answers = set.all().cloned().collect();
        let (_, message) = self.check(request, price).await?;
        let good = |record: &Record| matches!(record.proof, Proof::Secure | Proof::Insecure);
        let mut own = message.answers.iter().filter(|record| record.record_type() == set.rtype);
        if own.clone().count() == set.records.len() && own.all(good) {
            return Ok(Ok(message.answers));
        }
        self.forget(&signer);
        Ok(Err(Bogus::Signature))
    }

    /// Has hickory validate what the request carries, which costs so much.
    pub(super) async fn check(
        &self,
        request: DnsRequest,
        price: u32,
    ) -> Result<(Proof, Message), FailureKind> {
        let spent = effort::look_at(price)?;
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

pub(super) fn request(name: &Name, rtype: RecordType) -> DnsRequest {
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_set_dnssec_ok = true;
    DnsRequest::from_query(Asked::query(name.clone(), rtype), options)
}
