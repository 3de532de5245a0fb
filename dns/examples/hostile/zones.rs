//! The zones, and what they answer.

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use hickory_proto::dnssec::crypto::Ed25519SigningKey;
use hickory_proto::dnssec::rdata::sig::SigInput;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, NSEC, NSEC3, RRSIG};
use hickory_proto::dnssec::{
    Algorithm, DigestType, Nsec3HashAlgorithm, PublicKey, SigningKey, TBS,
};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber};

use crate::kinds::{Kind, LARGE, MANY};

const TTL: u32 = 300;

/// Signatures are good from an hour ago until tomorrow.
const VALID: (i64, i64) = (-3600, 86_400);

/// Signatures of each of many sets.
const FEW: usize = 8;

/// Denials of names that nobody has asked for.
const DENIED: usize = 15;

/// Denials of a hashed name.
const DENIALS: u8 = 8;

pub(crate) struct Zone {
    origin: Name,
    kind: Kind,
    key: Ed25519SigningKey,
    pub(crate) dnskey: DNSKEY,
    /// Keys that share tags.
    colliding: Vec<DNSKEY>,
}

impl Zone {
    fn new(origin: &str, kind: Kind) -> Result<Self, Box<dyn Error>> {
        let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8()?)?;
        let dnskey = DNSKEY::from_key(&key.to_public_key()?);
        let mut colliding = Vec::new();
        if let Some((make, sharing)) = kind.make() {
            while colliding.len() < MANY {
                colliding.extend(make.colliding(sharing)?);
            }
        }
        Ok(Self { origin: Name::from_ascii(origin)?, kind, key, dnskey, colliding })
    }

    fn records(owner: &Name, data: impl IntoIterator<Item = RData>) -> Vec<Record> {
        data.into_iter().map(|data| Record::from_rdata(owner.clone(), TTL, data)).collect()
    }

    /// Adds the right signature of `records`, which are one set.
    fn sign(&self, records: &mut Vec<Record>) -> Result<(), Box<dyn Error>> {
        let Some(first) = records.first() else { return Ok(()) };
        let tag = self.dnskey.calculate_key_tag()?;
        let input = self.input(first, Algorithm::ED25519, tag)?;
        let tbs = TBS::from_input(&first.name, DNSClass::IN, &input, records.iter())?;
        let rrsig = RRSIG::from_sig(input, self.key.sign(&tbs)?);
        records.push(signature(&first.name.clone(), rrsig));
        Ok(())
    }

    /// Adds so many wrong ones, each by another of the keys that share tags.
    fn spoil(&self, records: &mut Vec<Record>, times: usize) -> Result<(), Box<dyn Error>> {
        let Some(first) = records.first().cloned() else { return Ok(()) };
        let Some((make, _)) = self.kind.make() else { return Ok(()) };
        for key in self.colliding.iter().take(times) {
            let input = self.input(&first, make.algorithm(), key.calculate_key_tag()?)?;
            let rrsig = RRSIG::from_sig(input, make.wrong_signature()?);
            records.push(signature(&first.name, rrsig));
        }
        Ok(())
    }

    fn input(&self, of: &Record, by: Algorithm, tag: u16) -> Result<SigInput, Box<dyn Error>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() as i64;
        Ok(SigInput {
            type_covered: of.record_type(),
            algorithm: by,
            num_labels: of.name.num_labels(),
            original_ttl: TTL,
            sig_expiration: SerialNumber::new((now + VALID.1) as u32),
            sig_inception: SerialNumber::new((now + VALID.0) as u32),
            key_tag: tag,
            signer_name: self.origin.clone(),
        })
    }

    /// What the parent vouches for, as its records.
    fn vouched(&self) -> Result<Vec<RData>, Box<dyn Error>> {
        let keys: Vec<&DNSKEY> = match self.kind {
            Kind::LargeUnsigned => Vec::new(),
            Kind::Keys(_) => self.colliding.iter().collect(),
            _ => vec![&self.dnskey],
        };
        let ds = keys.into_iter().map(|key| {
            let digest = key.to_digest(&self.origin, DigestType::SHA256)?.as_ref().to_vec();
            let tag = key.calculate_key_tag()?;
            let algorithm = key.public_key().algorithm();
            let ds = DS::new(tag, algorithm, DigestType::SHA256, digest);
            Ok(RData::DNSSEC(DNSSECRData::DS(ds)))
        });
        ds.collect()
    }

    fn keys(&self) -> Result<Vec<Record>, Box<dyn Error>> {
        let keys = self.colliding.iter().chain([&self.dnskey]).cloned();
        let keys = keys.map(|key| RData::DNSSEC(DNSSECRData::DNSKEY(key)));
        let mut records = Self::records(&self.origin, keys);
        match self.kind {
            Kind::Keys(_) => self.spoil(&mut records, MANY)?,
            _ => self.sign(&mut records)?,
        }
        Ok(records)
    }

    /// That there is nothing but these types at `owner`.
    fn deny(&self, owner: &Name, types: &[RecordType]) -> Result<Vec<Record>, Box<dyn Error>> {
        let soa = SOA::new(self.origin.clone(), self.origin.clone(), 1, 3600, 600, 86_400, 60);
        let mut records = Self::records(&self.origin, [RData::SOA(soa)]);
        self.sign(&mut records)?;
        let types = types.iter().copied().chain([RecordType::RRSIG, RecordType::NSEC]);
        let nsec = NSEC::new(owner.prepend_label([0_u8].as_slice())?, types);
        let mut denial = Self::records(owner, [RData::DNSSEC(DNSSECRData::NSEC(nsec))]);
        self.sign(&mut denial)?;
        records.extend(denial);
        Ok(records)
    }

    /// Denials that say nothing of the name, which is only known when it and all names above it have
    /// been hashed.
    fn hashed_denial(&self, iterations: u16) -> Result<Vec<Record>, Box<dyn Error>> {
        let soa = SOA::new(self.origin.clone(), self.origin.clone(), 1, 3600, 600, 86_400, 60);
        let mut all = Self::records(&self.origin, [RData::SOA(soa)]);
        self.sign(&mut all)?;
        for at in 0..DENIALS {
            let (from, mut next) = ([at; 20], [at; 20]);
            next[19] = next[19].wrapping_add(1);
            let owner = data_encoding::BASE32_DNSSEC.encode(&from);
            let owner = self.origin.prepend_label(owner.as_bytes())?;
            let nsec3 = NSEC3::new(
                Nsec3HashAlgorithm::SHA1,
                false,
                iterations,
                vec![7; 255],
                next.to_vec(),
                [RecordType::A],
            );
            let mut set = Self::records(&owner, [RData::DNSSEC(DNSSECRData::NSEC3(nsec3))]);
            self.sign(&mut set)?;
            all.extend(set);
        }
        Ok(all)
    }

    /// Denials of other names, wrongly signed.
    fn wrong_denials(&self) -> Result<Vec<Record>, Box<dyn Error>> {
        let mut all = self.deny(&self.origin, &[RecordType::A])?;
        for at in 0..DENIED {
            let owner = self.origin.prepend_label(format!("x{at}").as_bytes())?;
            let next = owner.prepend_label([0_u8].as_slice())?;
            let nsec = NSEC::new(next, [RecordType::A]);
            let mut set = Self::records(&owner, [RData::DNSSEC(DNSSECRData::NSEC(nsec))]);
            self.spoil(&mut set, FEW)?;
            all.extend(set);
        }
        Ok(all)
    }

    /// The addresses of `owner`, as this kind has them.
    fn addresses(&self, owner: &Name) -> Result<Vec<Record>, Box<dyn Error>> {
        let count = match self.kind {
            Kind::Large | Kind::LargeRight | Kind::LargeUnsigned => LARGE,
            _ => 1,
        };
        let address = |at: usize| RData::A(Ipv4Addr::from(0x0a00_0000 + at as u32).into());
        let mut records = Self::records(owner, (0..count).map(address));
        match self.kind {
            Kind::LargeUnsigned => {}
            Kind::Honest | Kind::Denials(_) | Kind::Hashed(_) | Kind::LargeRight => {
                self.sign(&mut records)?;
            }
            Kind::Large | Kind::Crowd(_) | Kind::Pairs(_) | Kind::Keys(_) => {
                self.spoil(&mut records, MANY)?;
            }
        }
        Ok(records)
    }
}

