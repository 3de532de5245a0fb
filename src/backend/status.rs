//! The state of the node, in the words of the pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lanward_dhcp::{HwAddr, NetworkId, Time};
use lanward_dns::{Answered, Excess, OverLimit};
use lanward_ha::{FreeCounts, PairState, PairStatus as Ha, PartnerStatus};
use lanward_web::view::{
    About, Condition, DnsCounters, HostStatus, PairStatus, Problem, ServiceAddress, Severity,
    Status,
};

use super::{changes, leases, pauses, upstreams};
use crate::control::{PartnerSays, Reading, Standing};
use crate::service_addresses::{Holder, Shown};
use crate::settings;
use crate::settings::effective::PauseSpec;

/// What status needs besides the node.
pub(super) struct Around {
    pub(super) started: Timestamp,
    pub(super) counters: lanward_dns::Counters,
    /// How validation goes, by group of upstream servers.
    pub(super) dnssec: Vec<(Arc<str>, lanward_dns::DnssecState)>,
    /// What is known of the upstream servers.
    pub(super) upstreams: Vec<lanward_dns::UpstreamStatus>,
    /// Who asked too much.
    pub(super) over_limit: Vec<OverLimit>,
    pub(super) blocked_names: u64,
    pub(super) url: Option<String>,
    /// Where the partner's pages are, by its address on the pair's link and this node's port.
    pub(super) partner_url: Option<(String, String)>,
    pub(super) services: Vec<Shown>,
    pub(super) problems: Vec<Problem>,
    /// What the partner's daemon said of itself.
    pub(super) says: Option<PartnerSays>,
    /// What was asked of this node.
    pub(super) standing: Standing,
    /// Who removed this node from its pair.
    pub(super) removed: Option<String>,
    /// Why there is no link.
    pub(super) trouble: Option<String>,
    /// Pauses of blocking in force.
    pub(super) pauses: Arc<[PauseSpec]>,
}

/// For how long a device that asked too much is shown.
const OVER_LIMIT_SHOWN: Duration = Duration::from_secs(15 * 60);
/// After so long without a word from a connected partner the mark on the pages says so.
const CHECKING_AFTER: Duration = Duration::from_millis(1500);

/// The whole status.
pub(super) fn status(reading: &Reading<'_>, around: Around) -> Status {
    let colliding = reading.node.collisions().keys().filter(|key| changes::matters(key));
    let collisions = colliding.count() as u64;
    let mut problems = around.problems.clone();
    problems.extend(settings_problems(reading));
    let ha = reading.node.pair().status();
    problems.extend(pair_problems(&ha, around.trouble.as_deref()));
    problems.extend(capacity_problems(&ha, || reading.node.pair().free_counts()));
    problems.extend(daemon_problems(&ha, around.says.as_ref()));
    problems.extend(around.over_limit.iter().filter_map(|over| over_limit_problem(reading, over)));
    problems.extend(around.services.iter().filter_map(service_problem));
    problems.extend(upstreams::problems(&around.upstreams));
    problems.extend(upstreams::dnssec_problems(&around.dnssec));
    problems.extend(upstreams::without_dnssec(reading.node.effective()));
    problems.extend(collision_problem(collisions));
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    let counters = around.counters.clone();
    Status {
        household: reading.node.effective().domain.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: around.started,
        pair: pair(reading, &ha, &around),
        dns: DnsCounters {
            queries: counters.queries,
            blocked: counters.answered(Answered::Blocked),
            cached: counters.answered(Answered::Cached) + counters.answered(Answered::Stale),
            local: counters.answered(Answered::Local) + counters.answered(Answered::Special),
            forwarded: counters.answered(Answered::Forwarded),
            failed: counters.answered(Answered::Failed),
            crowded: counters.crowded,
        },
        blocked_names: around.blocked_names,
        service_addresses: around.services.into_iter().map(service).collect(),
        upstreams: around.upstreams.iter().map(upstreams::view).collect(),
        networks: reading.node.effective().networks.iter().map(|n| n.id.to_string()).collect(),
        pauses: pauses::views(reading, &around.pauses),
        collisions,
        problems,
    }
}

/// A device that asked too much not long ago.
fn over_limit_problem(reading: &Reading<'_>, over: &OverLimit) -> Option<Problem> {
    if over.ago > OVER_LIMIT_SHOWN {
        return None;
    }
    let hostname = leases::tenant(reading, over.client).and_then(|client| client.hostname.clone());
    let who = match hostname {
        Some(name) => format!("{name} ({})", over.client),
        None => over.client.to_string(),
    };
    let refused = over.refused;
    let (what, fix) = match over.excess {
        Excess::Rate => (
            format!(
                "{who} asks more DNS questions than one device may: {refused} were not answered \
                 at once."
            ),
            "Look what runs wild there. A router that asks for a whole network needs a higher \
             rate_limit.",
        ),
        Excess::Waiting => (
            format!(
                "{who} has more DNS questions waiting for upstream servers than one device may: \
                 {refused} were answered that they could not be asked."
            ),
            "Look what it asks for, in the history: names whose servers do not answer, mostly.",
        ),
    };
    Some(Problem { severity: Severity::Warning, about: About::Host, what, fix: fix.into() })
}

