//! Which rows are wanted.
//!
//! Terms about the same field are alternatives, different fields must all agree, and one term
//! that is excluded is enough to leave a row out. A row that lacks the field (its name is not kept,
//! say) meets no term about it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::row::{Answer, Row, Seq};

/// What a row must and must not be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Term>,
    /// Not wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Term>,
    /// Not before this moment, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// Before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<i64>,
}

/// One demand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Term {
    /// One of these addresses asked: those of one device.
    Device(Vec<IpAddr>),
    /// Somebody of this network asked.
    Network(IpNet),
    /// The name holds this text.
    Name(String),
    /// The name is this domain, or below it.
    Suffix(String),
    /// The type, by number.
    Type(u16),
    /// How it was answered, by the word for it; `allowed` for an exception.
    Verdict(String),
    /// The response code.
    Rcode(u8),
    /// The list whose rule decided.
    List(String),
    /// The upstream.
    Upstream(String),
    /// The policy.
    Policy(String),
    /// How the question came.
    Transport(String),
    /// What DNSSEC says.
    Dnssec(String),
}

/// The part of a row that a term looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Client,
    Name,
    Answer,
}

impl Term {
    fn part(&self) -> Part {
        match self {
            Term::Device(_) | Term::Network(_) => Part::Client,
            Term::Name(_) | Term::Suffix(_) => Part::Name,
            _ => Part::Answer,
        }
    }

    /// Which terms are alternatives of each other.
    fn field(&self) -> u8 {
        match self {
            Term::Device(_) | Term::Network(_) => 0,
            Term::Name(_) | Term::Suffix(_) => 1,
            Term::Type(_) => 2,
            Term::Verdict(_) => 3,
            Term::Rcode(_) => 4,
            Term::List(_) => 5,
            Term::Upstream(_) => 6,
            Term::Policy(_) => 7,
            Term::Transport(_) => 8,
            Term::Dnssec(_) => 9,
        }
    }

    fn client(&self, client: IpAddr) -> bool {
        match self {
            Term::Device(addrs) => addrs.contains(&client),
            Term::Network(net) => net.contains(&client),
            _ => false,
        }
    }

    fn name(&self, name: &str) -> bool {
        match self {
            Term::Name(text) => name.contains(text.to_ascii_lowercase().as_str()),
            Term::Suffix(domain) => {
                let domain = domain.trim_matches('.').to_ascii_lowercase();
                let above = name.strip_suffix(domain.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            _ => false,
        }
    }

    fn answer(&self, answer: &Answer) -> bool {
        let rule = answer.rule.as_ref();
        match self {
            Term::Type(qtype) => answer.qtype == *qtype,
            Term::Verdict(word) if word == "allowed" => rule.is_some_and(|rule| rule.allowed),
            Term::Verdict(word) => answer.how.as_str() == word,
            Term::Rcode(rcode) => answer.rcode == *rcode,
            Term::List(list) => rule.is_some_and(|rule| *rule.list == **list),
            Term::Upstream(upstream) => answer.upstream.as_deref() == Some(upstream),
            Term::Policy(policy) => *answer.policy == **policy,
            Term::Transport(word) => answer.transport.as_str() == word,
            Term::Dnssec(word) => answer.dnssec.as_str() == word,
            _ => false,
        }
    }
}

impl Filter {
    /// Whether a row is wanted.
    pub fn wants(&self, row: &Row) -> bool {
        self.wants_seq(row.seq)
            && self.wants_client(row.client)
            && self.wants_name(row.name.as_ref())
            && self.wants_answer(&row.answer)
    }

    /// Whether its time is.
    pub fn wants_seq(&self, seq: Seq) -> bool {
        self.from_ms.is_none_or(|from| from <= seq.ms())
            && self.to_ms.is_none_or(|to| seq.ms() < to)
    }

    /// Whether what it says of the client is.
    pub fn wants_client(&self, client: Option<IpAddr>) -> bool {
        self.agrees(Part::Client, |term| client.is_some_and(|client| term.client(client)))
    }

    /// Whether what it says of the name is.
    pub fn wants_name(&self, name: Option<&Arc<str>>) -> bool {
        self.agrees(Part::Name, |term| name.is_some_and(|name| term.name(name)))
    }

    /// Whether all the rest is.
    pub fn wants_answer(&self, answer: &Answer) -> bool {
        self.agrees(Part::Answer, |term| term.answer(answer))
    }

    /// Whether any term looks at names: only then must they be searched.
    pub fn looks_at_names(&self) -> bool {
        self.include.iter().chain(&self.exclude).any(|term| term.part() == Part::Name)
    }

    fn agrees(&self, part: Part, meets: impl Fn(&Term) -> bool) -> bool {
        let mine = |term: &&Term| term.part() == part;
        if self.exclude.iter().filter(mine).any(&meets) {
            return false;
        }
        let mut included = self.include.iter().filter(mine);
        included.all(|term| {
            meets(term)
                || self.include.iter().any(|other| other.field() == term.field() && meets(other))
        })
    }
}
