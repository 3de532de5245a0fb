//! List syntax: what one line of a published list means to a resolver.
//!
//! Each line tells its own syntax, so a file may mix them:
//!
//! | line | rule |
//! |---|---|
//! | `0.0.0.0 a.example b.example # ads` (also `127.0.0.1`, `::`, `::1`) | blocks exactly these names |
//! | `ads.example` | blocks the name and all below it |
//! | `*.ads.example`, `.ads.example` | the same |
//! | `\|\|ads.example^`, also `$important` | the same; important wins over allow rules |
//! | `@@\|\|ads.example^`, also `$important` | allows the name and all below it |
//! | `\|ads.example^` | blocks exactly this name |
//! | `address=/ads.example/#` (dnsmasq; also a null address), `local=/x/`, `server=/x/` | blocks the name and all below it |
//! | `local-zone: "ads.example." always_null` (unbound; also its other refusing types) | the same |
//! | `local-data: "ads.example A 0.0.0.0"` (unbound) | blocks exactly this name |
//!
//! The hosts syntax has no notion of "below", so its lines block what they name and nothing else;
//! `docs/decisions/` has the record. A line that cannot be said as a DNS rule is counted by the
//! kind of thing it is ([`Skip`]) and never guessed at.

mod adblock;
mod dnsmasq;
mod hosts;
mod unbound;

#[cfg(test)]
mod tests;

use crate::name::{NameError, WireName};

/// Whether a rule stands for one name or for a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The name alone.
    Exact,
    /// The name and everything below it.
    Subtree,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Blocks.
    Block,
    /// Allows, over block rules.
    Allow,
}

/// One rule of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name it is about.
    pub name: WireName,
    /// That name alone, or the tree below it.
    pub scope: Scope,
    /// Block or allow.
    pub action: Action,
    /// `$important`: decided before rules without it.
    pub important: bool,
}

/// The syntax a line is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `0.0.0.0 name`
    Hosts,
    /// `name`
    Domains,
    /// `*.name`, `.name`
    Wildcard,
    /// `||name^`
    Adblock,
    /// `address=/name/`
    Dnsmasq,
    /// `local-zone: "name" ...`
    Unbound,
}

/// Why a line, or a name in it, is no rule here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// `##`, `#@#`, `#?#`...: hides parts of a page.
    Cosmetic,
    /// A path, a URL or a port: a resolver sees names only.
    Url,
    /// A pattern with `*` inside a label or in the middle.
    Pattern,
    /// `/.../`
    Regex,
    /// An adblock modifier that is not supported, such as `$client` or `$third-party`.
    Modifier,
    /// A rule about an address, or one that answers with an address other than a null one.
    Address,
    /// A line that sends a name to another server, or a zone type that does not block.
    Forwarding,
    /// `localhost`, `broadcasthost`, a bare top-level name: never blocked by a list.
    Reserved,
    /// A label or the whole is too long, or holds characters that names do not have.
    BadName,
    /// A line of more than 4,096 bytes, or one that is not UTF-8.
    NotText,
    /// Anything else.
    Unknown,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing, a comment, or a header.
    Blank,
    /// Written in this syntax; its rules and skips have been handed out.
    Of(Format),
    /// Not in any known syntax; the skip has been handed out.
    Other,
}

/// The longest line looked at, bytes.
const MAX_LINE: usize = 4096;

/// Takes one line apart, handing each rule or skipped part to `out`.
pub fn parse_line(line: &[u8], out: &mut impl FnMut(Result<Rule, Skip>)) -> Line {
    if line.len() > MAX_LINE {
        out(Err(Skip::NotText));
        return Line::Other;
    }
    let Ok(line) = std::str::from_utf8(line) else {
        out(Err(Skip::NotText));
        return Line::Other;
    };
    let line = line.trim_start_matches('\u{feff}').trim();
    if line.is_empty() || line.starts_with('!') || is_header(line) {
        return Line::Blank;
    }
    if let Some(rest) = line.strip_prefix('#') {
        // "##.banner" hides an element; "## Section" and "#name" are comments.
        if rest.starts_with("@#") || (rest.starts_with('#') && rest[1..].starts_with(['.', '['])) {
            out(Err(Skip::Cosmetic));
            return Line::Of(Format::Adblock);
        }
        return Line::Blank;
    }
    if let Some(line) = adblock::parse(line, out)
        .or_else(|| hosts::parse(line, out))
        .or_else(|| dnsmasq::parse(line, out))
        .or_else(|| unbound::parse(line, out))
    {
        return line;
    }
    plain(line, out)
}