/// Edits that wait for somebody to choose between them.
fn collision_problem(collisions: u64) -> Option<Problem> {
    let what = match collisions {
        0 => return None,
        1 => "Edited on both hosts while they could not see each other: 1 record.".to_owned(),
        n => format!("Edited on both hosts while they could not see each other: {n} records."),
    };
    Some(Problem {
        severity: Severity::Warning,
        about: About::Settings,
        what,
        fix: "Choose which value stays: on the page System, or with `lanward conflicts`.".into(),
    })
}

fn pair(reading: &Reading<'_>, ha: &Ha, around: &Around) -> PairStatus {
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let own = HostStatus {
        name: ha.node.clone(),
        up: ha.serving && around.removed.is_none(),
        state: ha.state.to_string(),
        reason: match (&around.standing.maintenance, &around.removed) {
            (_, Some(by)) => format!("{by} took this host out of the pair."),
            (Some(by), None) => format!("Maintenance, asked for by {by}."),
            (None, None) => ha.reason.clone(),
        },
        since: Some(reading.date(ha.since)),
        last_heard: None,
        started: Some(around.started),
        version,
        address: own_address(reading),
        url: around.url.clone(),
    };
    let partner = ha.partner.as_ref().map(|partner| host(reading, partner, around));
    // The one that removed this node is its partner no more, and still who it is about.
    let former = around.removed.as_ref().map(|by| HostStatus {
        name: by.clone(),
        up: false,
        state: "UNKNOWN".to_owned(),
        reason: "It went on without this host.".to_owned(),
        since: None,
        last_heard: None,
        started: None,
        version: None,
        address: None,
        url: None,
    });
    PairStatus {
        condition: condition(reading, ha, around),
        since: Some(reading.date(ha.since)),
        own,
        partner: former.or(partner),
        unsynced: ha.unsynced as u64,
    }
}

/// The address other devices reach this node by, as far as the networks tell.
fn own_address(reading: &Reading<'_>) -> Option<String> {
    let networks = reading.node.effective().networks.iter();
    networks.filter_map(|n| n.own).next().map(|addr| addr.to_string())
}

fn host(reading: &Reading<'_>, partner: &PartnerStatus, around: &Around) -> HostStatus {
    let (address, url) = around.partner_url.clone().unzip();
    let says = around.says.as_ref().filter(|_| partner.connected);
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
            (None, false) => match &around.trouble {
                Some(trouble) => format!("No link between the hosts: {trouble}."),
                None => "No answer on the link between the hosts.".to_owned(),
            },
        },
        since: None,
        last_heard: partner.last_contact.map(|at| reading.date(at)),
        started: says.map(|says| says.started),
        version: says.map(|says| says.version.clone()),
        address,
        url,
    }
}

fn condition(reading: &Reading<'_>, ha: &Ha, around: &Around) -> Condition {
    if around.removed.is_some() {
        return Condition::Removed;
    }
    let Some(partner) = &ha.partner else { return Condition::Single };
    if around.standing.maintenance.is_some() {
        return Condition::Maintenance;
    }
    let stopped = matches!(partner.state, Some(PairState::Shutdown));
    match ha.state {
        _ if ha.solo => Condition::Solo,
        PairState::Startup => Condition::Starting,
        PairState::Normal => {
            let silent = partner.last_contact.map_or(Duration::ZERO, |at| reading.now.since(at));
            if silent > CHECKING_AFTER { Condition::Checking { silent } } else { Condition::BothUp }
        }
        PairState::PartnerDown if partner.connected && !stopped => catching_up(ha),
        PairState::PartnerDown if ha.partner_down_since == Some(Time::ZERO) => {
            Condition::PartnerStopped
        }
        PairState::PartnerDown => Condition::PartnerOff,
        PairState::Recover | PairState::RecoverDone | PairState::Shutdown if partner.connected => {
            Condition::Learning
        }
        PairState::RecoverWait => {
            let until = ha.wait_until.unwrap_or(reading.now);
            Condition::Waiting { left: until.since(reading.now) }
        }
        PairState::Recover | PairState::RecoverDone | PairState::Shutdown => Condition::Unsure,
        PairState::Conflict => Condition::Merging,
        PairState::Standalone | PairState::CommunicationsInterrupted if partner.connected => {
            catching_up(ha)
        }
        PairState::Standalone | PairState::CommunicationsInterrupted => Condition::PartnerDown,
    }
}

fn catching_up(ha: &Ha) -> Condition {
    let total = ha.bindings.max(ha.unsynced) as u64;
    Condition::CatchingUp { done: total - ha.unsynced as u64, total }
}

