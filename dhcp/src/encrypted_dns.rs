//! Discovery of network-designated resolvers (RFC 9463): option 162 tells a client where it can ask
//! its questions encrypted, and by which name.

use std::net::Ipv4Addr;

/// One resolver that is told to clients: one transport of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedDns {
    /// The lower, the more preferred; never 0 (RFC 9463, 3.1.1).
    pub priority: u16,
    /// The name in its certificate, without the final dot.
    pub name: String,
    /// Where it is.
    pub addresses: Vec<Ipv4Addr>,
    /// What it speaks: `dot`, `h2`, `h3`, `doq`.
    pub alpn: Vec<&'static str>,
    /// The port.
    pub port: u16,
    /// The path template of DNS over HTTPS (RFC 9461), for `h2` and `h3`.
    pub path: Option<&'static str>,
}

/// The longest value of one option.
const LONGEST: usize = 255;

impl EncryptedDns {
    /// The value of option 162 with as many of `all` as fit one option, in their order (RFC 9463,
    /// 5.1); empty when there are none.
    pub fn encode(all: &[EncryptedDns]) -> Vec<u8> {
        let mut value = Vec::new();
        for one in all {
            let Some(instance) = one.instance() else { continue };
            if value.len() + 2 + instance.len() > LONGEST {
                break;
            }
            value.extend_from_slice(&(instance.len() as u16).to_be_bytes());
            value.extend_from_slice(&instance);
        }
        value
    }

    /// One instance without its length; `None` when it is too long, or its name is none.
    fn instance(&self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        for label in self.name.split('.') {
            name.push(u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len))?);
            name.extend_from_slice(label.as_bytes());
        }
        name.push(0);
        let mut instance = self.priority.to_be_bytes().to_vec();
        instance.push(u8::try_from(name.len()).ok()?);
        instance.extend_from_slice(&name);
        // Nowhere to be found, it would be looked for by its name.
        let addresses: Vec<u8> = self.addresses.iter().flat_map(Ipv4Addr::octets).collect();
        instance.push(u8::try_from(addresses.len()).ok().filter(|len| *len > 0)?);
        instance.extend_from_slice(&addresses);
        // SvcParams (RFC 9460, 2.2), keys ascending: alpn, port, dohpath.
        let mut alpn = Vec::new();
        for protocol in &self.alpn {
            alpn.push(u8::try_from(protocol.len()).ok()?);
            alpn.extend_from_slice(protocol.as_bytes());
        }
        param(&mut instance, 1, &alpn)?;
        param(&mut instance, 3, &self.port.to_be_bytes())?;
        if let Some(path) = self.path {
            param(&mut instance, 7, path.as_bytes())?;
        }
        Some(instance)
    }
}

fn param(params: &mut Vec<u8>, key: u16, value: &[u8]) -> Option<()> {
    params.extend_from_slice(&key.to_be_bytes());
    params.extend_from_slice(&u16::try_from(value.len()).ok()?.to_be_bytes());
    params.extend_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests;
