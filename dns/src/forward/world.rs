//! A small name space, signed as told, and the answers a resolver would give from it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use hickory_proto::dnssec::crypto::Ed25519SigningKey;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, NSEC, NSEC3, RRSIG, sig::SigInput};
use hickory_proto::dnssec::{Algorithm, DigestType, Nsec3HashAlgorithm, SigningKey, TBS};
use hickory_proto::op::{Message, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NS, NULL, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber};

use super::validate::{Ask, Asking, Lookup};
use crate::cache::FailureKind;

pub(super) const TTL: u32 = 300;

/// How a zone denies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Denies {
    Nsec,
    Nsec3 { opt_out: bool, iterations: u16 },
}

pub(super) struct Zone {
    pub(super) origin: Name,
    pub(super) signed: bool,
    pub(super) denies: Denies,
    /// Seconds from now at which signatures begin and end.
    pub(super) valid: (i64, i64),
    key: Ed25519SigningKey,
    pub(super) dnskey: DNSKEY,
    nodes: BTreeMap<Name, BTreeMap<u16, Vec<RData>>>,
}

type Tamper = Box<dyn Fn(&Lookup, &mut Message) + Send + Sync>;

/// All zones, and what has been asked.
pub(super) struct World {
    pub(super) zones: Vec<Zone>,
    pub(super) asked: Mutex<Vec<String>>,
    tamper: Mutex<Option<Tamper>>,
    failing: Mutex<Option<(RecordType, FailureKind)>>,
}

pub(super) fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("a name");
    name.set_fqdn(true);
    name
}

