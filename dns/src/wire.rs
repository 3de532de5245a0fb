//! DNS messages as bytes: reading a question in place and writing an answer into a buffer.
//!
//! Nothing here allocates for a question, indexes foreign data or panics on it.

mod answer;
mod message;
mod query;
mod record;
mod reply;
mod service;

pub(crate) use answer::{Form, Layout, Reading, read};
pub(crate) use message::to_message;
pub(crate) use query::{Malformed, Query, Refusal};
pub(crate) use record::{
    Alike, Records, alike_addresses, find_opt, grow_older, least_ttl, ttl_offsets,
};
pub(crate) use reply::{Ede, Owner, Reply, max_size};
pub(crate) use service::{hints_inside, service_target};

use crate::name::MAX_WIRE;

/// Bytes of the fixed header (RFC 1035, 4.1.1).
pub(crate) const HEADER: usize = 12;

/// The only class served.
pub(crate) const CLASS_IN: u16 = 1;

/// The largest UDP answer we send, and the size we tell clients that we take: no path on a LAN or
/// beyond fragments it (RFC 9715).
pub(crate) const UDP_PAYLOAD: u16 = 1232;

/// A response code, the extended ones included (RFC 6895, 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rcode(pub(crate) u16);

impl Rcode {
    pub(crate) const NO_ERROR: Self = Self(0);
    pub(crate) const FORM_ERR: Self = Self(1);
    pub(crate) const SERV_FAIL: Self = Self(2);
    pub(crate) const NX_DOMAIN: Self = Self(3);
    pub(crate) const NOT_IMP: Self = Self(4);
    pub(crate) const REFUSED: Self = Self(5);
    pub(crate) const BAD_VERS: Self = Self(16);
}

/// The header fields of a question that its answer repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: [u8; 2],
    /// Opcode and RD, where they stand in the third byte of the header.
    pub(crate) opcode_rd: u8,
    /// CD, where it stands in the fourth byte.
    pub(crate) cd: u8,
}

/// Bits of the header's third and fourth byte.
pub(crate) mod flag {
    pub(crate) const QR: u8 = 0x80;
    pub(crate) const OPCODE: u8 = 0x78;
    pub(crate) const AA: u8 = 0x04;
    pub(crate) const TC: u8 = 0x02;
    pub(crate) const RD: u8 = 0x01;
    pub(crate) const RA: u8 = 0x80;
    pub(crate) const AD: u8 = 0x20;
    pub(crate) const CD: u8 = 0x10;
    pub(crate) const RCODE: u8 = 0x0f;
}

/// The name at `at`, decompressed, its letters as they are, and where it ends there.
fn expand(message: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut wire = Vec::with_capacity(64);
    let mut end = None;
    loop {
        match usize::from(*message.get(at)?) {
            0 => break,
            len @ 1..=63 => {
                wire.extend_from_slice(message.get(at..=at + len)?);
                at += 1 + len;
            }
            0xc0.. => {
                let to = usize::from(u16_at(message, at)? & 0x3fff);
                // Only ever backwards, so that there is an end to it.
                if to >= at || to < HEADER {
                    return None;
                }
                end.get_or_insert(at + 2);
                at = to;
            }
            _ => return None,
        }
        if wire.len() >= MAX_WIRE {
            return None;
        }
    }
    wire.push(0);
    Some((wire, end.unwrap_or(at + 1)))
}

/// The 16-bit number at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map(u16::from_be_bytes)
}
