//! Options on the wire: reading a client's, however odd, and writing ours.
//!
//! Reading is our own walk over the bytes and not `dhcproto`'s decoder: that one stops at the
//! first option it cannot type (an old phone's Latin-1 host name is enough) and silently loses
//! every option behind it, so that a REQUEST looks like another message.

use std::collections::BTreeMap;

/// Option codes (RFC 2132 unless noted).
pub(crate) mod code {
    pub(crate) const PAD: u8 = 0;
    pub(crate) const SUBNET_MASK: u8 = 1;
    pub(crate) const ROUTER: u8 = 3;
    pub(crate) const HOST_NAME: u8 = 12;
    pub(crate) const BROADCAST_ADDRESS: u8 = 28;
    pub(crate) const REQUESTED_ADDRESS: u8 = 50;
    pub(crate) const LEASE_TIME: u8 = 51;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const MESSAGE_TYPE: u8 = 53;
    pub(crate) const SERVER_ID: u8 = 54;
    pub(crate) const PARAMETER_LIST: u8 = 55;
    pub(crate) const MESSAGE: u8 = 56;
    pub(crate) const MAX_MESSAGE_SIZE: u8 = 57;
    pub(crate) const RENEWAL_TIME: u8 = 58;
    pub(crate) const REBINDING_TIME: u8 = 59;
    pub(crate) const VENDOR_CLASS: u8 = 60;
    pub(crate) const CLIENT_ID: u8 = 61;
    /// RFC 4702.
    pub(crate) const CLIENT_FQDN: u8 = 81;
    /// RFC 3046.
    pub(crate) const RELAY_INFO: u8 = 82;
    /// RFC 8925; `dhcproto` 0.15 has it under 106.
    pub(crate) const IPV6_ONLY: u8 = 108;
    /// RFC 2563.
    pub(crate) const AUTO_CONFIGURE: u8 = 116;
    /// RFC 3011.
    pub(crate) const SUBNET_SELECTION: u8 = 118;
    /// RFC 3442.
    pub(crate) const CLASSLESS_ROUTES: u8 = 121;
    /// RFC 9463.
    pub(crate) const ENCRYPTED_DNS: u8 = 162;
    pub(crate) const END: u8 = 255;
}

/// Sub-options of option 82.
pub(crate) mod relay_code {
    /// RFC 3527.
    pub(crate) const LINK_SELECTION: u8 = 5;
    /// RFC 5107.
    pub(crate) const SERVER_ID_OVERRIDE: u8 = 11;
    /// RFC 8357.
    pub(crate) const SOURCE_PORT: u8 = 19;
}

/// All options of a message. Options that come in several pieces are joined in the order of the
/// pieces, adjacent or not (RFC 3396).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    /// Reads the options field, then `file` and `sname` where option 52 says that they hold
    /// options as well. What cannot be read ends its field, and nothing else.
    pub(crate) fn read(field: &[u8], file: &[u8], sname: &[u8]) -> Options {
        let mut options = Options::default();
        options.read_field(field);
        let overload = options.get(code::OVERLOAD).and_then(|o| o.first().copied()).unwrap_or(0);
        if overload & 1 != 0 {
            options.read_field(file);
        }
        if overload & 2 != 0 {
            options.read_field(sname);
        }
        options
    }

    /// The value of an option, as sent.
    pub(crate) fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    fn read_field(&mut self, field: &[u8]) {
        for (code, value) in walk(field, Some(code::END)) {
            self.0.entry(code).or_default().extend_from_slice(value);
        }
    }
}

/// The sub-option `code` of an option that holds sub-options, such as 82.
pub(crate) fn sub_option(option: &[u8], code: u8) -> Option<&[u8]> {
    walk(option, None).find(|(found, _)| *found == code).map(|(_, value)| value)
}

/// Codes and values in a field; `end` ends it and is not followed by a length, nor is PAD.
fn walk(mut rest: &[u8], end: Option<u8>) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let (&code, after) = rest.split_first()?;
            if end == Some(code) {
                return None;
            }
            if end.is_some() && code == code::PAD {
                rest = after;
                continue;
            }
            let (&len, after) = after.split_first()?;
            let (value, after) = after.split_at_checked(usize::from(len))?;
            rest = after;
            return Some((code, value));
        }
    })
}

/// A value of exactly four bytes.
pub(crate) fn four_bytes(value: &[u8]) -> Option<[u8; 4]> {
    value.try_into().ok()
}

#[cfg(test)]
mod tests;
