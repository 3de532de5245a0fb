//! The first page: does it work, what needs attention, how full are the networks, how are the
//! two hosts.

use askama::Template;
use axum::Extension;
use axum::extract::State;

use super::day::{Day, day};
use super::frame::{Frame, PairMark, Tab};
use super::{Answered, render};
use crate::app::Shared;
use crate::format::{as_sentence, count, duration, encode, number, share};
use crate::html::{Bar, Chip, Icon, Moment, tone, tone_icon};
use crate::view::{
    About, Condition, DnsCounters, HostStatus, NetworkView, ServiceAddress, Severity, Status,
};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    headline: String,
    headline_tone: &'static str,
    headline_icon: Icon,
    summary: String,
    banner: Option<Banner>,
    attention: Vec<Attention>,
    tiles: Vec<Tile>,
    answers: Answers,
    day: Option<Day>,
    networks: Vec<Network>,
    hosts: Vec<Host>,
    services: Vec<ServiceAddress>,
    pair_sentence: String,
}

/// The pair is not as it should be: what it means, since when, what to do.
struct Banner {
    tone: &'static str,
    icon: Icon,
    title: String,
    since: Option<Moment>,
    sentence: String,
    next: Option<String>,
    last_heard: Option<Moment>,
}

struct Attention {
    tone: &'static str,
    icon: Icon,
    what: String,
    fix: String,
    /// What it is about, by name, and where that is.
    about: Vec<(String, String)>,
}

struct Tile {
    label: &'static str,
    value: String,
    note: String,
    href: Option<&'static str>,
}

/// Where the answers came from, as one bar and its table.
struct Answers {
    total: u64,
    parts: Vec<Part>,
}

struct Part {
    class: &'static str,
    label: &'static str,
    number: String,
    share: String,
    /// On a scale of 1000.
    x: u64,
    width: u64,
}

struct Network {
    id: String,
    vlan: Option<u16>,
    subnet: String,
    policy: String,
    dhcp: bool,
    active: String,
    word: &'static str,
    pool: String,
    bar: Bar,
    href: String,
}