/// `[Adblock Plus 2.0]`
fn is_header(line: &str) -> bool {
    line.starts_with('[') && line.ends_with(']')
}

/// A domain or wildcard, with an optional comment behind it.
fn plain(line: &str, out: &mut impl FnMut(Result<Rule, Skip>)) -> Line {
    let line = without_comment(line);
    if line.contains(char::is_whitespace) {
        out(Err(Skip::Unknown));
        return Line::Other;
    }
    let (name, format) = match line.strip_prefix("*.").or_else(|| line.strip_prefix('.')) {
        Some(name) => (name, Format::Wildcard),
        None => (line, Format::Domains),
    };
    if name.contains('*') {
        out(Err(Skip::Pattern));
        return Line::Other;
    }
    if name.contains(['/', ':', '?']) {
        out(Err(Skip::Url));
        return Line::Other;
    }
    match list_name(name) {
        Ok(name) => {
            out(Ok(Rule { name, scope: Scope::Subtree, action: Action::Block, important: false }));
            Line::Of(format)
        }
        Err(skip @ (Skip::Reserved | Skip::Address)) => {
            out(Err(skip));
            Line::Of(format)
        }
        // One word that is no name is no evidence of a syntax.
        Err(skip) => {
            out(Err(skip));
            Line::Other
        }
    }
}

/// The text before a `#` that starts a word.
fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find('#').map(|i| i + from) {
        if line[..at].ends_with(char::is_whitespace) {
            return line[..at].trim_end();
        }
        from = at + 1;
    }
    line
}

/// A name as a list may give it: parsed, and not one that lists never touch.
fn list_name(text: &str) -> Result<WireName, Skip> {
    let name = WireName::parse(text).map_err(|error| match error {
        NameError::Empty
        | NameError::EmptyLabel
        | NameError::LongLabel
        | NameError::LongName
        | NameError::Character
        | NameError::Idna => Skip::BadName,
    })?;
    if name.is_numeric() {
        return Err(Skip::Address);
    }
    if is_reserved(&name) { Err(Skip::Reserved) } else { Ok(name) }
}

/// Bare top-level names, and the names that every hosts file has for the machine itself.
fn is_reserved(name: &WireName) -> bool {
    let mut labels = name.labels();
    match (labels.next(), labels.next()) {
        (_, None) => true,
        (Some(first), Some(_)) => {
            first == b"localhost"
                && labels.next().is_none()
                && name.labels().last().is_some_and(|tld| tld.starts_with(b"localdomain"))
        }
        (None, Some(_)) => false,
    }
}

/// Whether an address is one that blocking lists write for "nowhere".
fn is_null_address(address: std::net::IpAddr) -> bool {
    address.is_unspecified() || address.is_loopback()
}

impl Format {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Domains => "domains",
            Self::Wildcard => "wildcard",
            Self::Adblock => "adblock",
            Self::Dnsmasq => "dnsmasq",
            Self::Unbound => "unbound",
        }
    }

    pub(crate) const ALL: [Self; 6] =
        [Self::Hosts, Self::Domains, Self::Wildcard, Self::Adblock, Self::Dnsmasq, Self::Unbound];
}

impl Skip {
    /// The words for people, as in "12 lines: page element".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cosmetic => "page element",
            Self::Url => "path or URL",
            Self::Pattern => "pattern",
            Self::Regex => "regular expression",
            Self::Modifier => "unsupported modifier",
            Self::Address => "address",
            Self::Forwarding => "does not block",
            Self::Reserved => "reserved name",
            Self::BadName => "not a domain name",
            Self::NotText => "not text",
            Self::Unknown => "unknown syntax",
        }
    }

    pub(crate) const ALL: [Self; 11] = [
        Self::Cosmetic,
        Self::Url,
        Self::Pattern,
        Self::Regex,
        Self::Modifier,
        Self::Address,
        Self::Forwarding,
        Self::Reserved,
        Self::BadName,
        Self::NotText,
        Self::Unknown,
    ];
}
