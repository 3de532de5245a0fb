//! unbound's settings: `local-zone` and `local-data`.

use std::net::IpAddr;

use super::{Action, Format, Line, Rule, Scope, Skip, is_null_address, list_name, without_comment};

/// `None` when the line is not one of these settings.
pub(super) fn parse(line: &str, out: &mut impl FnMut(Result<Rule, Skip>)) -> Option<Line> {
    let line = without_comment(line);
    let (key, value) = line.split_once(':')?;
    let rule = match key {
        // The section these settings stand in.
        "server" if value.is_empty() => return Some(Line::Blank),
        "local-zone" => zone(value),
        "local-data" => data(value),
        _ => return None,
    };
    out(rule);
    Some(Line::Of(Format::Unbound))
}

/// `"ads.example." always_null`
fn zone(value: &str) -> Result<Rule, Skip> {
    let mut words = value.split_whitespace();
    let (Some(name), Some(kind), None) = (words.next(), words.next(), words.next()) else {
        return Err(Skip::Unknown);
    };
    match kind.trim_matches('"') {
        "always_null" | "always_nxdomain" | "always_refuse" | "always_nodata" | "always_deny"
        | "refuse" | "deny" | "static" | "inform_deny" => {}
        // "redirect" answers from a local-data line, which need not be a null address.
        _ => return Err(Skip::Forwarding),
    }
    let name = list_name(name.trim_matches('"'))?;
    Ok(Rule { name, scope: Scope::Subtree, action: Action::Block, important: false })
}

/// `"ads.example 3600 IN A 0.0.0.0"`, TTL and class being optional.
fn data(value: &str) -> Result<Rule, Skip> {
    let mut words = value.trim().trim_matches(['"', '\'']).split_whitespace();
    let (Some(name), Some(address)) = (words.next(), words.next_back()) else {
        return Err(Skip::Unknown);
    };
    if !matches!(words.next_back(), Some("A" | "AAAA" | "a" | "aaaa")) {
        return Err(Skip::Unknown);
    }
    match address.parse::<IpAddr>() {
        Ok(address) if is_null_address(address) => {}
        Ok(_) => return Err(Skip::Address),
        Err(_) => return Err(Skip::Unknown),
    }
    let name = list_name(name)?;
    Ok(Rule { name, scope: Scope::Exact, action: Action::Block, important: false })
}