fn signature(owner: &Name, rrsig: RRSIG) -> Record {
    Record::from_rdata(owner.clone(), TTL, RData::DNSSEC(DNSSECRData::RRSIG(rrsig)))
}

/// All zones, the root first.
pub(crate) struct World {
    root: Zone,
    others: Vec<Zone>,
}

impl World {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let root = Zone::new(".", Kind::Honest)?;
        let mut others = vec![Zone::new("hostile.", Kind::Honest)?];
        for kind in Kind::all() {
            others.push(Zone::new(&format!("{kind}.hostile."), kind)?);
        }
        Ok(Self { root, others })
    }

    pub(crate) fn root(&self) -> &Zone {
        &self.root
    }

    /// The innermost zone that `name` is in.
    fn zone(&self, name: &Name) -> &Zone {
        let above = self.others.iter().filter(|zone| zone.origin.zone_of(name));
        above.max_by_key(|zone| zone.origin.num_labels()).unwrap_or(&self.root)
    }

    /// What a resolver in front of these zones would answer, with signatures.
    pub(crate) fn answer(&self, name: &Name, rtype: RecordType) -> Message {
        let mut message = Message::response(0, OpCode::Query);
        if self.fill(name, rtype, &mut message).is_err() {
            message.metadata.response_code = ResponseCode::ServFail;
        }
        message
    }

    fn fill(
        &self,
        name: &Name,
        rtype: RecordType,
        message: &mut Message,
    ) -> Result<(), Box<dyn Error>> {
        let zone = self.zone(name);
        if rtype == RecordType::DS && !name.is_root() {
            let parent = self.zone(&name.base_name());
            let vouched = if zone.origin == *name { zone.vouched()? } else { Vec::new() };
            if vouched.is_empty() {
                let delegated = if zone.origin == *name || parent.origin.is_root() {
                    &[RecordType::NS][..]
                } else {
                    &[RecordType::A]
                };
                message.authorities = parent.deny(name, delegated)?;
            } else {
                message.answers = Zone::records(name, vouched);
                parent.sign(&mut message.answers)?;
            }
        } else if rtype == RecordType::DNSKEY && zone.origin == *name {
            message.answers = zone.keys()?;
        } else if rtype == RecordType::A && zone.origin.is_root() {
            // Not signed, and not a zone of ours.
            let address = RData::A(Ipv4Addr::new(192, 0, 2, 1).into());
            message.answers = Zone::records(name, [address]);
        } else if let (Kind::Hashed(times), RecordType::A) = (zone.kind, rtype) {
            message.metadata.response_code = ResponseCode::NXDomain;
            message.authorities = zone.hashed_denial(times)?;
        } else if let (Kind::Denials(_), RecordType::A) = (zone.kind, rtype) {
            message.metadata.response_code = ResponseCode::NXDomain;
            message.authorities = zone.wrong_denials()?;
        } else if rtype == RecordType::A {
            message.answers = zone.addresses(name)?;
        } else {
            message.authorities = zone.deny(name, &[RecordType::A])?;
        }
        Ok(())
    }
}
