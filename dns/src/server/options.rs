//! EDNS options that belong to the transport and not to the answer: padding (RFC 7830, RFC 8467)
//! and the idle time of a connection (RFC 7828). The stages know nothing of them; they are put onto
//! a finished answer, whose OPT record stands last.

use std::time::Duration;

use crate::Transport;
use crate::wire::find_opt;

const PADDING: u16 = 12;
const KEEPALIVE: u16 = 11;

/// Answers are padded to a multiple of this (RFC 8467, 4.1).
const BLOCK: usize = 468;

/// What a question's options want to be added to its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    padding: bool,
    keepalive: bool,
}

impl Wants {
    /// What this question wants, and may have on this transport: padding hides something only where
    /// nobody can read along, and only TCP and TLS have connections that the option speaks of (RFC
    /// 9250, 5.5.2; RFC 8484 leaves it to HTTP).
    pub(crate) fn of(packet: &[u8], transport: Transport) -> Self {
        Self {
            padding: transport.is_encrypted() && has(packet, PADDING),
            keepalive: matches!(transport, Transport::Tcp | Transport::Tls)
                && has(packet, KEEPALIVE),
        }
    }

    /// Adds it; nothing to an answer without OPT. `idle` is how long a connection may be idle.
    pub(crate) fn add_to(self, answer: &mut Vec<u8>, idle: Duration) {
        if self == Self::default() {
            return;
        }
        let Some(opt) = find_opt(answer).filter(|opt| opt.end == answer.len()) else { return };
        let options = answer.len();
        if self.keepalive && options + 6 <= usize::from(u16::MAX) {
            // In units of 100 ms.
            let units = u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX);
            push(answer, KEEPALIVE, &units.to_be_bytes());
        }
        if self.padding
            && let Some(room) = usize::from(u16::MAX).checked_sub(answer.len() + 4)
        {
            let short = (BLOCK - (answer.len() + 4) % BLOCK) % BLOCK;
            push(answer, PADDING, &[0; BLOCK][..short.min(room)]);
        }
        let len = opt.rdata_len + (answer.len() - options);
        if let Ok(len) = u16::try_from(len) {
            answer[opt.len_at..opt.len_at + 2].copy_from_slice(&len.to_be_bytes());
        }
    }
}

/// Whether a question carries the option that must not come over QUIC (RFC 9250, 5.5.2).
pub(super) fn has_keepalive(packet: &[u8]) -> bool {
    has(packet, KEEPALIVE)
}

fn has(packet: &[u8], wanted: u16) -> bool {
    let Some(opt) = find_opt(packet) else { return false };
    let mut options = packet.get(opt.len_at + 2..opt.end).unwrap_or_default();
    while let [code0, code1, len0, len1, rest @ ..] = options {
        if u16::from_be_bytes([*code0, *code1]) == wanted {
            return true;
        }
        options = rest.get(usize::from(u16::from_be_bytes([*len0, *len1]))..).unwrap_or_default();
    }
    false
}

fn push(answer: &mut Vec<u8>, code: u16, data: &[u8]) {
    answer.extend_from_slice(&code.to_be_bytes());
    answer.extend_from_slice(&(data.len() as u16).to_be_bytes());
    answer.extend_from_slice(data);
}

#[cfg(test)]
mod tests;
