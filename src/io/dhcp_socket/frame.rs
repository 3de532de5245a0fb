//! Ethernet frames that hold one UDP datagram (RFC 894, RFC 791, RFC 768).

use std::io;
use std::net::SocketAddrV4;

use crate::packet_socket::ETHERTYPE_IPV4;

const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;
const PROTOCOL_UDP: u8 = 17;
/// A reply may pass no router; a few hops are for odd bridges.
const TTL: u8 = 16;
const DONT_FRAGMENT: u16 = 0x4000;

/// A frame from `from` to `to`, with all checksums.
pub(super) fn udp(
    from_mac: [u8; 6],
    to_mac: [u8; 6],
    from: SocketAddrV4,
    to: SocketAddrV4,
    payload: &[u8],
) -> io::Result<Vec<u8>> {
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "the packet is too long");
    let udp_len = u16::try_from(UDP + payload.len()).map_err(too_long)?;
    let ip_len = u16::try_from(IP + UDP + payload.len()).map_err(too_long)?;

    let mut ip = Vec::with_capacity(IP);
    ip.extend_from_slice(&[0x45, 0x10]);
    ip.extend_from_slice(&ip_len.to_be_bytes());
    ip.extend_from_slice(&[0, 0]);
    ip.extend_from_slice(&DONT_FRAGMENT.to_be_bytes());
    ip.extend_from_slice(&[TTL, PROTOCOL_UDP, 0, 0]);
    ip.extend_from_slice(&from.ip().octets());
    ip.extend_from_slice(&to.ip().octets());
    let checksum = checksum(&ip);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());

    let mut udp = Vec::with_capacity(UDP + payload.len());
    udp.extend_from_slice(&from.port().to_be_bytes());
    udp.extend_from_slice(&to.port().to_be_bytes());
    udp.extend_from_slice(&udp_len.to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(payload);
    let checksum = udp_checksum(&ip, &udp, udp_len);
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());

    let mut frame = Vec::with_capacity(ETHERNET + IP + udp.len());
    frame.extend_from_slice(&to_mac);
    frame.extend_from_slice(&from_mac);
    frame.extend_from_slice(&ETHERTYPE_IPV4.to_be_bytes());
    frame.extend_from_slice(&ip);
    frame.extend_from_slice(&udp);
    Ok(frame)
}

/// Over the pseudo header and the datagram; zero would mean "none".
fn udp_checksum(ip: &[u8], udp: &[u8], udp_len: u16) -> u16 {
    let mut covered = ip[12..20].to_vec();
    covered.extend_from_slice(&[0, PROTOCOL_UDP]);
    covered.extend_from_slice(&udp_len.to_be_bytes());
    covered.extend_from_slice(udp);
    match checksum(&covered) {
        0 => 0xffff,
        sum => sum,
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | word.get(1).copied().map_or(0, u32::from));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_are_right() {
        // The example of RFC 1071 section 3.
        assert_eq!(checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        for payload in [&b"odd"[..], b"even"] {
            let from = "10.0.20.2:67".parse().unwrap();
            let to = "10.0.20.100:68".parse().unwrap();
            let frame = udp([2; 6], [4; 6], from, to, payload).unwrap();
            let (ip, udp) = (&frame[14..34], &frame[34..]);
            // A block with its checksum in place sums up to nothing.
            assert_eq!(checksum(ip), 0);
            let len = udp.len() as u8;
            let pseudo = [10, 0, 20, 2, 10, 0, 20, 100, 0, 17, 0, len];
            assert_eq!(checksum(&[&pseudo[..], udp].concat()), 0);
            assert_eq!(&frame[..14], [4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 8, 0]);
            assert_eq!((ip[2], ip[3]), (0, 20 + len));
        }
    }

    #[test]
    fn a_packet_that_fits_no_datagram_is_refused() {
        let addr = "10.0.20.2:67".parse().unwrap();
        assert!(udp([2; 6], [4; 6], addr, addr, &[0; 65_530]).is_err());
    }
}
