//! What the nodes tell each other beside leases and settings: logins, copies of blocklists, and the
//! certificate authority.
//! This crate only carries the words, and no rule of the leases depends on them.

use super::{Pair, PairOutput};
use crate::wire::{ASIDE_LARGEST, Body, Opaque, WireError};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aside {
    /// Login sessions.
    Sessions,
    /// Copies of blocklists.
    Lists,
    /// The certificate authority of the household.
    Authority,
}

impl Pair {
    /// Sends a message of at most 256 KiB, if the partner is connected and of a release that
    /// knows such messages (version 2 of the protocol); it is lost otherwise.
    pub fn send_aside(&mut self, about: Aside, message: Vec<u8>) {
        let partner = self.link.as_ref().and_then(|link| link.partner.as_ref());
        if partner.is_none_or(|partner| partner.protocol < 2) || message.len() > ASIDE_LARGEST {
            return;
        }
        let message = Opaque { bytes: message };
        let body = match about {
            Aside::Sessions => Body::Sessions(message),
            Aside::Lists => Body::Lists(message),
            Aside::Authority => Body::Authority(message),
        };
        self.out.push_back(PairOutput::Send(body.into_frame()));
    }

    pub(super) fn aside(&mut self, about: Aside, message: Opaque) -> Result<(), WireError> {
        if message.bytes.len() > ASIDE_LARGEST {
            return Err(WireError::Field("a message of a sensible size"));
        }
        self.out.push_back(PairOutput::Aside(about, message.bytes));
        Ok(())
    }
}
