//! What is known of each upstream server, for people.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::groups::Groups;
use super::health::UpstreamState;
use super::server::LATENCY_BUCKETS_MS;

/// One server of one group. A server of several groups is one server: its figures are the same in
/// all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// The group's id in the settings.
    pub group: Arc<str>,
    /// The server as the settings write it.
    pub server: Arc<str>,
    /// How it is spoken to, as [`UpstreamTransport::as_str`](crate::UpstreamTransport::as_str).
    pub transport: &'static str,
    /// Whether it answers.
    pub state: UpstreamState,
    /// Why it is not up, e.g. `it does not answer`.
    pub reason: Option<String>,
    /// It is not up because its certificate is not valid at the time that the clock shows.
    pub untimely: bool,
    /// For how long it has not been up.
    pub lasting: Option<Duration>,
    /// Smoothed time of its answers; `None` before the first.
    pub latency: Option<Duration>,
    /// Questions sent to it, probes included.
    pub asked: u64,
    /// Of those, how many it did not answer, or with an error.
    pub failed: u64,
    /// How often it had not answered when the next server was asked.
    pub late: u64,
    /// Packets that were no answers: malformed, or forged.
    pub ignored: u64,
    /// Questions that wait for it now.
    pub in_flight: u64,
    /// From question to answer, all of them together.
    pub latency_sum: Duration,
    /// Answers by time taken: upper bound of each bucket, and how many fell in it. The last bucket
    /// has no bound.
    pub latency_buckets: Vec<(Option<Duration>, u64)>,
}

impl Groups {
    pub(crate) fn status(&self) -> Vec<UpstreamStatus> {
        let groups = &self.upstreams.groups;
        self.servers()
            .filter_map(|(group, server)| {
                let (reason, lasting) = server.reason().unzip();
                let tally = &server.tally;
                let bounds = LATENCY_BUCKETS_MS.map(|most| Some(Duration::from_millis(most)));
                let counts = tally.latency.iter().map(|count| count.load(Ordering::Relaxed));
                let micros = tally.latency_sum_micros.load(Ordering::Relaxed);
                Some(UpstreamStatus {
                    group: groups.get(group)?.id.clone(),
                    server: server.config.label.clone(),
                    transport: server.config.transport.as_str(),
                    state: server.state(),
                    reason,
                    untimely: server.is_untimely(),
                    lasting,
                    latency: server.latency(),
                    asked: tally.asked.load(Ordering::Relaxed),
                    failed: tally.failed.load(Ordering::Relaxed),
                    late: tally.late.load(Ordering::Relaxed),
                    ignored: tally.ignored.load(Ordering::Relaxed),
                    in_flight: tally.in_flight.load(Ordering::Relaxed),
                    latency_sum: Duration::from_micros(micros),
                    latency_buckets: bounds.into_iter().chain([None]).zip(counts).collect(),
                })
            })
            .collect()
    }
}
