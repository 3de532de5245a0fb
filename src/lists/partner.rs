//! Copies of lists between the two hosts: what each tells the other that it has, and how one takes
//! a copy over. Pure: the files and the wire are elsewhere.
//!
//! ```text
//!   Held   "these copies I have, confirmed so long ago"     after each change, and on each link
//!   Want   "give me this copy from here on"                 one at a time
//!   Part   at most 128 KiB of it                            answers one Want
//! ```
//! So one host fetches and the other copies: a copy the partner has confirmed later than this host
//! is taken over, or, where it is the same text, counts as confirmed here too. A copy is used only
//! when its SHA-256 is the announced one.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::{Message, Oneof};

use super::disk::{Header, digest};

/// The most of a copy that travels in one message. Small, so that leases never wait for it.
const PART: usize = 128 * 1024;
/// A partner that does not answer for so long is not asked again on this link.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of an announcement: room for hundreds of lists.
const ANNOUNCED: usize = 200 * 1024;

/// A copy of a list that a host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// The list.
    pub(super) id: String,
    /// Where it came from, and its checksum.
    pub(super) header: Header,
    /// Bytes of its text.
    pub(super) len: u64,
    /// How long ago it was fetched, or found unchanged.
    pub(super) age: Duration,
}

/// What this host knows of the same list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// Where the settings say it comes from.
    pub(super) source: String,
    /// The checksum of the copy at hand; `None` without one.
    pub(super) sha256: Option<String>,
    /// How long ago it was confirmed; `None`: never.
    pub(super) age: Option<Duration>,
    /// Whether the last attempt to get it failed.
    pub(super) failing: bool,
    /// Whether it is a file of each host: another host's is second best.
    pub(super) file: bool,
}

/// What to do about a list that the partner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Nothing.
    Leave,
    /// The copy at hand is the same: it is confirmed.
    Confirm,
    /// The partner's is better.
    Take,
}

/// Clocks tick in seconds, and messages take their time.
const MARGIN: Duration = Duration::from_secs(2);

impl Copy {
    /// Chooses between the partner's copy and what is here. What was confirmed within `fresh` is
    /// up to date.
    pub(super) fn choose(&self, own: &Own, fresh: Duration) -> Choice {
        if own.source != self.header.source || own.file && !own.failing {
            return Choice::Leave;
        }
        let later = own.age.is_none_or(|age| self.age + MARGIN < age);
        match &own.sha256 {
            Some(sha256) if *sha256 == self.header.sha256 => {
                match later || own.failing && self.age < fresh {
                    true => Choice::Confirm,
                    false => Choice::Leave,
                }
            }
            Some(_) if !later => Choice::Leave,
            _ => Choice::Take,
        }
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// All copies the sender has.
    Held(Vec<Copy>),
    /// The sender wants a copy, from this byte on.
    Want { id: String, sha256: String, offset: u64 },
    /// A piece of it; nothing, where the sender has it no more.
    Part { id: String, sha256: String, offset: u64, bytes: Vec<u8> },
}

/// Why a message means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the partner's message about lists is not understood")]
pub(super) struct NotUnderstood;

impl Word {
    pub(super) fn encode(self) -> Vec<u8> {
        let word = match self {
            Word::Held(copies) => {
                let mut room = ANNOUNCED;
                let fits = |copy: &WireCopy| {
                    room = room.saturating_sub(copy.encoded_len() + 8);
                    room > 0
                };
                let copies = copies.into_iter().map(WireCopy::from).take_while(fits).collect();
                WireWord::Held(WireHeld { copies })
            }
            Word::Want { id, sha256, offset } => WireWord::Want(WireWant { id, sha256, offset }),
            Word::Part { id, sha256, offset, bytes } => {
                WireWord::Part(WirePart { id, sha256, offset, bytes })
            }
        };
        Wire { word: Some(word) }.encode_to_vec()
    }

    /// `Ok(None)`: a word of a later version.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<Word>, NotUnderstood> {
        let wire = Wire::decode(bytes).map_err(|_| NotUnderstood)?;
        Ok(wire.word.map(|word| match word {
            WireWord::Held(held) => Word::Held(held.copies.into_iter().map(Copy::from).collect()),
            WireWord::Want(WireWant { id, sha256, offset }) => Word::Want { id, sha256, offset },
            WireWord::Part(WirePart { id, sha256, offset, bytes }) => {
                Word::Part { id, sha256, offset, bytes }
            }
        }))
    }
}

/// The piece of a copy that a [`Word::Want`] asks for.
pub(super) fn part(text: &[u8], offset: u64) -> Vec<u8> {
    let rest = usize::try_from(offset).ok().and_then(|from| text.get(from..)).unwrap_or_default();
    rest.get(..PART).unwrap_or(rest).to_vec()
}

/// A copy on its way from the partner. One at a time, so that its memory is bounded.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    /// What the partner has, by list.
    theirs: BTreeMap<String, Copy>,
    /// The largest text taken, in bytes.
    largest: u64,
    current: Option<Pull>,
}

#[derive(Debug)]
struct Pull {
    copy: Copy,
    text: Vec<u8>,
    asked: Duration,
}

/// What came of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was not asked for.
    Nothing,
    /// More is wanted.
    More(Word),
    /// The copy is complete, and its checksum right.
    Whole(Copy, Vec<u8>),
    /// The partner has it no more, or something else came.
    Failed(String),
}

impl Pulls {
    /// No text larger than `largest` bytes is taken.
    pub(super) fn new(largest: u64) -> Pulls {
        Pulls { largest, ..Pulls::default() }
    }

