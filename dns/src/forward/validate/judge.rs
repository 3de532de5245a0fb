//! What a whole answer is worth: each of its links is proven by itself.

use std::collections::HashSet;

use hickory_proto::dnssec::Proof;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};

use super::delegation::{Zone, home};
use super::links::{Link, links};
use super::price::{self, Keyring};
use super::reason::{reason, serial};
use super::rrset::{RrSet, proofs, signature};
use super::verify::request;
use super::{Checked, Validator, denial, effort};
use crate::cache::FailureKind;
use crate::{Bogus, Validation};

impl Validator {
    /// The answer with nothing in it but what has been looked at.
    pub(super) async fn judge(
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
        effort::look_at(price::of_hashes(&denials))?;
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
        let mut sets: Vec<RrSet> = proofs.iter().filter(of_zone).cloned().collect();
        let hashing = price::of_denial(name, signer, sets.iter().flat_map(|set| &set.records))?;
        let keys = self.lookups.get(signer, RecordType::DNSKEY).await?;
        let (ring, now) = (Keyring::of(&keys), serial((self.now)()));
        let mut prices = Vec::with_capacity(sets.len());
        for set in &mut sets {
            let own = price::afford(set, &ring, now);
            prices.push(own);
            let why = match set.rtype {
                RecordType::SOA if own == 0 => {
                    set.signatures.clear();
                    None
                }
                RecordType::SOA => None,
                _ => reason(set, &keys, &ring, now).or((own == 0).then_some(Bogus::Signature)),
            };
            if let Some(why) = why {
                self.forget(signer);
                return Ok(Validation::Bogus(why));
            }
        }
        let price = hashing + price::of_proof(&prices)?;
        let mut request = request(name, rtype);
        request.metadata.response_code = rcode;
        request.authorities = sets.iter().flat_map(RrSet::all).cloned().collect();
        let (proof, mut records) = self.check(request, price).await?;
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
}

/// Leaves the first of equal records. There can be thousands of them.
fn drop_repeated(records: &mut Vec<Record>) {
    let mut seen = HashSet::with_capacity(records.len());
    let is_first = records.iter().map(|record| seen.insert((&record.name, &record.data)));
    let mut is_first = is_first.collect::<Vec<bool>>().into_iter();
    records.retain(|_| is_first.next().unwrap_or(true));
}
