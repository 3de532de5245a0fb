//! What is known of a server: whether it answers, and how fast. Pure; the time comes in.
//!
//! ```text
//!        answer late, or none          probe fails
//!   Up ------------------------> Slow ------------> Down
//!   ^ ^                           |                  |
//!   | +--- answer, or probe answered                 |
//!   +------------ answer, or probe answered ---------+
//! ```
//! A server that is not Up is asked after those that are, and probed at once and then every second,
//! so that one that comes back is in use within two.

use std::time::Duration;

use crate::cache::FailureKind;

/// How much of the latency known so far stays with a new one, in eighths.
const KEPT: u32 = 7;

/// Whether a server is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpstreamState {
    /// It answers, or has not been asked yet.
    #[default]
    Up,
    /// Its last answer was late; it is being probed.
    Slow,
    /// It does not answer.
    Down,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    state: UpstreamState,
    /// Why it is not up.
    reason: Option<(FailureKind, String)>,
    /// Since when, as time since the server's first use.
    since: Duration,
    latency: Option<Duration>,
}

impl Health {
    pub(super) fn state(&self) -> UpstreamState {
        self.state
    }

    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.as_ref().map(|(_, text)| text.as_str())
    }

    pub(super) fn kind(&self) -> Option<FailureKind> {
        self.reason.as_ref().map(|(kind, _)| *kind)
    }

    pub(super) fn since(&self) -> Duration {
        self.since
    }

    /// Smoothed; `None` before the first answer.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// An answer came after `took`. True when none had come before for a while.
    pub(super) fn answered(&mut self, took: Duration, now: Duration) -> bool {
        let kept = self.latency.unwrap_or(took);
        self.latency = Some((kept * KEPT + took) / (KEPT + 1));
        let was = self.change(UpstreamState::Up, None, now);
        was == UpstreamState::Down
    }

    /// An answer did not come as soon as it should.
    pub(super) fn late(&mut self, now: Duration) {
        self.doubted(FailureKind::Timeout, "it is slow to answer".to_owned(), now);
    }

    /// A question had no answer, which may be the question's fault: a name's own servers may be
    /// silent, and what is said of one name is not said of all. The probe will tell.
    pub(super) fn doubted(&mut self, why: FailureKind, reason: String, now: Duration) {
        if self.state == UpstreamState::Up {
            self.change(UpstreamState::Slow, Some((why, reason)), now);
        }
    }

    /// There will be none: it cannot be reached, or a probe failed.
    pub(super) fn failed(&mut self, why: FailureKind, reason: String, now: Duration) {
        match (why, self.state) {
            // One lost packet is no dead server.
            (FailureKind::Timeout, UpstreamState::Up) => self.doubted(why, reason, now),
            _ => {
                self.change(UpstreamState::Down, Some((why, reason)), now);
            }
        }
    }

    fn change(
        &mut self,
        state: UpstreamState,
        reason: Option<(FailureKind, String)>,
        now: Duration,
    ) -> UpstreamState {
        let was = std::mem::replace(&mut self.state, state);
        self.reason = reason;
        if was != state {
            self.since = now;
        }
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_late_answer_makes_a_server_slow_and_a_failed_probe_takes_it_down() {
        let mut health = Health::default();
        health.late(SECOND);
        assert_eq!(health.state(), UpstreamState::Slow);
        health.failed(FailureKind::Timeout, "no answer".into(), 2 * SECOND);
        assert_eq!((health.state(), health.reason()), (UpstreamState::Down, Some("no answer")));
        health.late(3 * SECOND);
        assert_eq!(health.state(), UpstreamState::Down, "late is not better than none");
        assert_eq!(health.since(), 2 * SECOND);
        assert!(health.answered(SECOND / 100, 4 * SECOND), "it has come back");
        assert!(!health.answered(SECOND / 100, 5 * SECOND));
        assert_eq!((health.state(), health.since()), (UpstreamState::Up, 4 * SECOND));
    }

    #[test]
    fn what_cannot_be_reached_is_down_at_once_and_what_is_lost_is_not() {
        let mut health = Health::default();
        health.failed(FailureKind::Timeout, "no answer".into(), SECOND);
        assert_eq!(health.state(), UpstreamState::Slow);
        let mut health = Health::default();
        for why in [FailureKind::Timeout, FailureKind::Strange] {
            health.doubted(why, "HTTP status 400".into(), SECOND);
            assert_eq!(health.state(), UpstreamState::Slow, "however often");
        }
        health.failed(FailureKind::Timeout, "no answer".into(), SECOND);
        assert_eq!(health.state(), UpstreamState::Down, "the probe said so");
        health.doubted(FailureKind::Strange, "HTTP status 400".into(), 2 * SECOND);
        assert_eq!((health.state(), health.reason()), (UpstreamState::Down, Some("no answer")));
        let mut health = Health::default();
        health.failed(FailureKind::Unreachable, "refused".into(), SECOND);
        assert_eq!(health.state(), UpstreamState::Down);
    }

    #[test]
    fn latency_follows_slowly() {
        let mut health = Health::default();
        health.answered(Duration::from_millis(80), SECOND);
        health.answered(Duration::from_millis(0), SECOND);
        assert_eq!(health.latency(), Some(Duration::from_millis(70)));
    }
}
