//! DHCP options as bytes on the wire.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use lanward_dhcp::EncryptedDns;

use super::super::fields::Wrong;
use super::super::records::{OptionValue, RawOption, Route};
use super::super::words::Name;

use super::{DNS_LABEL, HostView, NetworkView};

/// The longest value one option holds (its length is one byte).
pub(super) const LONGEST: usize = 255;

/// Addresses, four bytes each, in order (options 3, 6, 42).
pub(super) fn addresses(addrs: &[Ipv4Addr]) -> Vec<u8> {
    addrs.iter().flat_map(Ipv4Addr::octets).collect()
}

/// A domain search list (option 119): names in wire form one after another, where the end of a
/// name may be a pointer to an earlier one, counted from the start of the value (RFC 3397
/// section 2).
pub(super) fn search_list(names: &[Name]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut known: BTreeMap<String, u16> = BTreeMap::new();
    for name in names {
        let mut rest = name.as_str();
        loop {
            if let Some(at) = known.get(rest) {
                wire.extend_from_slice(&(0xc000 | at).to_be_bytes());
                break;
            }
            // A pointer has 14 bits.
            if let Ok(at @ 0..0x4000) = u16::try_from(wire.len()) {
                known.insert(rest.to_owned(), at);
            }
            let (label, tail) = rest.split_once('.').unwrap_or((rest, ""));
            wire.push(label.len() as u8);
            wire.extend_from_slice(label.as_bytes());
            rest = tail;
            if rest.is_empty() {
                wire.push(0);
                break;
            }
        }
    }
    wire
}

/// Classless static routes (option 121, RFC 3442): prefix length, its significant bytes, router.
/// A client that reads this option ignores option 3, so the default route must be in here too.
pub(super) fn routes(routes: &[Route], router: Option<Ipv4Addr>) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut add = |to: Ipv4Net, via: Ipv4Addr| {
        let significant = usize::from(to.prefix_len().div_ceil(8));
        wire.push(to.prefix_len());
        wire.extend_from_slice(&to.network().octets()[..significant]);
        wire.extend_from_slice(&via.octets());
    };
    routes.iter().for_each(|route| add(route.to, route.via));
    let has_default = routes.iter().any(|route| route.to.prefix_len() == 0);
    if let Some(router) = router.filter(|_| !has_default) {
        add(Ipv4Net::default(), router);
    }
    wire
}

/// The encrypted transports of a network's resolvers (option 162), the preferred first: those that
/// this host serves, at the addresses that devices are told for DNS as far as they are the
/// household's own. Either host answers by the same name.
pub(super) fn encrypted_dns(
    view: &NetworkView,
    host: &HostView,
    domain: &str,
) -> Vec<EncryptedDns> {
    let services = view.service_addresses.iter().map(|service| service.addr);
    let own: Vec<IpAddr> = host
        .addresses
        .iter()
        .copied()
        .chain(host.partner_addresses.iter().copied())
        .chain(services)
        .collect();
    let addresses: Vec<Ipv4Addr> =
        view.dns_servers.iter().copied().filter(|addr| own.contains(&(*addr).into())).collect();
    let ports = host.encrypted;
    let https = ports.https.or(ports.http3);
    let mut protocols: Vec<&'static str> = ports.https.map(|_| "h2").into_iter().collect();
    // By one port for both, or HTTP/2 alone: that one is never blocked.
    protocols.extend(ports.http3.filter(|port| Some(*port) == https).map(|_| "h3"));
    let transports = [
        (ports.tls, vec!["dot"], None),
        (https, protocols, Some("/dns-query{?dns}")),
        (ports.quic, vec!["doq"], None),
    ];
    transports
        .into_iter()
        .filter_map(|(port, alpn, path)| Some((port?, alpn, path)))
        .zip(1..)
        .map(|((port, alpn, path), priority)| EncryptedDns {
            priority,
            name: format!("{DNS_LABEL}.{domain}"),
            addresses: addresses.clone(),
            alpn,
            port,
            path,
        })
        .collect()
}

/// Any option, unless its code is the server's own business or has a key of its own.
pub(super) fn raw(option: &RawOption) -> Result<Vec<u8>, Wrong> {
    if let Some(instead) = spoken_for(option.code) {
        return Err(Wrong::new(
            format!("Option {} cannot be set by number.", option.code),
            instead.to_owned(),
        ));
    }
    let value = match &option.value {
        OptionValue::Text(text) => text.clone().into_bytes(),
        OptionValue::Hex(hex) => hex.0.clone(),
        OptionValue::Addresses(addrs) => addresses(addrs),
        OptionValue::U8(number) => vec![*number],
        OptionValue::U16(number) => number.to_be_bytes().to_vec(),
        OptionValue::U32(number) => number.to_be_bytes().to_vec(),
    };
    if value.len() > LONGEST {
        return Err(Wrong::new(
            format!("Option {} is {} bytes long.", option.code, value.len()),
            "Use 255 bytes or less.",
        ));
    }
    Ok(value)
}

/// What to use instead of the raw option `code`.
fn spoken_for(code: u8) -> Option<&'static str> {
    Some(match code {
        0 | 255 => "0 and 255 only fill and end the options; use another code.",
        1 | 28 => "It follows from the network's subnet; leave it out.",
        3 => "Use `router` of the network.",
        6 => "Use `dns`, or `service_addresses` of the network.",
        12 | 81 => "A device's name comes from itself or from its reservation.",
        15 => "Use `domain` of the network.",
        42 => "Use `ntp`.",
        50 | 52..=59 | 61 | 82 => "It is a matter between device and server; leave it out.",
        51 => "Use `lease_time`.",
        119 => "Use `search`.",
        121 => "Use `routes`.",
        _ => return None,
    })
}
