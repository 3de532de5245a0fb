//! The hosts file of this host: lines of an address and its names, as in `/etc/hosts`.
//!
//! Pure: text in, entries and mistakes out. A line that cannot be used is told with its number and
//! the others count.

use std::net::IpAddr;

use serde_json::Value;

use crate::settings::fields::shown;
use crate::settings::words::Name;

/// Larger files are not read.
pub const MAX_BYTES: u64 = 1 << 20;
/// Names after so many are not taken.
const MAX_NAMES: usize = 20_000;
/// Mistakes after so many are only counted.
const MAX_MISTAKES: usize = 20;

/// What a hosts file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsFile {
    /// Its lines, in order.
    pub entries: Vec<Entry>,
    /// The first mistakes in it.
    pub mistakes: Vec<Mistake>,
    /// How many mistakes there are.
    pub mistaken: usize,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: u32,
    /// The address.
    pub addr: IpAddr,
    /// Its names; those without a dot are meant inside the household's domain.
    pub names: Vec<Name>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Its number, from 1.
    pub line: u32,
    /// What is wrong and how to mend it, as sentences.
    pub message: String,
}

impl HostsFile {
    /// Reads the text of a file; never fails, whatever the text.
    pub fn parse(text: &str) -> HostsFile {
        let mut file = HostsFile::default();
        let mut left = MAX_NAMES;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let content = line.split('#').next().unwrap_or_default();
            let mut words = content.split_ascii_whitespace();
            let Some(first) = words.next() else { continue };
            let mut tell = |message: String| {
                file.mistaken += 1;
                if file.mistakes.len() < MAX_MISTAKES {
                    file.mistakes.push(Mistake { line: line_number, message });
                }
            };
            let names: Vec<&str> = words.filter(|name| !is_every_hosts_own(name)).collect();
            let Some(addr) = address(first) else {
                tell(format!(
                    "{} is not an address. Write an address and then its names.",
                    shown(&Value::from(first))
                ));
                continue;
            };
            if names.is_empty() {
                // `127.0.0.1 localhost` and its like.
                if content.split_ascii_whitespace().nth(1).is_none() {
                    tell(format!("{addr} has no name. Write one after it."));
                }
                continue;
            }
            if addr.is_loopback() || addr.is_multicast() {
                tell(format!(
                    "{addr} is another device for everybody who asks, so it is not told to them. \
                     Write an address that is the same for all."
                ));
                continue;
            }
            let mut good = Vec::new();
            for name in names {
                match Name::parse(name) {
                    Ok(_) if left == 0 => {
                        tell(format!(
                            "There are more than {MAX_NAMES} names; the rest is left out."
                        ));
                        return file;
                    }
                    Ok(name) => {
                        left -= 1;
                        good.push(name);
                    }
                    Err(wrong) => tell(format!("{} {}", wrong.message, wrong.fix)),
                }
            }
            if !good.is_empty() {
                file.entries.push(Entry { line: line_number, addr, names: good });
            }
        }
        file
    }
}

/// The address, without the zone that some systems write after it (`fe80::1%lo0`).
fn address(text: &str) -> Option<IpAddr> {
    let text = text.split('%').next().unwrap_or_default();
    text.parse::<IpAddr>().ok().map(|addr| addr.to_canonical())
}

/// Names that every host has for itself, and every `/etc/hosts` names.
fn is_every_hosts_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let top = name.strip_suffix('.').unwrap_or(&name).rsplit('.').next().unwrap_or_default();
    const OWN: [&str; 9] = [
        "broadcasthost",
        "local",
        "localhost.localdomain",
        "ip6-localhost",
        "ip6-loopback",
        "ip6-localnet",
        "ip6-mcastprefix",
        "ip6-allnodes",
        "ip6-allrouters",
    ];
    top == "localhost" || OWN.contains(&name.as_str())
}

#[cfg(test)]
mod tests;
