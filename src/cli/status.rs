//! `lanward status`.

use std::process::ExitCode;

use serde::Deserialize;

use super::pause::Paused;
use super::text::{self, Tone};
use super::{Common, DEGRADED, Done, daemon};
use crate::admin::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Status {}

/// The part of the daemon's answer that is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) headline: String,
    pub(super) sentence: String,
    #[serde(default)]
    next: Option<String>,
    pub(super) severity: String,
    pub(super) pair: Pair,
    version: String,
    started: String,
    dns: Dns,
    blocked_names: u64,
    #[serde(default)]
    service_addresses: Vec<Service>,
    #[serde(default)]
    upstreams: Vec<Upstream>,
    pauses: Vec<Paused>,
    problems: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pair {
    pub(super) own: Host,
    pub(super) partner: Option<Host>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) up: bool,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) since: Option<String>,
    pub(super) address: Option<String>,
    pub(super) url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Service {
    address: String,
    network: String,
    holder: Option<String>,
    why: String,
}

#[derive(Debug, Deserialize)]
struct Upstream {
    group: String,
    server: String,
    state: String,
    reason: Option<String>,
    latency_us: Option<u64>,
    asked: u64,
    failed: u64,
}

#[derive(Debug, Deserialize)]
struct Dns {
    queries: u64,
    blocked: u64,
    cached: u64,
    forwarded: u64,
    failed: u64,
    #[serde(default)]
    crowded: u64,
}

#[derive(Debug, Deserialize)]
struct Problem {
    severity: String,
    what: String,
    fix: String,
}

impl Status {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let data = daemon::ask(common, &Request::Status)?;
        let shown: Shown = daemon::read(&data)?;
        if common.json {
            text::print_json(&data);
        } else {
            shown.tell();
        }
        Ok(shown.code())
    }
}

impl Shown {
    /// 3 when something needs attention.
    pub(super) fn code(&self) -> ExitCode {
        let degraded = matches!(self.severity.as_str(), "warning" | "bad");
        ExitCode::from(if degraded { DEGRADED } else { 0 })
    }

    /// The pair's condition, in its colour.
    pub(super) fn tell_pair(&self) {
        let tone = match self.severity.as_str() {
            "bad" => Tone::Bad,
            "warning" => Tone::Attention,
            _ => Tone::Good,
        };
        text::print_line(&text::toned(&text::clean(&self.headline), tone));
        text::print_text(&self.sentence);
        if let Some(next) = &self.next {
            text::print_text(next);
        }
        text::print_line("");
        let hosts = || std::iter::once(&self.pair.own).chain(&self.pair.partner);
        let rows: Vec<Vec<String>> = hosts()
            .map(|host| {
                vec![
                    host.name.clone(),
                    if host.up { "up" } else { "down" }.to_owned(),
                    host.state.clone(),
                    text::from_now(host.since.as_deref()),
                ]
            })
            .collect();
        let head = ["HOST", "", "STATE", "SINCE"];
        text::table(&head, &rows).iter().for_each(|line| text::print_line(line));
        text::print_line("");
        for host in hosts() {
            let place = host.url.as_ref().or(host.address.as_ref());
            let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
            text::print_text(&format!("{}{place}: {}", host.name, host.reason));
        }
    }

    fn tell_upstreams(&self) {
        if self.upstreams.is_empty() {
            return;
        }
        let rows = self.upstreams.iter().map(|server| {
            let latency = match server.latency_us {
                Some(micros) => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
                None => "-".to_owned(),
            };
            let counts = [server.asked, server.failed].map(|count| count.to_string());
            let texts = [&server.server, &server.group, &server.state].map(String::clone);
            [&texts[..], &[latency], &counts].concat()
        });
        let rows: Vec<Vec<String>> = rows.collect();
        text::print_line("");
        let head = ["UPSTREAM", "GROUP", "", "USUALLY", "ASKED", "FAILED"];
        text::table(&head, &rows).iter().for_each(|line| text::print_line(line));
        for server in &self.upstreams {
            if let Some(reason) = &server.reason {
                text::print_text(&format!("{}: {reason}", server.server));
            }
        }
    }

    fn tell(&self) {
        self.tell_pair();
        let dns = &self.dns;
        text::print_line("");
        text::print_text(&format!(
            "DNS since {}: {} queries, {} blocked, {} from the cache, {} forwarded, {} failed.",
            text::from_now(Some(&self.started)),
            dns.queries,
            dns.blocked,
            dns.cached,
            dns.forwarded,
            dns.failed,
        ));
        if dns.crowded > 0 {
            text::print_text(&format!(
                "{} questions were not asked of an upstream server, because too many waited.",
                dns.crowded
            ));
        }
        text::print_text(&format!(
            "{} names are blocked. Lanward {}.",
            self.blocked_names, self.version
        ));
        self.tell_upstreams();
        if !self.service_addresses.is_empty() {
            let rows = self.service_addresses.iter().map(|service| {
                let holder = service.holder.as_deref().unwrap_or("nobody");
                [&*service.address, &*service.network, holder].map(str::to_owned).to_vec()
            });
            let rows: Vec<Vec<String>> = rows.collect();
            text::print_line("");
            let head = ["SERVICE ADDRESS", "NETWORK", "HELD BY"];
            text::table(&head, &rows).iter().for_each(|line| text::print_line(line));
            for service in &self.service_addresses {
                text::print_text(&format!("{}: {}", service.address, service.why));
            }
        }
        for pause in &self.pauses {
            text::print_line(&text::toned(&pause.sentence(), Tone::Attention));
        }
        for problem in &self.problems {
            let tone = if problem.severity == "bad" { Tone::Bad } else { Tone::Attention };
            text::print_line("");
            text::print_line(&text::toned(&text::clean(&problem.what), tone));
            text::print_text(&problem.fix);
        }
    }
}