fn service(shown: Shown) -> ServiceAddress {
    ServiceAddress {
        address: shown.addr,
        network: shown.network.to_string(),
        home: shown.home,
        holder: match shown.holder {
            Holder::Host(name) => Some(name),
            Holder::Stranger(mac) => Some(HwAddr::ethernet(mac).to_string()),
            Holder::Nobody => None,
        },
        well: shown.well,
        why: shown.why,
    }
}

/// A service address that no host of the pair holds, or not alone. One that the other host holds
/// for a while is no problem of its own.
fn service_problem(shown: &Shown) -> Option<Problem> {
    let (severity, fix) = match &shown.holder {
        _ if shown.well => return None,
        Holder::Host(_) if !shown.shared => return None,
        Holder::Host(_) | Holder::Stranger(_) => {
            (Severity::Bad, "Give that device another address, or choose another service address.")
        }
        Holder::Nobody => {
            (Severity::Bad, "Devices that ask it meet nobody; their second server answers.")
        }
    };
    Some(Problem {
        severity,
        about: About::Network(shown.network.to_string()),
        what: format!("Service address {}: {}", shown.addr, shown.why),
        fix: fix.to_owned(),
    })
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

fn pair_problems(ha: &Ha, trouble: Option<&str>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(why) = &ha.unfit {
        problems.push(Problem {
            severity: Severity::Bad,
            about: About::Host,
            what: if ha.prolongs_unsaved {
                format!(
                    "{} cannot save leases ({why}): devices keep the address they have, new ones \
                     get none.",
                    ha.node
                )
            } else {
                format!("{} cannot save leases and gives none: {why}.", ha.node)
            },
            fix: "Check the disk, then restart Lanward on this host.".to_owned(),
        });
    }
    let Some(partner) = &ha.partner else { return problems };
    if let Some(refusal) = partner.refusal.clone() {
        problems.push(Problem {
            severity: Severity::Bad,
            about: About::Partner,
            what: refusal,
            fix: "Until then each host serves its own half of every pool.".to_owned(),
        });
    }
    // That nobody answers is the pair's condition, not a problem beside it.
    let answered = trouble.filter(|trouble| !trouble.starts_with("cannot reach"));
    if let Some(trouble) = answered.filter(|_| !partner.connected) {
        problems.push(Problem {
            severity: Severity::Bad,
            about: About::Partner,
            what: format!("There is no link between the hosts: {trouble}."),
            fix: "The two work as if cut off from each other until then.".to_owned(),
        });
    }
    problems
}

/// Fewer free addresses than this in the own half, while the partner's cannot be used, and
/// somebody should know.
const FEW: u64 = 8;

/// What may soon turn a new device away while the partner is silent.
fn capacity_problems(
    ha: &Ha,
    free: impl FnOnce() -> BTreeMap<NetworkId, FreeCounts>,
) -> Vec<Problem> {
    let Some(partner) = &ha.partner else { return Vec::new() };
    if ha.state != PairState::CommunicationsInterrupted {
        return Vec::new();
    }
    let few = free().into_iter().filter(|(_, free)| free.own <= FEW);
    few.map(|(network, free)| Problem {
        severity: if free.own == 0 { Severity::Bad } else { Severity::Warning },
        about: About::Network(network.to_string()),
        what: format!(
            "{} for new devices in this half of {network}; {}'s half may not be used while it may \
             be running.",
            match free.own {
                0 => "No free address is left".to_owned(),
                1 => "1 free address is left".to_owned(),
                n => format!("{n} free addresses are left"),
            },
            partner.name
        ),
        fix: format!(
            "Start {0}; or, if it is off, run lanward pair down; or enlarge the pool. Devices that \
             have an address keep it.",
            partner.name
        ),
    })
    .collect()
}

/// Clocks further apart than this are told, in milliseconds.
const CLOCK_OFF_MS: i64 = 5000;

/// What the two daemons see of each other besides leases.
fn daemon_problems(ha: &Ha, says: Option<&PartnerSays>) -> Vec<Problem> {
    let Some(partner) = ha.partner.as_ref().filter(|partner| partner.connected) else {
        return Vec::new();
    };
    let Some(says) = says else { return Vec::new() };
    let (own, name) = (&ha.node, &partner.name);
    let mut problems = Vec::new();
    if says.wall_ahead_ms.abs() >= CLOCK_OFF_MS {
        let (secs, how) = (
            says.wall_ahead_ms.abs() / 1000,
            if says.wall_ahead_ms > 0 { "ahead of" } else { "behind" },
        );
        problems.push(Problem {
            severity: Severity::Warning,
            about: About::Partner,
            what: format!("The clock of {name} is {secs} s {how} that of {own}."),
            fix: "Leases do not depend on it, but dates in logs and pages do: see that both hosts \
                  get their time from the network (timedatectl)."
                .to_owned(),
        });
    }
    let version = env!("CARGO_PKG_VERSION");
    if says.version != version {
        problems.push(Problem {
            severity: Severity::Info,
            about: About::Partner,
            what: format!("{own} runs Lanward {version} and {name} {}.", says.version),
            fix: "The two work together. Update the older one next.".to_owned(),
        });
    }
    problems
}

#[cfg(test)]
mod tests;
