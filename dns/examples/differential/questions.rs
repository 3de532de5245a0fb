//! What is asked.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RecordType};

/// One question, and how it is asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) id: u16,
    pub(crate) name: Name,
    pub(crate) rtype: RecordType,
    /// EDNS with this size.
    pub(crate) size: Option<u16>,
    pub(crate) dnssec_ok: bool,
    pub(crate) cd: bool,
    pub(crate) ad: bool,
    pub(crate) tcp: bool,
}

impl Asked {
    pub(crate) fn packet(&self) -> Arc<[u8]> {
        let mut message = Message::query();
        message.metadata.id = self.id;
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = self.cd;
        message.metadata.authentic_data = self.ad;
        message.queries.push(Query::query(self.name.clone(), self.rtype));
        if let Some(size) = self.size {
            let mut edns = Edns::new();
            edns.set_max_payload(size);
            edns.set_dnssec_ok(self.dnssec_ok);
            message.edns = Some(edns);
        }
        message.to_vec().unwrap_or_default().into()
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)?;
        if let Some(size) = self.size {
            write!(f, " bufsize={size}")?;
        }
        for (set, word) in
            [(self.dnssec_ok, "do"), (self.cd, "cd"), (self.ad, "ad"), (self.tcp, "tcp")]
        {
            if set {
                write!(f, " {word}")?;
            }
        }
        Ok(())
    }
}

/// Questions read from lines of a name and a type.
pub(crate) fn recorded(text: &str) -> Result<Vec<Asked>, Box<dyn Error>> {
    let mut rng = Rng(1);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let mut words = line.split_whitespace();
            let (Some(name), Some(rtype)) = (words.next(), words.next()) else {
                return Err(format!("line {}: a name and a type", index + 1).into());
            };
            Ok(rng.asked(&Name::from_ascii(name)?, rtype.parse()?))
        })
        .collect()
}

/// Questions that the authority was made for, in an order of their own.
pub(crate) fn made(count: usize, seed: u64) -> Vec<Asked> {
    let mut rng = Rng(seed.max(1));
    (0..count)
        .map(|_| {
            let (name, rtype) = (rng.name(), rng.rtype());
            rng.asked(&name, rtype)
        })
        .collect()
}

/// SplitMix64: the same questions for the same seed, everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn asked(&mut self, name: &Name, rtype: RecordType) -> Asked {
        let size = self.one_of(&[None, Some(512), Some(1232), Some(1232), Some(4096)]);
        Asked {
            id: self.next() as u16,
            name: self.cased(name),
            rtype,
            size,
            dnssec_ok: size.is_some() && self.below(4) == 0,
            cd: self.below(10) == 0,
            ad: self.below(5) == 0,
            tcp: self.below(8) == 0,
        }
    }

    /// The same name with letters of either case, as DNS 0x20 sends it.
    fn cased(&mut self, name: &Name) -> Name {
        if self.below(2) == 0 {
            return name.clone();
        }
        let labels: Vec<Vec<u8>> = name
            .iter()
            .map(|label| {
                let upper = |byte: &u8| byte.to_ascii_uppercase();
                label.iter().map(|b| if self.below(2) == 0 { upper(b) } else { *b }).collect()
            })
            .collect();
        let mut cased = Name::from_labels(labels).unwrap_or_else(|_| name.clone());
        cased.set_fqdn(true);
        cased
    }

    fn rtype(&mut self) -> RecordType {
        use RecordType as R;
        // Addresses are what homes ask for.
        self.one_of(&[
            R::A,
            R::A,
            R::A,
            R::A,
            R::A,
            R::A,
            R::AAAA,
            R::AAAA,
            R::AAAA,
            R::HTTPS,
            R::HTTPS,
            R::SVCB,
            R::TXT,
            R::TXT,
            R::MX,
            R::NS,
            R::SOA,
            R::CNAME,
            R::SRV,
            R::PTR,
            R::CAA,
            R::NAPTR,
            R::TLSA,
            R::SSHFP,
            R::HINFO,
            R::DS,
            R::DNSKEY,
            R::ANY,
            R::Unknown(39),
            R::Unknown(13),
            R::Unknown(99),
            R::Unknown(256),
            R::Unknown(65_280),
        ])
    }

    fn name(&mut self) -> Name {
        let n = self.below(40);
        let text = match self.below(26) {
            0..=3 => format!("a{n}.rich.example."),
            4 | 5 => format!("c{}.rich.example.", n % 9),
            6 => format!("x{n}.d{}.rich.example.", n % 5),
            7 => format!("d{}.rich.example.", n % 5),
            8 => format!("w{n}.w.rich.example."),
            9 => {
                self.one_of(&["*.w", "a.b.w", "w", "exists.w", "x.exists.w"]).to_owned()
                    + ".rich.example."
            }
            10 => format!("nx{n}.rich.example."),
            11 => format!("x.y.nx{n}.rich.example."),
            12 => {
                self.one_of(&["ent", "deep.ent", "no.ent", "x.deep.ent"]).to_owned()
                    + ".rich.example."
            }
            13 | 14 => format!("big{n}.rich.example."),
            15 => format!("https{}.rich.example.", n % 6),
            16 => format!("u{n}.rich.example."),
            17 => format!("h.sub{}.rich.example.", n % 6),
            18 => format!("sub{}.rich.example.", n % 6),
            19 => self.one_of(&["rich.example.", "example.", ".", "com.", "other.example."]).into(),
            20 => format!("fail{}.rich.example.", n % 4),
            21 => {
                self.one_of(&[
                    "cnx", "cnodata", "cout", "cwild", "cdname", "cself", "loop0", "loop1",
                ])
                .to_owned()
                    + ".rich.example."
            }
            22 => {
                self.one_of(&["mail", "zero", "week", "odd\\001\\.x", "_sip._tcp"]).to_owned()
                    + ".rich.example."
            }
            23 => format!("{}.{}.rich.example.", "l".repeat(63), "m".repeat(n as usize + 1)),
            24 => format!("{}rich.example.", "q.".repeat(100 + n as usize % 20)),
            _ => self.special(),
        };
        Name::from_ascii(&text).unwrap_or_else(|_| Name::root())
    }

    fn special(&mut self) -> String {
        self.one_of(&[
            "localhost.",
            "x.localhost.",
            "x.invalid.",
            "x.test.",
            "x.onion.",
            "x.home.arpa.",
            "1.0.0.127.in-addr.arpa.",
            "5.0.0.10.in-addr.arpa.",
            "5.1.168.192.in-addr.arpa.",
            "1.1.254.169.in-addr.arpa.",
            "5.0.31.172.in-addr.arpa.",
            "5.0.32.172.in-addr.arpa.",
            "8.8.8.8.in-addr.arpa.",
            "x.8.e.f.ip6.arpa.",
            "x.d.f.ip6.arpa.",
        ])
        .to_owned()
    }
}