impl Zone {
    pub(super) fn new(origin: &str, denies: Denies) -> Self {
        let der = Ed25519SigningKey::generate_pkcs8().expect("a key");
        let key = Ed25519SigningKey::from_pkcs8(&der).expect("a key");
        let dnskey = DNSKEY::from_key(&key.to_public_key().expect("its public half"));
        let mut zone = Self {
            origin: name(origin),
            signed: true,
            denies,
            valid: (-3600, 86_400),
            key,
            dnskey,
            nodes: BTreeMap::new(),
        };
        let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 3600, 600, 86_400, 60);
        let origin = zone.origin.clone();
        zone.put(&origin, RData::SOA(soa));
        let server = zone.server();
        zone.put(&origin, RData::NS(NS(server.clone())));
        zone.put(&server, RData::A(zone.address().into()));
        let key = RData::DNSSEC(DNSSECRData::DNSKEY(zone.dnskey.clone()));
        zone.put(&origin, key);
        zone
    }

    /// The name of its name server.
    pub(super) fn server(&self) -> Name {
        self.origin.prepend_label("ns").expect("a name")
    }

    /// Where its name server is: some public address, made of its name.
    pub(super) fn address(&self) -> Ipv4Addr {
        let text = self.origin.to_string();
        let hash = text
            .bytes()
            .fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let [_, b, c, d] = hash.to_be_bytes();
        Ipv4Addr::new(20, b, c, d)
    }

    pub(super) fn put(&mut self, owner: &Name, data: RData) {
        let types = self.nodes.entry(owner.clone()).or_default();
        types.entry(u16::from(data.record_type())).or_default().push(data);
    }

    pub(super) fn a(mut self, owner: &str) -> Self {
        self.put(&name(owner), RData::A(Ipv4Addr::new(192, 0, 2, 1).into()));
        self
    }

    pub(super) fn alias(mut self, owner: &str, target: &str) -> Self {
        self.put(&name(owner), RData::CNAME(CNAME(name(target))));
        self
    }

    pub(super) fn dname(mut self, owner: &str, target: &str) -> Self {
        let mut wire = Vec::new();
        for label in &name(target) {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        let data = RData::Unknown { code: RecordType::DNAME, rdata: NULL::with(wire) };
        self.put(&name(owner), data);
        self
    }

    /// Delegates to `child`, with a DS when it is signed.
    pub(super) fn delegates(mut self, child: &Zone) -> Self {
        self.put(&child.origin, RData::NS(NS(child.server())));
        if child.signed {
            self.put(&child.origin, child.ds());
        }
        self
    }

    pub(super) fn ds(&self) -> RData {
        let digest = self.dnskey.to_digest(&self.origin, DigestType::SHA256).expect("a digest");
        let tag = self.dnskey.calculate_key_tag().expect("a tag");
        let ds = DS::new(tag, Algorithm::ED25519, DigestType::SHA256, digest.as_ref().to_vec());
        RData::DNSSEC(DNSSECRData::DS(ds))
    }

    pub(super) fn unsigned(mut self) -> Self {
        self.signed = false;
        let origin = self.origin.clone();
        if let Some(types) = self.nodes.get_mut(&origin) {
            types.remove(&u16::from(RecordType::DNSKEY));
        }
        self
    }

    pub(super) fn valid(mut self, from: i64, to: i64) -> Self {
        self.valid = (from, to);
        self
    }

    #[allow(clippy::disallowed_methods, reason = "hickory checks signatures by the clock")]
    /// A signature of `records`, which stand at `owner` (a wildcard's own name).
    pub(super) fn sign(&self, owner: &Name, rtype: RecordType, records: &[Record]) -> RRSIG {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
        let at = |offset: i64| SerialNumber::new((now.as_secs() as i64 + offset) as u32);
        let input = SigInput {
            type_covered: rtype,
            algorithm: Algorithm::ED25519,
            num_labels: owner.num_labels(),
            original_ttl: TTL,
            sig_expiration: at(self.valid.1),
            sig_inception: at(self.valid.0),
            key_tag: self.dnskey.calculate_key_tag().expect("a tag"),
            signer_name: self.origin.clone(),
        };
        let tbs = TBS::from_input(owner, DNSClass::IN, &input, records.iter()).expect("to sign");
        RRSIG::from_sig(input, self.key.sign(&tbs).expect("a signature"))
    }

    /// The set at `owner`, signed, as if it stood at `shown`.
    fn set(&self, owner: &Name, rtype: RecordType, shown: &Name) -> Vec<Record> {
        let data = self.nodes.get(owner).and_then(|types| types.get(&u16::from(rtype)));
        let data = data.cloned().unwrap_or_default();
        let delegated = rtype == RecordType::NS && *owner != self.origin;
        self.signed_set(owner, rtype, data, shown, !delegated)
    }

    fn signed_set(
        &self,
        owner: &Name,
        rtype: RecordType,
        data: Vec<RData>,
        shown: &Name,
        sign: bool,
    ) -> Vec<Record> {
        let mut records: Vec<Record> =
            data.into_iter().map(|data| Record::from_rdata(owner.clone(), TTL, data)).collect();
        if self.signed && sign && !records.is_empty() {
            let rrsig = RData::DNSSEC(DNSSECRData::RRSIG(self.sign(owner, rtype, &records)));
            records.push(Record::from_rdata(owner.clone(), TTL, rrsig));
        }
        for record in &mut records {
            record.name = shown.clone();
        }
        records
    }

    /// Names that exist, those without records (RFC 4592, 2.2.2) only for NSEC3.
    fn names(&self) -> Vec<Name> {
        let opted_out = |name: &Name| {
            matches!(self.denies, Denies::Nsec3 { opt_out: true, .. })
                && *name != self.origin
                && self.has(name, RecordType::NS)
                && !self.has(name, RecordType::DS)
        };
        let mut names: Vec<Name> = self.nodes.keys().filter(|n| !opted_out(n)).cloned().collect();
        if self.denies != Denies::Nsec {
            for name in names.clone() {
                let mut above = name.base_name();
                while self.origin.zone_of(&above) && above != self.origin {
                    names.push(above.clone());
                    above = above.base_name();
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }

    fn has(&self, owner: &Name, rtype: RecordType) -> bool {
        self.nodes.get(owner).is_some_and(|types| types.contains_key(&u16::from(rtype)))
    }

    fn exists(&self, name: &Name) -> bool {
        self.nodes.keys().any(|node| name.zone_of(node))
    }

    fn types(&self, owner: &Name) -> Vec<RecordType> {
        let types = self.nodes.get(owner).into_iter().flat_map(BTreeMap::keys);
        let mut types: Vec<RecordType> = types.map(|code| RecordType::from(*code)).collect();
        let delegated = *owner != self.origin && types.contains(&RecordType::NS);
        if !types.is_empty() && (!delegated || types.contains(&RecordType::DS)) {
            types.push(RecordType::RRSIG);
        }
        if self.denies == Denies::Nsec {
            types.push(RecordType::NSEC);
        }
        types
    }

    /// The record that stands at `name`'s place or before it.
    fn denial(&self, name: &Name) -> Vec<Record> {
        if !self.signed {
            return Vec::new();
        }
        let names = self.names();
        match self.denies {
            Denies::Nsec => {
                let at = names.iter().rposition(|owner| owner <= name).unwrap_or(names.len() - 1);
                let owner = &names[at];
                let next = names[(at + 1) % names.len()].clone();
                let nsec = RData::DNSSEC(DNSSECRData::NSEC(NSEC::new(next, self.types(owner))));
                self.signed_set(owner, RecordType::NSEC, vec![nsec], owner, true)
            }
            Denies::Nsec3 { opt_out, iterations } => {
                let hash = |name: &Name| {
                    let hash = Nsec3HashAlgorithm::SHA1.hash(&[7], name, iterations);
                    hash.expect("a hash").as_ref().to_vec()
                };
                let mut hashed: Vec<(Vec<u8>, &Name)> =
                    names.iter().map(|name| (hash(name), name)).collect();
                hashed.sort();
                let wanted = hash(name);
                let last = hashed.len() - 1;
                let at = hashed.iter().rposition(|(hash, _)| *hash <= wanted).unwrap_or(last);
                let next = hashed[(at + 1) % hashed.len()].0.clone();
                let types = self.types(hashed[at].1);
                let nsec3 =
                    NSEC3::new(Nsec3HashAlgorithm::SHA1, opt_out, iterations, vec![7], next, types);
                let label = data_encoding::BASE32_DNSSEC.encode(&hashed[at].0);
                let owner = self.origin.prepend_label(label.as_bytes()).expect("a name");
                let data = RData::DNSSEC(DNSSECRData::NSEC3(nsec3));
                self.signed_set(&owner, RecordType::NSEC3, vec![data], &owner, true)
            }
        }
    }

    fn closest_encloser(&self, name: &Name) -> Name {
        let mut above = name.clone();
        while !self.exists(&above) {
            above = above.base_name();
        }
        above
    }
}

impl World {
    pub(super) fn new(zones: Vec<Zone>) -> Self {
        Self { zones, asked: Mutex::default(), tamper: Mutex::default(), failing: Mutex::default() }
    }

    pub(super) fn zone(&self, origin: &str) -> &Zone {
        self.zones.iter().find(|zone| zone.origin == name(origin)).expect("a zone")
    }

    /// From now on, answers are changed on their way.
    pub(super) fn tamper(&self, with: impl Fn(&Lookup, &mut Message) + Send + Sync + 'static) {
        *self.tamper.lock().expect("a lock") = Some(Box::new(with));
    }

    /// From now on, questions of this type fail.
    pub(super) fn fail(&self, rtype: RecordType, why: FailureKind) {
        *self.failing.lock().expect("a lock") = Some((rtype, why));
    }

    pub(super) fn heal(&self) {
        *self.tamper.lock().expect("a lock") = None;
        *self.failing.lock().expect("a lock") = None;
    }

    /// What has been asked since the last call.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("a lock"))
    }

    fn zone_of(&self, owner: &Name, rtype: RecordType) -> &Zone {
        let above = self.zones.iter().filter(|zone| {
            zone.origin.zone_of(owner)
                && (rtype != RecordType::DS || zone.origin != *owner || owner.is_root())
        });
        above.max_by_key(|zone| zone.origin.num_labels()).expect("the root")
    }

    /// What a resolver answers.
    pub(super) fn answer(&self, qname: &Name, rtype: RecordType) -> Message {
        self.answer_of(qname, rtype, None)
    }

    /// What the name server of this zone answers: a referral, or what it knows itself.
    pub(super) fn authority(&self, zone: &Zone, qname: &Name, rtype: RecordType) -> Message {
        let mut message = Message::response(0, OpCode::Query);
        message.queries.push(Asked::query(qname.clone(), rtype));
        if !zone.origin.zone_of(qname) {
            message.metadata.response_code = ResponseCode::Refused;
            return message;
        }
        let mut cuts = zone.nodes.keys().filter(|node| {
            **node != zone.origin
                && zone.has(node, RecordType::NS)
                && node.zone_of(qname)
                && (rtype != RecordType::DS || *node != qname)
        });
        let Some(cut) = cuts.next() else {
            let mut message = self.answer_of(qname, rtype, Some(zone));
            message.metadata.authoritative = true;
            return message;
        };
        let servers = zone.set(cut, RecordType::NS, cut);
        for record in &servers {
            let RData::NS(server) = &record.data else { continue };
            // Glue, where there is any.
            if let Some(of) = self.zones.iter().find(|zone| zone.server() == server.0)
                && cut.zone_of(&server.0)
            {
                let data = RData::A(of.address().into());
                message.additionals.push(Record::from_rdata(server.0.clone(), TTL, data));
            }
        }
        message.authorities.extend(servers);
        if zone.has(cut, RecordType::DS) {
            message.authorities.extend(zone.set(cut, RecordType::DS, cut));
        } else {
            message.authorities.extend(zone.denial(cut));
        }
        message
    }

    fn answer_of(&self, qname: &Name, rtype: RecordType, only: Option<&Zone>) -> Message {
        let mut message = Message::response(0, OpCode::Query);
        message.queries.push(Asked::query(qname.clone(), rtype));
        let mut owner = qname.clone();
        for _ in 0..12 {
            let zone = self.zone_of(&owner, rtype);
            if only.is_some_and(|only| only.origin != zone.origin) {
                return message;
            }
            let encloser = zone.closest_encloser(&owner);
            let star = encloser.prepend_label("*").expect("a name");
            let exists = encloser == owner;
            let source = if exists { owner.clone() } else { star };
            let expanded = !exists && zone.exists(&source);
            let next_closer = owner.trim_to(encloser.iter().len() + 1);
            let mut above = encloser.clone();
            let renamed = loop {
                if above != owner && zone.has(&above, RecordType::DNAME) {
                    break Some(above);
                }
                if above == zone.origin || above.is_root() {
                    break None;
                }
                above = above.base_name();
            };
            if let Some(above) = renamed {
                let set = zone.set(&above, RecordType::DNAME, &above);
                let RData::Unknown { rdata, .. } = &set[0].data else { panic!("a DNAME") };
                let target = read_name(&rdata.anything);
                let front = owner.iter().take(owner.iter().len() - above.iter().len());
                let target =
                    Name::from_labels(front).expect("").append_name(&target).expect("a name");
                message.answers.extend(set);
                let alias = RData::CNAME(CNAME(target.clone()));
                message.answers.push(Record::from_rdata(owner, TTL, alias));
                owner = target;
                continue;
            }
            if zone.has(&source, rtype) {
                message.answers.extend(zone.set(&source, rtype, &owner));
                if expanded {
                    message.authorities.extend(zone.denial(&next_closer));
                }
                return message;
            }
            if zone.has(&source, RecordType::CNAME) {
                let set = zone.set(&source, RecordType::CNAME, &owner);
                let RData::CNAME(target) = set[0].data.clone() else { panic!("a CNAME") };
                message.answers.extend(set);
                if expanded {
                    message.authorities.extend(zone.denial(&next_closer));
                }
                owner = target.0;
                continue;
            }
            let soa = zone.set(&zone.origin, RecordType::SOA, &zone.origin);
            message.authorities.extend(soa);
            let mut proofs = vec![zone.denial(&owner)];
            if !exists {
                proofs.push(zone.denial(&source));
                if zone.denies != Denies::Nsec {
                    proofs.push(zone.denial(&encloser));
                    proofs.push(zone.denial(&next_closer));
                }
                if !expanded {
                    message.metadata.response_code = ResponseCode::NXDomain;
                }
            }
            for record in proofs.into_iter().flatten() {
                if !message.authorities.contains(&record) {
                    message.authorities.push(record);
                }
            }
            return message;
        }
        message
    }
}

fn read_name(wire: &[u8]) -> Name {
    use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
    Name::read(&mut BinDecoder::new(wire)).expect("a name")
}

impl Ask for World {
    fn ask(&self, lookup: Lookup) -> Asking {
        let what = format!("{} {}", lookup.name, lookup.rtype);
        self.asked.lock().expect("a lock").push(what);
        if let Some((rtype, why)) = *self.failing.lock().expect("a lock")
            && rtype == lookup.rtype
        {
            return Box::pin(std::future::ready(Err(why)));
        }
        let mut message = self.answer(&lookup.name, lookup.rtype);
        if let Some(tamper) = &*self.tamper.lock().expect("a lock") {
            tamper(&lookup, &mut message);
        }
        // As it comes from the network.
        let wire = message.to_vec().expect("a message");
        Box::pin(async move {
            tokio::task::yield_now().await;
            crate::wire::to_message(&wire).ok_or(FailureKind::Garbled)
        })
    }
}

/// Name servers for each zone of a world, on ports of their own.
pub(super) struct Servers {
    pub(super) ports: HashMap<IpAddr, SocketAddr>,
    /// Zone and question, as they came.
    pub(super) asked: Arc<Mutex<Vec<(String, String)>>>,
    _tasks: tokio::task::JoinSet<()>,
}

impl Servers {
    /// Has `answer` make or change what they say: zone, question, answer.
    pub(super) async fn start(
        world: &Arc<World>,
        change: impl Fn(&str, &mut Message) -> bool + Clone + Send + Sync + 'static,
    ) -> Self {
        let (mut ports, mut tasks) = (HashMap::new(), tokio::task::JoinSet::new());
        let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        for at in 0..world.zones.len() {
            let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            let ip = IpAddr::V4(world.zones[at].address());
            assert!(ports.insert(ip, socket.local_addr().expect("its address")).is_none());
            let (world, change, asked) = (world.clone(), change.clone(), asked.clone());
            tasks.spawn(async move {
                let mut buf = [0; 4096];
                while let Ok((len, from)) = socket.recv_from(&mut buf).await {
                    let Ok(query) = Message::from_vec(&buf[..len]) else { continue };
                    let zone = &world.zones[at];
                    let question = query.queries[0].clone();
                    let origin = zone.origin.to_string();
                    let text =
                        format!("{} {}", question.name().to_lowercase(), question.query_type());
                    asked.lock().expect("a lock").push((origin.clone(), text));
                    let lower = question.name().to_lowercase();
                    let mut answer = world.authority(zone, &lower, question.query_type());
                    answer.metadata.id = query.metadata.id;
                    answer.queries = vec![question];
                    if change(&origin, &mut answer) {
                        let _ = socket.send_to(&answer.to_vec().expect("bytes"), from).await;
                    }
                }
            });
        }
        Self { ports, asked, _tasks: tasks }
    }

    /// What the server of this zone was asked.
    pub(super) fn asked_of(&self, zone: &str) -> Vec<String> {
        let asked = self.asked.lock().expect("a lock");
        asked.iter().filter(|(of, _)| of == zone).map(|(_, what)| what.clone()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.asked.lock().expect("a lock").len()
    }
}
