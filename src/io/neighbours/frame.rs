//! The frames of ARP and neighbour discovery.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Heard;
use crate::packet_socket::ETHERTYPE_ARP;
use crate::service_addresses::{Mac, Word};

const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Next header: ICMPv6.
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Option: the target's hardware address (RFC 4861 section 4.6.1).
const TARGET_ADDRESS: u8 = 2;
/// Option: a nonce (RFC 7527 section 4.1).
const NONCE: u8 = 14;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Who has it? The sender's own address is empty, so that nobody's table changes (RFC 5227
/// section 2.1.1).
pub(super) fn arp_probe(mac: Mac, addr: Ipv4Addr) -> Vec<u8> {
    arp(mac, Ipv4Addr::UNSPECIFIED, addr)
}

/// It is here (RFC 5227 section 2.3).
pub(super) fn arp_announcement(mac: Mac, addr: Ipv4Addr) -> Vec<u8> {
    arp(mac, addr, addr)
}

fn arp(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet([0xff; 6], mac, ETHERTYPE_ARP);
    // Ethernet, IPv4, the lengths of their addresses, request.
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&sender.octets());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&target.octets());
    frame
}

fn ethernet(to: Mac, from: Mac, kind: u16) -> Vec<u8> {
    [&to[..], &from[..], &kind.to_be_bytes()[..]].concat()
}

/// What an ARP frame says, unless this host (`own`) sent it.
pub(super) fn read_arp(frame: &[u8], own: Mac) -> Option<Heard> {
    let arp = frame.get(14..42)?;
    let request = arp.get(7)? == &1;
    if arp.get(..6)? != [0, 1, 8, 0, 6, 4] || !matches!(arp.get(6..8)?, [0, 1 | 2]) {
        return None;
    }
    let mac: Mac = arp.get(8..14)?.try_into().ok()?;
    let addr = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(arp.get(at..at + 4)?).ok()?));
    let (sender, target) = (addr(14)?, addr(24)?);
    if mac == own {
        return None;
    }
    let (addr, word) = match sender {
        Ipv4Addr::UNSPECIFIED if request => (target, Word::Probes),
        _ if sender == target => (sender, Word::Announces),
        _ => (sender, Word::Has),
    };
    Some(Heard { addr: addr.into(), mac, word })
}

/// Who has it? From nobody's address, as in duplicate address detection (RFC 4862 section 5.4.2).
/// The nonce tells the partner whose question this is.
pub(super) fn neighbour_probe(mac: Mac, addr: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = addr.octets();
    // The solicited-node multicast address (RFC 4291 section 2.7.1).
    let low = u16::from_be_bytes([b, c]);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low);
    let mut body = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    body.extend_from_slice(&addr.octets());
    body.extend_from_slice(&[NONCE, 1]);
    body.extend_from_slice(&mac);
    icmpv6(mac, Ipv6Addr::UNSPECIFIED, group, body)
}

/// It is here: unsolicited, and to replace what others know (RFC 4861 section 7.2.6).
pub(super) fn neighbour_announcement(mac: Mac, addr: Ipv6Addr) -> Vec<u8> {
    const OVERRIDE: u8 = 0x20;
    let mut body = vec![ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0];
    body.extend_from_slice(&addr.octets());
    body.extend_from_slice(&[TARGET_ADDRESS, 1]);
    body.extend_from_slice(&mac);
    icmpv6(mac, addr, ALL_NODES, body)
}

