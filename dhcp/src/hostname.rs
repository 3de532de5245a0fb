//! Names clients call themselves: untrusted text, reduced to one DNS label.

use std::sync::Arc;

/// Names that must never point to whoever asks for them: proxies and tunnels are looked up by
/// them, and `localhost` is special to everybody.
const RESERVED: [&str; 12] = [
    "wpad",
    "isatap",
    "teredo",
    "localhost",
    "localhost4",
    "localhost6",
    "localdomain",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-allnodes",
    "ip6-allrouters",
];

const MAX_LABEL: usize = 63;

/// Whether a name, as a [`crate::Client`] has it, must not be given to whoever calls itself so.
pub fn is_reserved_name(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The name in option 12: the first label of what was sent, up to the first NUL.
pub fn host_name(text: &[u8]) -> Option<Arc<str>> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    label(text.split(|byte| *byte == b'.').next().unwrap_or_default())
}

/// The name in option 81 (RFC 4702 section 2): flags, two result codes, then the name, as DNS
/// labels when the E bit is set and as text otherwise.
pub(crate) fn from_fqdn_option(option: &[u8]) -> Option<Arc<str>> {
    let (&[flags, _, _], name) = option.split_first_chunk::<3>()?;
    if flags & 0x04 == 0 {
        return host_name(name);
    }
    let (&len, rest) = name.split_first()?;
    let first = rest.get(..usize::from(len))?;
    label(first.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// Letters in lower case, digits and inner hyphens; other characters become hyphens, a run of
/// them one, so that `Anna's iPhone` is `anna-s-iphone`.
fn label(raw: &[u8]) -> Option<Arc<str>> {
    let mut label = String::new();
    for &byte in raw {
        if label.len() == MAX_LABEL {
            break;
        }
        if byte.is_ascii_alphanumeric() {
            label.push(char::from(byte.to_ascii_lowercase()));
        } else if byte == b'-' || !label.ends_with('-') {
            label.push('-');
        }
    }
    let label = label.trim_matches('-');
    (!label.is_empty()).then(|| Arc::from(label))
}

#[cfg(test)]
mod tests;
