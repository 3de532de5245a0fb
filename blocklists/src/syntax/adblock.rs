//! The Adblock family, as far as it can be said about a name.

use super::{Action, Format, Line, Rule, Scope, Skip, list_name};

/// `None` when the line is not of this family.
pub(super) fn parse(line: &str, out: &mut impl FnMut(Result<Rule, Skip>)) -> Option<Line> {
    if is_cosmetic(line) {
        out(Err(Skip::Cosmetic));
        return Some(Line::Of(Format::Adblock));
    }
    let (action, body) = match line.strip_prefix("@@") {
        Some(body) => (Action::Allow, body),
        None => (Action::Block, line),
    };
    let ours = action == Action::Allow
        || body.starts_with('|')
        || body.starts_with('/')
        || body.ends_with(['^', '|'])
        || body.contains("^$");
    if !ours {
        return None;
    }
    out(rule(action, body));
    Some(Line::Of(Format::Adblock))
}

fn rule(action: Action, body: &str) -> Result<Rule, Skip> {
    if body.starts_with('/') && body.len() > 1 && body[1..].contains('/') {
        return Err(Skip::Regex);
    }
    let (pattern, modifiers) = match body.rsplit_once('$') {
        Some((pattern, modifiers)) => (pattern, Some(modifiers)),
        None => (body, None),
    };
    let important = match modifiers {
        None => false,
        Some("important") => true,
        Some(_) => return Err(Skip::Modifier),
    };
    let (scope, host) = match (pattern.strip_prefix("||"), pattern.strip_prefix('|')) {
        (Some(host), _) => (Scope::Subtree, host),
        (None, Some(host)) => (Scope::Exact, host),
        // "ads.example^" matches in the middle of a label; ".ads.example^" only below.
        (None, None) => return Err(not_a_name(pattern).unwrap_or(Skip::Pattern)),
    };
    // "^" ends the host and "^|" the whole; without either "||ads.ex" would also match
    // "ads.example", so such a rule is a pattern - but "||ads.example|" does end there.
    let closed = host.strip_suffix('|').unwrap_or(host);
    let name = closed.strip_suffix('^').unwrap_or(closed);
    if let Some(skip) = not_a_name(name) {
        return Err(skip);
    }
    if name.len() == host.len() {
        return Err(Skip::Pattern);
    }
    let name = name.strip_prefix("*.").unwrap_or(name);
    Ok(Rule { name: list_name(name)?, scope, action, important })
}

fn not_a_name(text: &str) -> Option<Skip> {
    if text.contains(['/', ':', '?', '=', '&']) {
        Some(Skip::Url)
    } else if text.strip_prefix("*.").unwrap_or(text).contains(['*', '^', '|']) {
        Some(Skip::Pattern)
    } else {
        None
    }
}

/// `example.com##.ad`, `#@#`, `#?#`, `#$#`, `#%#`, `$$`
fn is_cosmetic(line: &str) -> bool {
    // Nearly every line of a list: spares it nine searches.
    if !line.bytes().any(|b| b == b'#' || b == b'$') {
        return false;
    }
    ["##", "#@#", "#?#", "#$#", "#%#", "#@?#", "#@$#", "#@%#", "$$"].iter().any(|mark| {
        line.find(mark).is_some_and(|at| {
            // "0.0.0.0 x ## note" is a hosts line with a comment: a selector has no space
            // before its mark.
            !line[..at].contains(char::is_whitespace)
        })
    })
}
