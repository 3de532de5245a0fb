//! Both daemons together: started, paired, killed, compared.

use std::time::{Duration, Instant};

use super::daemon::{Daemon, Table, differences};
use super::household::Side;
use super::process::wait_for;
use super::{Lab, secs};

impl Lab {
    /// The daemon of a host.
    pub fn daemon(&self, side: Side) -> &Daemon {
        match side {
            Side::A => &self.daemons[0],
            Side::B => &self.daemons[1],
        }
    }

    /// The daemon of a host, to be started or stopped.
    pub fn daemon_mut(&mut self, side: Side) -> &mut Daemon {
        match side {
            Side::A => &mut self.daemons[0],
            Side::B => &mut self.daemons[1],
        }
    }

    /// Starts the daemon of a host.
    #[track_caller]
    pub fn start(&mut self, side: Side) {
        let (household, daemons) = (&self.household, &mut self.daemons);
        let daemon = match side {
            Side::A => &mut daemons[0],
            Side::B => &mut daemons[1],
        };
        daemon.start(household.host(side));
    }

    /// Starts the daemon of a host and does not wait until it answers.
    pub fn launch(&mut self, side: Side) {
        let (household, daemons) = (&self.household, &mut self.daemons);
        let daemon = match side {
            Side::A => &mut daemons[0],
            Side::B => &mut daemons[1],
        };
        daemon.launch(household.host(side));
    }

    /// Starts both daemons, makes them a pair and waits until both are in NORMAL.
    #[track_caller]
    pub fn start_pair(&mut self) {
        self.start(Side::A);
        self.start(Side::B);
        let invite = self.invite(Side::A);
        let said = self.daemon(Side::B).cli(&["pair", "join", &invite]);
        assert!(said.status.success(), "B cannot join A: {said:?}");
        self.normal_within(secs(20));
    }

    /// An invite to the pair, made by a host.
    #[track_caller]
    pub fn invite(&self, side: Side) -> String {
        let reply = self.daemon(side).json(&["pair", "invite"]);
        reply["invite"].as_str().expect("an invite").to_owned()
    }

    /// Waits until both are in NORMAL; returns how long that took.
    #[track_caller]
    pub fn normal_within(&self, limit: Duration) -> Duration {
        let began = Instant::now();
        for side in Side::BOTH {
            self.state_within(side, "NORMAL", limit);
        }
        began.elapsed()
    }

    /// Waits until both are in NORMAL and their tables are equal; returns how long that took.
    ///
    /// # Panics
    /// When it takes longer than `limit` altogether.
    #[track_caller]
    pub fn healed_within(&self, limit: Duration) -> Duration {
        let began = Instant::now();
        self.normal_within(limit);
        self.tables_equal_within(limit.saturating_sub(began.elapsed()));
        let took = began.elapsed();
        // A look at both takes a moment, too.
        assert!(took <= limit + Duration::from_millis(500), "healed only after {took:?}");
        took
    }

    /// Waits until a node is in `state`.
    #[track_caller]
    pub fn state_within(&self, side: Side, state: &str, limit: Duration) {
        let mut last = None;
        let reached = wait_for(limit, || {
            last = self.daemon(side).state();
            last.as_ref().filter(|(now, _)| now == state).map(drop)
        });
        assert!(reached.is_some(), "{side} is not in {state} after {limit:?} but in {last:?}");
    }

    /// The table of a host.
    #[track_caller]
    pub fn leases(&self, side: Side) -> Table {
        self.daemon(side).leases()
    }

    /// Waits until both tables are equal; returns how long that took.
    #[track_caller]
    pub fn tables_equal_within(&self, limit: Duration) -> Duration {
        let began = Instant::now();
        let mut last = Vec::new();
        let equal = wait_for(limit, || {
            last = differences(&self.leases(Side::A), &self.leases(Side::B));
            last.is_empty().then_some(())
        });
        assert!(equal.is_some(), "the tables differ after {limit:?}:\n{}", last.join("\n"));
        began.elapsed()
    }
}