struct Host {
    name: String,
    own: bool,
    chip: Chip,
    reason: String,
    facts: Vec<(&'static str, Fact)>,
    url: Option<String>,
}

enum Fact {
    Text(String),
    Code(String),
    Moment(Moment),
}

/// `GET /`
pub(crate) async fn overview(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
) -> Answered {
    let status = app.backend.status().await?;
    let networks = app.backend.networks().await?;
    let lists = app.backend.lists().await?;
    let frame = Frame::new(&app, &visit, "Overview", Tab::Overview, &status);
    // Without a history the page is what it is otherwise.
    let statistics = app.backend.statistics(24).await.ok();
    let devices: u64 = networks.iter().map(|n| n.active).sum();
    let reserved: u64 = networks.iter().map(|n| n.reserved).sum();
    let lists_on = lists.iter().filter(|l| l.enabled).count() as u64;
    let worst = status.problems.iter().map(|p| p.severity).max().unwrap_or(Severity::Ok);
    let (headline, severity) = headline(&status, worst, networks.is_empty());
    let page = Page {
        headline,
        headline_tone: tone(severity),
        headline_icon: tone_icon(severity),
        summary: summary(&status, devices, frame.now),
        banner: banner(&status, &frame),
        attention: attention(&status),
        tiles: tiles(&status, devices, reserved, lists_on),
        answers: answers(&status.dns),
        day: statistics.and_then(|statistics| day(&statistics, frame.now, &frame.zone)),
        networks: networks.iter().map(network).collect(),
        hosts: hosts(&status, &frame),
        services: status.service_addresses.clone(),
        pair_sentence: status.pair.sentence(),
        frame,
    };
    render(&page)
}

/// One sentence about everything.
fn headline(status: &Status, worst: Severity, no_networks: bool) -> (String, Severity) {
    let pair = &status.pair;
    let (own, partner) = (&pair.own.name, pair.partner_name());
    match pair.condition {
        _ if pair.is_alone() => {
            (format!("{own} serves everything alone"), pair.severity().max(Severity::Info))
        }
        Condition::Maintenance => (format!("{own} is paused"), Severity::Info),
        Condition::Learning | Condition::Merging => (pair.headline(), Severity::Info),
        Condition::Unsure | Condition::Waiting { .. } | Condition::Removed => {
            (format!("{own} serves no DHCP"), pair.severity())
        }
        Condition::Starting => (format!("{own} is starting"), Severity::Info),
        Condition::CatchingUp { .. } => (format!("{partner} is catching up"), Severity::Info),
        _ => match worst {
            Severity::Bad => ("Something does not work".to_owned(), Severity::Bad),
            Severity::Warning => ("Works, but needs a look".to_owned(), Severity::Warning),
            _ if no_networks => ("Ready to be set up".to_owned(), Severity::Info),
            Severity::Info | Severity::Ok => ("Everything works".to_owned(), Severity::Ok),
        },
    }
}

fn summary(status: &Status, devices: u64, now: jiff::Timestamp) -> String {
    let dns = &status.dns;
    let up = now.duration_since(status.started).unsigned_abs().as_secs();
    let devices = match devices {
        0 => "No device has an address yet.".to_owned(),
        1 => "1 device has an address.".to_owned(),
        n => format!("{} devices have an address.", number(n)),
    };
    let own = &status.pair.own.name;
    if dns.queries == 0 {
        return format!("{devices} {own} has been up for {}; nobody asked it yet.", duration(up));
    }
    format!(
        "{devices} {own} answered {} in the last {}, {} of them blocked.",
        count(dns.queries, "DNS question", "DNS questions"),
        duration(up),
        share(dns.blocked, dns.queries),
    )
}

fn banner(status: &Status, frame: &Frame) -> Option<Banner> {
    let pair = &status.pair;
    let partner = pair.partner.as_ref();
    let quiet = matches!(
        pair.condition,
        Condition::Single
            | Condition::Starting
            | Condition::BothUp
            | Condition::Checking { .. }
            | Condition::CatchingUp { .. }
    );
    if quiet {
        return None;
    }
    let cut = pair.condition == Condition::PartnerDown;
    Some(Banner {
        tone: tone(pair.severity()),
        icon: tone_icon(pair.severity()),
        title: match cut {
            true => format!("{} has not answered", pair.partner_name()),
            false => pair.headline(),
        },
        since: pair.since.map(|at| frame.clock(at)),
        sentence: pair.sentence(),
        next: pair.next().map(|next| next.replace('`', "")),
        last_heard: partner.filter(|_| cut).and_then(|p| p.last_heard).map(|at| frame.ago(at)),
    })
}

/// The same thing about several networks or lists is told once.
fn attention(status: &Status) -> Vec<Attention> {
    let mut told: Vec<Attention> = Vec::new();
    for problem in status.problems.iter().filter(|p| p.severity != Severity::Ok) {
        let (name, href) = match &problem.about {
            About::List(id) => (id.clone(), format!("/lists#list-{}", encode(id))),
            About::Network(id) => (id.clone(), format!("/leases?network={}", encode(id))),
            About::Settings => ("settings".to_owned(), "/system#conflicts".to_owned()),
            About::Upstreams => ("upstream servers".to_owned(), "/system#upstreams".to_owned()),
            About::Partner => (status.pair.partner_name().to_owned(), "/#hosts".to_owned()),
            About::Host => (status.pair.own.name.clone(), "/#hosts".to_owned()),
        };
        let what = problem.what.clone();
        match told.iter_mut().find(|a| a.what == what && a.fix == problem.fix) {
            Some(same) => same.about.push((name, href)),
            None => told.push(Attention {
                tone: tone(problem.severity),
                icon: tone_icon(problem.severity),
                what,
                fix: problem.fix.clone(),
                about: vec![(name, href)],
            }),
        }
    }
    told
}

fn tiles(status: &Status, devices: u64, reserved: u64, lists_on: u64) -> Vec<Tile> {
    let dns = &status.dns;
    let cached = dns.cached + dns.local;
    vec![
        Tile {
            label: "Devices",
            value: number(devices),
            note: count(reserved, "reservation", "reservations"),
            href: Some("/leases?state=active"),
        },
        Tile {
            label: "DNS questions",
            value: number(dns.queries),
            note: format!("{} answered from memory", share(cached, dns.queries)),
            href: None,
        },
        Tile {
            label: "Blocked",
            value: share(dns.blocked, dns.queries),
            note: count(dns.blocked, "question", "questions"),
            href: None,
        },
        Tile {
            label: "Block rules",
            value: number(status.blocked_names),
            note: format!("from {}", count(lists_on, "list", "lists")),
            href: Some("/lists"),
        },
    ]
}

fn answers(dns: &DnsCounters) -> Answers {
    let counted = [
        ("blocked", "Blocked", dns.blocked),
        ("cached", "From the cache", dns.cached),
        ("local", "Local names", dns.local),
        ("forwarded", "Forwarded", dns.forwarded),
        ("failed", "Failed", dns.failed),
    ];
    let total: u64 = counted.iter().map(|(_, _, n)| n).sum();
    let scale = |n: u64| {
        if total == 0 { 0 } else { (u128::from(n) * 1000 / u128::from(total)) as u64 }
    };
    let mut before = 0;
    let parts = counted.map(|(class, label, n)| {
        let x = scale(before);
        before += n;
        let width = scale(before) - x;
        Part { class, label, number: number(n), share: share(n, total), x, width }
    });
    Answers { total, parts: parts.into() }
}

fn network(n: &NetworkView) -> Network {
    let pool = if n.pool_size == 0 {
        "no pool".to_owned()
    } else {
        format!("{} of {}", number(n.pool_used), number(n.pool_size))
    };
    Network {
        id: n.id.clone(),
        vlan: n.vlan,
        subnet: n.subnet.clone(),
        policy: n.policy.clone().unwrap_or_else(|| "default".to_owned()),
        dhcp: n.dhcp,
        active: number(n.active),
        word: if n.active == 1 { "device" } else { "devices" },
        bar: Bar::fill(format!("{}: {pool} addresses in use", n.id), n.pool_used, n.pool_size),
        pool,
        href: format!("/leases?network={}", encode(&n.id)),
    }
}

fn hosts(status: &Status, frame: &Frame) -> Vec<Host> {
    let mark = PairMark::new(&status.pair, frame.now, &frame.zone);
    let own = &status.pair.own;
    let card = |dot: super::frame::Dot| {
        let partner = status.pair.partner.as_ref().filter(|p| p.name == dot.name);
        let host = partner.unwrap_or(own);
        let icon = match dot.tone {
            "ok" => "ok",
            "warn" => "clock",
            "info" => "sync",
            _ => "warn",
        };
        Host {
            name: host.name.clone(),
            own: partner.is_none(),
            chip: Chip::new(dot.tone, icon, dot.word),
            reason: as_sentence(&host.reason, &[&own.name, status.pair.partner_name()]),
            facts: facts(host, frame),
            url: partner.and_then(|p| p.url.clone()),
        }
    };
    mark.dots.into_iter().map(card).collect()
}

fn facts(host: &HostStatus, frame: &Frame) -> Vec<(&'static str, Fact)> {
    let mut facts = vec![("Protocol state", Fact::Code(host.state.clone()))];
    if let Some(since) = host.since {
        facts.push(("In it since", Fact::Moment(frame.clock(since))));
    }
    if let Some(heard) = host.last_heard {
        facts.push(("Last heard of", Fact::Moment(frame.ago(heard))));
    }
    if let Some(started) = host.started {
        let up = frame.now.duration_since(started).unsigned_abs().as_secs();
        facts.push(("Running for", Fact::Text(duration(up))));
    }
    if let Some(address) = &host.address {
        facts.push(("Address", Fact::Code(address.clone())));
    }
    if let Some(version) = &host.version {
        facts.push(("Version", Fact::Text(version.clone())));
    }
    facts
}
