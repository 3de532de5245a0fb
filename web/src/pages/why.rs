//! "Why is this name blocked?"

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::frame::{Frame, Tab};
use super::{Answered, failed, leave, render_as, see};
use crate::app::Shared;
use crate::flash::Flash;
use crate::form::{Field, Sent};
use crate::format::encode;
use crate::html::Chip;
use crate::routes::query_pairs;
use crate::view::{
    FieldError, ListKind, Severity, WhyAnswer, WhyMatch, WhyPolicy, WhyQuestion, WhyVerdict,
};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "why.html")]
struct Page {
    frame: Frame,
    field: Field,
    answer: Option<Shown>,
}

struct Shown {
    name: String,
    exempt: Option<String>,
    /// Who has nothing blocked at present.
    paused: Option<String>,
    sentence: String,
    policies: Vec<PolicyShown>,
}

struct PolicyShown {
    policy: String,
    networks: String,
    chip: Chip,
    tone: &'static str,
    because: String,
    matches: Vec<WhyMatch>,
}

/// What somebody typed into the search box.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A name to judge: A-labels, lower case, without the final dot.
    Name(String),
    /// An address or a hardware address: a device is meant.
    Device(String),
}

/// Takes a name, a pasted link, an address or a hardware address for what it is.
pub(crate) fn understand(text: &str) -> Result<Asked, String> {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if super::reservations::parse_mac(host).is_ok() && host.contains([':', '-']) {
        return Ok(Asked::Device(host.to_owned()));
    }
    let bare = host.strip_prefix('[').and_then(|h| h.split(']').next()).unwrap_or(host);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Ok(Asked::Device(bare.to_owned()));
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Ok(Asked::Device(name.to_owned()));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let refused = || "That is not a domain name. Type one such as ads.example.com.".to_owned();
    let ascii = idna::domain_to_ascii(name).map_err(|_| refused())?;
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if ascii.len() > 253 || !ascii.split('.').all(label) {
        return Err(refused());
    }
    Ok(Asked::Name(ascii))
}

/// `GET /why`
pub(crate) async fn why(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    RawQuery(query): RawQuery,
) -> Answered {
    let sent = Sent::new(query_pairs(query.as_deref()));
    let typed = sent.text("name");
    let asked = if typed.is_empty() { None } else { Some(understand(typed)) };
    let mut errors = Vec::new();
    let mut answer = None;
    match asked {
        None => {}
        Some(Ok(Asked::Device(device))) => {
            return Ok(see(&format!("/leases?q={}", encode(&device))));
        }
        Some(Ok(Asked::Name(name))) => {
            answer = Some(app.backend.why(WhyQuestion { name, policy: None, client: None }).await?);
        }
        Some(Err(message)) => errors.push(FieldError { field: "name", message }),
    }
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let of = app.backend.status().await?;
    let frame = Frame::new(&app, &visit, "Why blocked?", Tab::Why, &of);
    let field = Field::text("name", "Domain or link", typed)
        .hint("For example ads.example.com, or a link you copied.")
        .mono()
        .errors(&errors);
    render_as(status, &Page { frame, field, answer: answer.map(shown) })
}

/// `POST /why/forget`
pub(crate) async fn forget_answers(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let name = sent.text("name");
    match app.backend.forget_answers(Some(name.to_owned()), false).await {
        Ok(forgotten) => {
            let text = match forgotten {
                0 => format!("This host had no cached answer for {name}."),
                _ => format!("This host forgot what it had cached for {name}."),
            };
            leave(&app, visit.session, Flash::new(Severity::Ok, text));
        }
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see(&format!("/why?name={}", encode(name))))
}

fn shown(answer: WhyAnswer) -> Shown {
    let blocked = answer.policies.iter().filter(|p| p.verdict == WhyVerdict::Blocked).count();
    let sentence = match (blocked, answer.policies.len()) {
        (_, 0) => "There is no policy yet, so nothing is blocked.".to_owned(),
        (0, _) => "Not blocked for anybody.".to_owned(),
        (b, all) if b == all => "Blocked for everyone.".to_owned(),
        (b, all) => format!("Blocked by {b} of {all} policies."),
    };
    let paused: Vec<&str> = answer.paused.iter().map(|pause| pause.who.as_str()).collect();
    Shown {
        name: answer.name,
        sentence,
        exempt: answer.exempt,
        paused: (!paused.is_empty()).then(|| {
            format!("Blocking is paused for {}: nothing is blocked there.", paused.join(", "))
        }),
        policies: answer.policies.into_iter().map(policy).collect(),
    }
}

fn policy(p: WhyPolicy) -> PolicyShown {
    let decided = p.matches.iter().find(|m| m.decides);
    let (chip, tone) = match p.verdict {
        WhyVerdict::Blocked => (Chip::new("bad", "block", "Blocked"), "bad"),
        WhyVerdict::Allowed => (Chip::new("ok", "ok", "Allowed"), "ok"),
        WhyVerdict::NotListed => (Chip::new("plain", "check", "Not blocked"), "plain"),
        WhyVerdict::FilteringOff => (Chip::new("plain", "off", "Filtering is off"), "plain"),
    };
    let because = match (decided, p.verdict) {
        (Some(m), _) => format!(
            "{} {} it, by its rule {}",
            m.list_name,
            if m.kind == ListKind::Allow { "allows" } else { "blocks" },
            m.rule
        ),
        (None, WhyVerdict::FilteringOff) => "This policy filters nothing.".to_owned(),
        (None, _) if p.matches.is_empty() => "No list has it.".to_owned(),
        (None, _) => "Only lists that are not used here have it.".to_owned(),
    };
    PolicyShown {
        policy: p.policy,
        networks: p.networks.join(", "),
        chip,
        tone,
        because,
        matches: p.matches,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_reduced_to_their_host() {
        let name = |text: &str| Ok(Asked::Name(text.to_owned()));
        assert_eq!(understand(" https://Ads.Example.com:8443/x?y#z "), name("ads.example.com"));
        assert_eq!(understand("ads.example.com."), name("ads.example.com"));
        assert_eq!(understand("user@ads.example.com/path"), name("ads.example.com"));
        assert_eq!(understand("bücher.example"), name("xn--bcher-kva.example"));
        assert_eq!(understand("_dmarc.example.com"), name("_dmarc.example.com"));
    }

    #[test]
    fn addresses_lead_to_the_device() {
        let device = |text: &str| Ok(Asked::Device(text.to_owned()));
        assert_eq!(understand("10.0.30.7"), device("10.0.30.7"));
        assert_eq!(understand("http://10.0.30.7:80/"), device("10.0.30.7"));
        assert_eq!(understand("http://[fd00::1]:80/"), device("fd00::1"));
        assert_eq!(understand("02:00:5e:10:00:01"), device("02:00:5e:10:00:01"));
    }

    #[test]
    fn nonsense_is_told_so() {
        for bad in ["a..b", "<script>", "https://", "a b.example", &"a".repeat(64)] {
            assert!(understand(bad).is_err(), "{bad}");
        }
    }
}
