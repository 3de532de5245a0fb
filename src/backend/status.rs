//! The state of the node, in the words of the pages.

use std::time::Duration;

use jiff::Timestamp;
use lanward_dns::Answered;
use lanward_ha::{PairState, PairStatus as Ha, PartnerStatus};
use lanward_web::view::{
    About, Condition, DnsCounters, HostStatus, PairStatus, Problem, Severity, Status,
};

use crate::control::Reading;
use crate::settings;

/// What status needs besides the node.
pub(super) struct Around {
    pub(super) started: Timestamp,
    pub(super) counters: lanward_dns::Counters,
    pub(super) blocked_names: u64,
    pub(super) url: Option<String>,
    /// Where the partner's pages are, by its address on the pair's link and this node's port.
    pub(super) partner_url: Option<(String, String)>,
    pub(super) problems: Vec<Problem>,
}

/// After so long without a word from a connected partner the mark on the pages says so.
const CHECKING_AFTER: Duration = Duration::from_millis(1500);

/// The whole status.
pub(super) fn status(reading: &Reading<'_>, around: Around) -> Status {
    let mut problems = around.problems;
    problems.extend(settings_problems(reading));
    problems.extend(pair_problems(&reading.node.pair().status()));
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    let counters = around.counters;
    Status {
        household: reading.node.effective().domain.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: around.started,
        pair: pair(reading, around.started, around.url, around.partner_url),
        dns: DnsCounters {
            queries: counters.queries,
            blocked: counters.answered(Answered::Blocked),
            cached: counters.answered(Answered::Cached) + counters.answered(Answered::Stale),
            local: counters.answered(Answered::Local) + counters.answered(Answered::Special),
            forwarded: counters.answered(Answered::Forwarded),
            failed: counters.answered(Answered::Failed),
        },
        blocked_names: around.blocked_names,
        problems,
    }
}

fn pair(
    reading: &Reading<'_>,
    started: Timestamp,
    url: Option<String>,
    partner_url: Option<(String, String)>,
) -> PairStatus {
    let ha = reading.node.pair().status();
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let own = HostStatus {
        name: ha.node.clone(),
        up: ha.serving,
        state: ha.state.to_string(),
        reason: ha.reason.clone(),
        since: Some(reading.date(ha.since)),
        last_heard: None,
        started: Some(started),
        version,
        address: own_address(reading),
        url,
    };
    let partner = ha.partner.as_ref().map(|partner| host(reading, partner, partner_url));
    PairStatus {
        condition: condition(reading, &ha),
        since: Some(reading.date(ha.since)),
        own,
        partner,
        unsynced: ha.unsynced as u64,
    }
}

/// The address other devices reach this node by, as far as the networks tell.
fn own_address(reading: &Reading<'_>) -> Option<String> {
    let networks = reading.node.effective().networks.iter();
    networks.filter_map(|n| n.own).next().map(|addr| addr.to_string())
}

fn host(
    reading: &Reading<'_>,
    partner: &PartnerStatus,
    reached: Option<(String, String)>,
) -> HostStatus {
    let (address, url) = reached.unzip();
    HostStatus {
        name: partner.name.clone(),
        up: partner.connected,
        state: match partner.state {
            Some(state) if partner.connected => state.to_string(),
            _ => "UNKNOWN".to_owned(),
        },
        reason: match (&partner.refusal, partner.connected) {
            (Some(refusal), _) => refusal.clone(),
            (None, true) => "It answers on the link between the hosts.".to_owned(),
            (None, false) => "No answer on the link between the hosts.".to_owned(),
        },
        since: None,
        last_heard: partner.last_contact.map(|at| reading.date(at)),
        started: None,
        version: None,
        address,
        url,
    }
}

fn condition(reading: &Reading<'_>, ha: &Ha) -> Condition {
    let Some(partner) = &ha.partner else { return Condition::Single };
    match ha.state {
        PairState::Startup => Condition::Starting,
        PairState::Normal => {
            let silent = partner.last_contact.map_or(Duration::ZERO, |at| reading.now.since(at));
            if silent > CHECKING_AFTER { Condition::Checking { silent } } else { Condition::BothUp }
        }
        _ if partner.connected => {
            let total = ha.bindings.max(ha.unsynced) as u64;
            Condition::CatchingUp { done: total - ha.unsynced as u64, total }
        }
        _ => Condition::PartnerDown,
    }
}

fn settings_problems(reading: &Reading<'_>) -> Vec<Problem> {
    let problems = reading.node.effective().problems.iter();
    problems
        .map(|problem| Problem {
            severity: match problem.severity {
                settings::Severity::Error => Severity::Bad,
                settings::Severity::Warning => Severity::Warning,
            },
            about: about(&problem.place.key),
            what: problem.message.replace('*', ""),
            fix: problem.fix.replace('*', ""),
        })
        .collect()
}

fn about(key: &str) -> About {
    match key.split_once('/') {
        Some(("list", id)) => About::List(id.to_owned()),
        Some(("network", id)) => About::Network(id.to_owned()),
        _ => About::Host,
    }
}

fn pair_problems(ha: &Ha) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(why) = &ha.unfit {
        problems.push(Problem {
            severity: Severity::Bad,
            about: About::Host,
            what: format!("{} cannot save leases and gives none: {why}.", ha.node),
            fix: "Check the disk, then restart Lanward on this host.".to_owned(),
        });
    }
    if let Some(refusal) = ha.partner.as_ref().and_then(|p| p.refusal.clone()) {
        problems.push(Problem {
            severity: Severity::Bad,
            about: About::Partner,
            what: refusal,
            fix: "Until then each host serves its own half of every pool.".to_owned(),
        });
    }
    problems
}
