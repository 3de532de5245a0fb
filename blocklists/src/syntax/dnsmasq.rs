//! dnsmasq's settings: `address=`, `server=` and `local=` lines, each for a name and all below.

use std::net::IpAddr;

use super::{Action, Format, Line, Rule, Scope, Skip, is_null_address, list_name, without_comment};

/// `None` when the line is not one of these settings.
pub(super) fn parse(line: &str, out: &mut impl FnMut(Result<Rule, Skip>)) -> Option<Line> {
    let (key, value) = without_comment(line).split_once('=')?;
    let key = key.trim();
    if !matches!(key, "address" | "server" | "local") {
        return None;
    }
    let of_dnsmasq = Some(Line::Of(Format::Dnsmasq));
    // address=/one.example/two.example/0.0.0.0
    let Some((names, answer)) = value.trim().strip_prefix('/').and_then(|v| v.rsplit_once('/'))
    else {
        // server=192.0.2.1: an upstream for everything.
        out(Err(Skip::Forwarding));
        return of_dnsmasq;
    };
    for name in names.split('/') {
        out(rule(key, name, answer));
    }
    of_dnsmasq
}

fn rule(key: &str, name: &str, answer: &str) -> Result<Rule, Skip> {
    match (key, answer) {
        // No server: answered from here only, which is NXDOMAIN. No address: the same. "#" as
        // the address: 0.0.0.0 and ::.
        (_, "") | ("address", "#") => {}
        ("address", address) => match address.parse::<IpAddr>() {
            Ok(address) if is_null_address(address) => {}
            Ok(_) => return Err(Skip::Address),
            Err(_) => return Err(Skip::Unknown),
        },
        _ => return Err(Skip::Forwarding),
    }
    let name = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).unwrap_or(name);
    if name.contains(['*', '#']) {
        return Err(Skip::Pattern);
    }
    let name = list_name(name)?;
    Ok(Rule { name, scope: Scope::Subtree, action: Action::Block, important: false })
}
