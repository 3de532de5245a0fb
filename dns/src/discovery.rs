//! What clients are told of the encrypted transports, so that they find them by themselves (RFC
//! 9462): made once from settings, read by the stage of the same name.

use crate::Name;

/// SvcParamKeys (RFC 9460, 14.3.2; RFC 9461, 5).
mod key {
    pub(super) const ALPN: u16 = 1;
    pub(super) const PORT: u16 = 3;
    pub(super) const DOHPATH: u16 = 7;
}

/// Where the path of DNS over HTTPS is, as a template (RFC 9461, 5).
const DOHPATH: &[u8] = b"/dns-query{?dns}";

/// The encrypted transports of a resolver. The default offers none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    pub(crate) resolver: Option<Resolver>,
}

/// A resolver and its transports, the preferred first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolver {
    pub(crate) name: Name,
    /// The name with `_dns` before it, where clients that know the name look (RFC 9461, 4).
    pub(crate) service_name: Option<Name>,
    pub(crate) services: Vec<Service>,
}

/// One transport: the parameters of an SVCB record on both sides of the address hints, which differ
/// from question to question. Keys ascend (RFC 9460, 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) before_hints: Vec<u8>,
    pub(crate) after_hints: Vec<u8>,
}

/// The ports of what is served; `None`: not served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// DNS over TLS.
    pub tls: Option<u16>,
    /// DNS over HTTPS, HTTP/2.
    pub https: Option<u16>,
    /// The same, HTTP/3.
    pub http3: Option<u16>,
    /// DNS over QUIC.
    pub quic: Option<u16>,
}

impl Ports {
    /// Whether nothing is served.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl Discovery {
    /// Tells of the transports on these ports. `name` is in the certificate, and leads to this
    /// resolver.
    pub fn new(name: &Name, ports: Ports) -> Self {
        let mut services = Vec::new();
        // DNS over TLS first: it costs both sides the least.
        if let Some(port) = ports.tls {
            services.push(Service::new(&[b"dot"], port, false));
        }
        match (ports.https, ports.http3) {
            (Some(https), Some(http3)) if https == http3 => {
                services.push(Service::new(&[b"h2", b"h3"], https, true));
            }
            (https, http3) => {
                services.extend(https.map(|port| Service::new(&[b"h2"], port, true)));
                services.extend(http3.map(|port| Service::new(&[b"h3"], port, true)));
            }
        }
        services.extend(ports.quic.map(|port| Service::new(&[b"doq"], port, false)));
        let service_name = Name::from_wire(&[b"\x04_dns", name.as_wire()].concat());
        let name = name.clone();
        let resolver = Resolver { name, service_name, services };
        Self { resolver: Some(resolver).filter(|resolver| !resolver.services.is_empty()) }
    }
}

impl Service {
    fn new(protocols: &[&[u8]], port: u16, is_https: bool) -> Self {
        let mut alpn = Vec::new();
        for protocol in protocols {
            alpn.push(protocol.len() as u8);
            alpn.extend_from_slice(protocol);
        }
        let mut before_hints = Vec::new();
        param(&mut before_hints, key::ALPN, &alpn);
        param(&mut before_hints, key::PORT, &port.to_be_bytes());
        let mut after_hints = Vec::new();
        if is_https {
            param(&mut after_hints, key::DOHPATH, DOHPATH);
        }
        Self { before_hints, after_hints }
    }
}

fn param(params: &mut Vec<u8>, key: u16, value: &[u8]) {
    params.extend_from_slice(&key.to_be_bytes());
    params.extend_from_slice(&(value.len() as u16).to_be_bytes());
    params.extend_from_slice(value);
}