    /// The partner told what it has, or (`None`) is gone.
    pub(super) fn handle_held(&mut self, copies: Option<Vec<Copy>>) {
        if copies.is_none() {
            self.current = None;
        }
        let copies = copies.into_iter().flatten();
        self.theirs = copies.map(|copy| (copy.id.clone(), copy)).collect();
    }

    /// What the partner has of a list.
    pub(super) fn theirs(&self, id: &str) -> Option<&Copy> {
        self.theirs.get(id)
    }

    /// The list that is being copied.
    #[cfg(test)]
    pub(super) fn current(&self) -> Option<&str> {
        self.current.as_ref().map(|pull| pull.copy.id.as_str())
    }

    /// Begins to take a copy over, unless another one is on its way.
    pub(super) fn begin(&mut self, now: Duration, id: &str) -> Option<Word> {
        let copy = self.theirs.get(id).filter(|copy| copy.len <= self.largest)?;
        if self.current.is_some() {
            return None;
        }
        let pull = Pull { copy: copy.clone(), text: Vec::new(), asked: now };
        let want = pull.want();
        self.current = Some(pull);
        Some(want)
    }

    /// A piece came.
    pub(super) fn handle_part(
        &mut self,
        now: Duration,
        id: &str,
        sha256: &str,
        offset: u64,
        bytes: &[u8],
    ) -> Taken {
        let expected = |pull: &&mut Pull| {
            pull.copy.id == id && pull.copy.header.sha256 == sha256 && pull.at() == offset
        };
        let Some(pull) = self.current.as_mut().filter(expected) else { return Taken::Nothing };
        let fits = pull.at() + bytes.len() as u64 <= pull.copy.len;
        if bytes.is_empty() || !fits {
            return self.give_up("the other host has another copy by now");
        }
        pull.text.extend_from_slice(bytes);
        pull.asked = now;
        if pull.at() < pull.copy.len {
            return Taken::More(pull.want());
        }
        if hex(&digest(&pull.text)) != pull.copy.header.sha256 {
            return self.give_up("the copy has the wrong checksum");
        }
        match self.current.take() {
            Some(Pull { copy, text, .. }) => Taken::Whole(copy, text),
            None => Taken::Nothing,
        }
    }

    /// Time passed: whether the partner was given up on.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        let late =
            self.current.as_ref().is_some_and(|pull| now.saturating_sub(pull.asked) >= PATIENCE);
        if late {
            self.give_up("the other host does not answer");
        }
        late
    }

    /// When [`Pulls::handle_timeout`] is wanted.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.current.as_ref().map(|pull| pull.asked + PATIENCE)
    }

    /// Not asked for again until the partner announces something anew.
    fn give_up(&mut self, why: &str) -> Taken {
        if let Some(pull) = self.current.take() {
            self.theirs.remove(&pull.copy.id);
        }
        Taken::Failed(why.to_owned())
    }
}

impl Pull {
    fn at(&self) -> u64 {
        self.text.len() as u64
    }

    fn want(&self) -> Word {
        let (id, sha256) = (self.copy.id.clone(), self.copy.header.sha256.clone());
        Word::Want { id, sha256, offset: self.at() }
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The words on the wire.
#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(oneof = "WireWord", tags = "1, 2, 3")]
    word: Option<WireWord>,
}

#[derive(Clone, PartialEq, Oneof)]
enum WireWord {
    #[prost(message, tag = "1")]
    Held(WireHeld),
    #[prost(message, tag = "2")]
    Want(WireWant),
    #[prost(message, tag = "3")]
    Part(WirePart),
}

#[derive(Clone, PartialEq, Message)]
struct WireHeld {
    #[prost(message, repeated, tag = "1")]
    copies: Vec<WireCopy>,
}

#[derive(Clone, PartialEq, Message)]
struct WireCopy {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    source: String,
    #[prost(string, tag = "3")]
    url: String,
    #[prost(string, tag = "4")]
    etag: String,
    #[prost(string, tag = "5")]
    last_modified: String,
    /// Hexadecimal, of the text.
    #[prost(string, tag = "6")]
    sha256: String,
    #[prost(uint64, tag = "7")]
    len: u64,
    /// How long ago it was confirmed: clocks are never compared.
    #[prost(uint64, tag = "8")]
    age_secs: u64,
}

#[derive(Clone, PartialEq, Message)]
struct WireWant {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    sha256: String,
    #[prost(uint64, tag = "3")]
    offset: u64,
}

#[derive(Clone, PartialEq, Message)]
struct WirePart {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    sha256: String,
    #[prost(uint64, tag = "3")]
    offset: u64,
    #[prost(bytes = "vec", tag = "4")]
    bytes: Vec<u8>,
}

impl From<Copy> for WireCopy {
    fn from(copy: Copy) -> WireCopy {
        let Header { source, url, etag, last_modified, sha256 } = copy.header;
        WireCopy {
            id: copy.id,
            source,
            url,
            etag: etag.unwrap_or_default(),
            last_modified: last_modified.unwrap_or_default(),
            sha256,
            len: copy.len,
            age_secs: copy.age.as_secs(),
        }
    }
}

impl From<WireCopy> for Copy {
    fn from(copy: WireCopy) -> Copy {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Copy {
            id: copy.id,
            header: Header {
                source: copy.source,
                url: copy.url,
                etag: some(copy.etag),
                last_modified: some(copy.last_modified),
                sha256: copy.sha256,
            },
            len: copy.len,
            age: Duration::from_secs(copy.age_secs),
        }
    }
}

#[cfg(test)]
mod tests;
