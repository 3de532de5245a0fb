//! The hosts file: an address, then names.

use std::net::IpAddr;

use super::{Action, Format, Line, Rule, Scope, Skip, is_null_address, list_name};

/// `None` when the line does not start with an address and a name.
pub(super) fn parse(line: &str, out: &mut impl FnMut(Result<Rule, Skip>)) -> Option<Line> {
    let (first, rest) = line.split_once(char::is_whitespace)?;
    // "0" is short for 0.0.0.0 in some lists; a zone index ("fe80::1%lo0") is not part of one.
    let address = match first.split_once('%').map_or(first, |(address, _)| address) {
        "0" => IpAddr::from([0, 0, 0, 0]),
        text => text.parse().ok()?,
    };
    let names = rest.split('#').next().unwrap_or_default().split_whitespace();
    for name in names {
        out(rule(address, name));
    }
    Some(Line::Of(Format::Hosts))
}

fn rule(address: IpAddr, name: &str) -> Result<Rule, Skip> {
    let name = list_name(name)?;
    if !is_null_address(address) {
        return Err(Skip::Address);
    }
    Ok(Rule { name, scope: Scope::Exact, action: Action::Block, important: false })
}