/// An ICMPv6 message to a multicast group, in its IPv6 packet, in its frame.
fn icmpv6(mac: Mac, from: Ipv6Addr, to: Ipv6Addr, mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(from, to, &body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let [.., a, b, c, d] = to.octets();
    // RFC 2464 section 7.
    let mut frame = ethernet([0x33, 0x33, a, b, c, d], mac, ETHERTYPE_IPV6);
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    frame.extend_from_slice(&[ICMPV6, 255]);
    frame.extend_from_slice(&from.octets());
    frame.extend_from_slice(&to.octets());
    frame.extend_from_slice(&body);
    frame
}

/// RFC 4443 section 2.3.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, body: &[u8]) -> u16 {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let all = [&from.octets()[..], &to.octets()[..], &len[..], &[0, 0, 0, ICMPV6][..], body];
    let all = all.concat();
    let words = all
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What an ICMPv6 message (without its IP header) says, unless this host (`own`) sent it.
pub(super) fn read_icmpv6(message: &[u8], from: Option<IpAddr>, own: Mac) -> Option<Heard> {
    let addr = Ipv6Addr::from(<[u8; 16]>::try_from(message.get(8..24)?).ok()?);
    let (word, option) = match *message.first()? {
        SOLICITATION if from.is_some_and(|from| from.is_unspecified()) => (Word::Probes, NONCE),
        // Not solicited: to everybody, as an announcement is.
        ADVERTISEMENT if message.get(4)? & 0x40 == 0 => (Word::Announces, TARGET_ADDRESS),
        ADVERTISEMENT => (Word::Has, TARGET_ADDRESS),
        _ => return None,
    };
    let mac = option_of(message.get(24..)?, option).unwrap_or_default();
    (mac != own).then_some(Heard { addr: addr.into(), mac, word })
}

/// The first six bytes of an option.
fn option_of(mut options: &[u8], wanted: u8) -> Option<Mac> {
    loop {
        let (kind, words) = (*options.first()?, usize::from(*options.get(1)?));
        if words == 0 {
            return None;
        }
        if kind == wanted {
            return options.get(2..8)?.try_into().ok();
        }
        options = options.get(words * 8..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Mac = [2, 0, 0, 0, 0, 1];
    const THEM: Mac = [2, 0, 0, 0, 0, 2];
    const V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 53);
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x53);

    #[test]
    fn what_arp_says_is_understood_and_own_words_are_passed_over() {
        let word =
            |frame: &[u8]| read_arp(frame, US).map(|heard| (heard.addr, heard.mac, heard.word));
        assert_eq!(word(&arp_probe(THEM, V4)), Some((V4.into(), THEM, Word::Probes)));
        assert_eq!(word(&arp_announcement(THEM, V4)), Some((V4.into(), THEM, Word::Announces)));
        let asks = arp(THEM, V4, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(word(&asks), Some((V4.into(), THEM, Word::Has)));
        assert_eq!(word(&arp_announcement(US, V4)), None);
        let whole = arp_probe(THEM, V4);
        (0..whole.len()).for_each(|len| assert_eq!(word(&whole[..len]), None));
    }

    #[test]
    fn what_neighbour_discovery_says_is_understood() {
        let said = |frame: &[u8], from: Ipv6Addr| {
            let heard = read_icmpv6(frame.get(54..)?, Some(from.into()), US)?;
            Some((heard.addr, heard.mac, heard.word))
        };
        let probe = neighbour_probe(THEM, V6);
        assert_eq!(said(&probe, Ipv6Addr::UNSPECIFIED), Some((V6.into(), THEM, Word::Probes)));
        assert_eq!(said(&probe, V6), None, "a question of somebody with an address is no probe");
        let here = neighbour_announcement(THEM, V6);
        assert_eq!(said(&here, V6), Some((V6.into(), THEM, Word::Announces)));
        assert_eq!(said(&neighbour_announcement(US, V6), V6), None);
        // Whatever is cut off; the option at the end may be missing.
        (0..here.len()).for_each(|len| assert_eq!(said(&here[..len], V6).is_some(), len >= 78));
        let mut empty_option = here;
        let at = empty_option.len() - 7;
        empty_option[at] = 0;
        assert_eq!(said(&empty_option, V6), Some((V6.into(), [0; 6], Word::Announces)));
    }

    #[test]
    fn a_probe_goes_to_the_solicited_node_group_with_a_right_checksum() {
        let frame = neighbour_probe(US, V6);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0, 0, 0x53]);
        assert_eq!(frame[21], 255, "the hop limit");
        let from = Ipv6Addr::from(<[u8; 16]>::try_from(&frame[22..38]).unwrap());
        let to = Ipv6Addr::from(<[u8; 16]>::try_from(&frame[38..54]).unwrap());
        assert_eq!(to.to_string(), "ff02::1:ff00:53");
        assert_eq!(checksum(from, to, &frame[54..]), 0);
    }
}
