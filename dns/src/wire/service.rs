//! SVCB and HTTPS records (RFC 9460), as far as they lead somewhere.

use super::{expand, u16_at};
use crate::protection::{is_private_v4, is_private_v6};

/// SvcParamKeys with addresses (RFC 9460, 14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

/// The target's wire name; `None` for the owner itself, or when it cannot be read.
pub(crate) fn service_target(rdata: &[u8]) -> Option<Vec<u8>> {
    let (target, _) = expand(rdata, 2)?;
    (target.len() > 1).then_some(target)
}

/// Whether it hints at a private address (RFC 9460, 7.3), or may do so to a client that reads it
/// other than we do: what is not as the RFC has it counts as private.
pub(crate) fn hints_inside(rdata: &[u8]) -> bool {
    let Some((_, mut at)) = expand(rdata, 2) else { return true };
    while at < rdata.len() {
        let (Some(key), Some(len)) = (u16_at(rdata, at), u16_at(rdata, at + 2)) else {
            return true;
        };
        let Some(value) = rdata.get(at + 4..at + 4 + usize::from(len)) else { return true };
        at += 4 + value.len();
        let inside = match key {
            IPV4_HINT => {
                let (hints, rest) = value.as_chunks::<4>();
                !rest.is_empty() || hints.iter().any(|v4| is_private_v4((*v4).into()))
            }
            IPV6_HINT => {
                let (hints, rest) = value.as_chunks::<16>();
                !rest.is_empty() || hints.iter().any(|v6| is_private_v6((*v6).into()))
            }
            _ => false,
        };
        if inside {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn https(target: &[u8], params: &[(u16, &[u8])]) -> Vec<u8> {
        let mut rdata = [&[0, 1], target].concat();
        for (key, value) in params {
            rdata.extend(key.to_be_bytes());
            rdata.extend((value.len() as u16).to_be_bytes());
            rdata.extend(*value);
        }
        rdata
    }

    #[test]
    fn hints_are_seen_in_any_order_and_number() {
        let (public, private) = ([192, 0, 2, 1], [192, 168, 1, 1]);
        assert!(!hints_inside(&https(b"\0", &[])));
        assert!(!hints_inside(&https(b"\0", &[(6, &[0x20; 32]), (4, &public), (1, b"\x02h2")])));
        assert!(hints_inside(&https(b"\0", &[(4, &public), (4, &private)])), "twice");
        assert!(hints_inside(&https(b"\0", &[(6, &[0xfd; 16]), (1, b"\x02h2")])));
        assert!(hints_inside(&https(b"\0", &[(4, &[public, private].concat())])));
    }

    #[test]
    fn what_cannot_be_read_may_hint_at_anything() {
        let whole = https(b"\x01a\0", &[(4, &[192, 0, 2, 1])]);
        assert!(!hints_inside(&whole));
        // Without its last parameter it is whole again.
        for len in (0..whole.len()).filter(|len| *len != 5) {
            assert!(hints_inside(&whole[..len]), "{len}");
        }
        assert!(hints_inside(&https(b"\0", &[(4, &[192, 0, 2])])));
    }

    #[test]
    fn the_owner_itself_is_no_target() {
        assert_eq!(service_target(&https(b"\0", &[])), None);
        assert_eq!(service_target(&https(b"\x01A\0", &[])), Some(b"\x01A\0".to_vec()));
        assert_eq!(service_target(b"\0\x01\x05a"), None);
    }
}
