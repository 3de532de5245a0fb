//! What the pages and the command line show of the upstream servers.

use std::sync::Arc;

use lanward_dns::{DnssecMode, DnssecState, Suspended, UpstreamState, UpstreamStatus};
use lanward_web::view::{About, Problem, Severity, UpstreamView};

use crate::settings::Effective;

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// One server.
pub(super) fn view(of: &UpstreamStatus) -> UpstreamView {
    let buckets = of.latency_buckets.iter();
    UpstreamView {
        group: of.group.to_string(),
        server: of.server.to_string(),
        transport: of.transport,
        state: match of.state {
            UpstreamState::Up => "up",
            UpstreamState::Slow => "slow",
            UpstreamState::Down => "down",
        },
        reason: of.reason.clone(),
        for_secs: of.lasting.map(|lasting| lasting.as_secs()),
        latency_us: of.latency.map(micros),
        asked: of.asked,
        failed: of.failed,
        late: of.late,
        ignored: of.ignored,
        in_flight: of.in_flight,
        latency_sum_us: micros(of.latency_sum),
        latency_buckets: buckets.map(|(most, count)| (most.map(micros), *count)).collect(),
    }
}

/// A problem for each server that is down; a bad one where no other of its group answers.
pub(super) fn problems(all: &[UpstreamStatus]) -> Vec<Problem> {
    let down = |status: &&UpstreamStatus| status.state == UpstreamState::Down;
    all.iter()
        .filter(down)
        .map(|server| {
            let group = all.iter().filter(|other| other.group == server.group);
            let alone = group.filter(|other| !down(other)).count() == 0;
            let reason = server.reason.as_deref().unwrap_or("it does not answer");
            let (severity, rest) = match alone {
                true => (
                    Severity::Bad,
                    "and no other of its group does: only what is kept is answered.",
                ),
                false => (Severity::Warning, "others of its group are asked."),
            };
            let (name, group) = (&server.server, &server.group);
            if server.untimely {
                return Problem {
                    severity,
                    about: About::Upstreams,
                    what: format!(
                        "The upstream server {name} ({group}) cannot prove who it is: {reason}; \
                         {rest}"
                    ),
                    fix: "Probably the clock is wrong. The names of time servers are asked \
                          without encryption until NTP has set it: see whether it does \
                          (timedatectl)."
                        .into(),
                };
            }
            Problem {
                severity,
                about: About::Upstreams,
                what: format!(
                    "The upstream server {name} ({group}) does not answer: {reason}; {rest}"
                ),
                fix: "It is tried every second. See whether the internet is there, or name other \
                      servers in the settings."
                    .into(),
            }
        })
        .collect()
}

/// A problem for each group whose answers are not validated although they should be, or are refused.
pub(super) fn dnssec_problems(states: &[(Arc<str>, DnssecState)]) -> Vec<Problem> {
    let told = states.iter().filter_map(|(group, state)| {
        let (severity, what, fix) = match state {
            DnssecState::Off | DnssecState::Untried | DnssecState::Validating => return None,
            DnssecState::Refusing => (
                Severity::Bad,
                format!(
                    "Answers of the upstream servers ({group}) that should be signed come without \
                     good signatures, and are refused (DNSSEC)."
                ),
                "Somebody on the way removes or forges signatures. Name other servers in the \
                 settings; dnssec = \"off\" takes all answers as they come.",
            ),
            DnssecState::Suspended(Suspended::Clock) => (
                Severity::Warning,
                "DNSSEC is not checked: the clock of this host is wrong (too early).".to_owned(),
                "It will be as soon as the time is set: see whether NTP works.",
            ),
            DnssecState::Suspended(Suspended::Stripped) => (
                Severity::Warning,
                format!("DNSSEC is not checked: the upstream servers ({group}) remove signatures."),
                "Name other servers in the settings, or set dnssec = \"off\" to stop being told.",
            ),
        };
        Some(Problem { severity, about: About::Upstreams, what, fix: fix.to_owned() })
    });
    told.collect()
}

/// Tells which policies do without validation that the others have.
pub(super) fn without_dnssec(settings: &Effective) -> Option<Problem> {
    let without = settings.policies.policies.iter().filter(|policy| !policy.dnssec);
    let names: Vec<&str> = without.map(|policy| policy.name.as_str()).collect();
    if names.is_empty() || settings.dnssec.mode == DnssecMode::Off {
        return None;
    }
    Some(Problem {
        severity: Severity::Info,
        about: About::Settings,
        what: format!("DNSSEC is not checked for devices with the policy {}.", names.join(", ")),
        fix: "The settings have it so: dnssec = false in the policy.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_that_do_without_validation_are_named() {
        let policy = |name: &str, dnssec| lanward_dns::Policy {
            name: name.into(),
            filtering: true,
            block_mode: lanward_dns::BlockMode::Null,
            blocked_ttl_secs: 10,
            dnssec,
            dns64: None,
            history: true,
            upstreams: None,
        };
        let mut settings = Effective::default();
        settings.policies.policies = vec![policy("home", true)];
        assert_eq!(without_dnssec(&settings), None);
        settings.policies.policies.push(policy("lab", false));
        let told = without_dnssec(&settings).expect("something to tell");
        assert!(told.what.ends_with("the policy lab."), "{told:?}");
        settings.dnssec.mode = DnssecMode::Off;
        assert_eq!(without_dnssec(&settings), None, "then it is nothing particular");
    }

    #[test]
    fn it_is_told_when_validation_does_not_do_what_it_is_meant_to() {
        let of = |state| dnssec_problems(&[("default".into(), state)]);
        for state in [DnssecState::Off, DnssecState::Untried, DnssecState::Validating] {
            assert_eq!(of(state), []);
        }
        assert_eq!(of(DnssecState::Refusing)[0].severity, Severity::Bad);
        let stripped = of(DnssecState::Suspended(Suspended::Stripped));
        assert!(stripped[0].what.contains("(default) remove signatures"), "{stripped:?}");
        assert!(of(DnssecState::Suspended(Suspended::Clock))[0].fix.contains("NTP"));
    }

    fn server(group: &str, name: &str, state: UpstreamState) -> UpstreamStatus {
        UpstreamStatus {
            group: group.into(),
            server: name.into(),
            transport: "plain",
            state,
            reason: (state != UpstreamState::Up).then(|| "it does not answer".into()),
            untimely: false,
            lasting: None,
            latency: Some(std::time::Duration::from_millis(12)),
            asked: 5,
            failed: 1,
            late: 1,
            ignored: 0,
            in_flight: 0,
            latency_sum: std::time::Duration::from_millis(60),
            latency_buckets: vec![(None, 4)],
        }
    }

    #[test]
    fn a_server_that_is_down_is_worse_when_no_other_answers() {
        use UpstreamState::{Down, Slow, Up};
        let all = [
            server("a", "one", Down),
            server("a", "two", Slow),
            server("b", "three", Down),
            server("c", "four", Up),
        ];
        let told = problems(&all);
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].severity, told[1].severity), (Severity::Warning, Severity::Bad));
        assert!(told[1].what.contains("three (b)"), "{}", told[1].what);
        let told = problems(&[UpstreamStatus { untimely: true, ..all[0].clone() }]);
        assert!(told[0].fix.contains("NTP"), "{told:?}");
        let view = view(&all[0]);
        assert_eq!((view.state, view.latency_us), ("down", Some(12_000)));
    }
}
