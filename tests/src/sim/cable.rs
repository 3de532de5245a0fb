//! The connection between the nodes: who dials, what arrives, who notices its end.

use lanward::node::Input;
use lanward_ha::Rank;

use super::link::Carried;
use super::plan::Cut;
use super::world::{Event, World};

impl World {
    /// The host that dials.
    fn dialler(&self) -> Option<usize> {
        (0..2).find(|host| self.hosts[*host].paired.is_some_and(|paired| paired.rank == Rank::One))
    }

    /// Plans a connection, where one is possible and missing.
    pub(super) fn dial(&mut self) {
        let Some(dialler) = self.dialler() else { return };
        let same = |a: &super::host::Host, b: &super::host::Host| {
            a.paired.map(|paired| paired.cluster) == b.paired.map(|paired| paired.cluster)
        };
        let both = self.hosts.iter().all(|host| host.node.is_some());
        let missing = !self.link.open[dialler] && !self.link.dialling;
        let [a, b] = &self.hosts;
        if both && same(a, b) && missing && self.link.is_whole() {
            self.link.dialling = true;
            let takes = self.link.rng.range(100, 3_000);
            self.after(takes, Event::Connect);
        }
    }

    pub(super) fn connect(&mut self) -> Result<(), String> {
        self.link.dialling = false;
        let both = self.hosts.iter().all(|host| host.runs(self.now));
        let Some(dialler) = self.dialler() else { return Ok(()) };
        if !both {
            self.dial();
            return Ok(());
        }
        if !self.link.is_whole() || self.link.open[dialler] {
            return Ok(());
        }
        let listener = 1 - dialler;
        if self.link.open[listener] {
            self.lose_connection(listener, "the partner connected anew")?;
            if self.hosts[listener].node.is_none() {
                // It was about to stop, and this was the last it waited for.
                return Ok(());
            }
        }
        self.link.connect(self.now);
        let first = if self.link.rng.chance(50) { dialler } else { listener };
        self.link.open[first] = true;
        self.carry(first, Carried::Up);
        self.feed(first, Input::LinkUp)
    }

    /// Sends something over the connection.
    pub(super) fn carry(&mut self, from: usize, what: Carried) {
        let (connection, to) = (self.link.connection, 1 - from);
        let at = self.link.arrival(self.now, to);
        self.at(at, Event::Carried { connection, to, what });
    }

    /// Something arrives over a connection.
    pub(super) fn carried(
        &mut self,
        connection: u64,
        to: usize,
        what: Carried,
    ) -> Result<(), String> {
        let Some(what) = self.link.pass(connection, to, what) else { return Ok(()) };
        self.arrived(to, what)
    }

    fn arrived(&mut self, to: usize, what: Carried) -> Result<(), String> {
        if self.hosts[to].node.is_none() {
            return Ok(());
        }
        match what {
            Carried::Up => {
                self.link.open[to] = true;
                self.feed(to, Input::LinkUp)
            }
            Carried::Frame(frame) if self.link.open[to] => self.feed(to, Input::Frame(&frame)),
            Carried::End if self.link.open[to] => self.lose_connection(to, "connection closed"),
            Carried::Frame(_) | Carried::End => Ok(()),
        }
    }

    /// A host learns that the connection is over.
    pub(super) fn lose_connection(&mut self, host: usize, reason: &str) -> Result<(), String> {
        self.link.open[host] = false;
        self.feed(host, Input::LinkDown { reason: reason.to_owned() })?;
        self.dial();
        Ok(())
    }

    /// One node ends the connection; the other hears of it if it still hears anything.
    pub(super) fn hang_up(&mut self, host: usize) {
        if std::mem::replace(&mut self.link.open[host], false) {
            self.carry(host, Carried::End);
        }
        self.dial();
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        self.note(|| format!("the link is cut: {cut:?}"));
        self.outcome.cuts += 1;
        let number = self.link.cut(cut);
        let connection = self.link.connection;
        for (to, notice) in cut.noticed.into_iter().enumerate() {
            if let Some(after) = notice {
                self.after(after, Event::Noticed { connection, to });
            }
        }
        self.after(cut.lasts, Event::MendLink { cut: number });
    }

    pub(super) fn mend_link(&mut self, cut: u64) -> Result<(), String> {
        self.note(|| "a cut ends".to_owned());
        let late = self.link.mend(cut);
        self.deliver(late)
    }

    pub(super) fn mend_all_cuts(&mut self) -> Result<(), String> {
        let late = self.link.mend_all();
        self.deliver(late)
    }

    fn deliver(&mut self, late: [Vec<Carried>; 2]) -> Result<(), String> {
        for (to, all) in late.into_iter().enumerate() {
            for what in all {
                self.carry(1 - to, what);
            }
        }
        self.dial();
        Ok(())
    }

    /// A host's end of the connection goes with its process; a host that loses its power says
    /// nothing any more.
    pub(super) fn drop_connection(&mut self, host: usize, power: bool) {
        let open = std::mem::replace(&mut self.link.open[host], false);
        if power {
            self.link.kill();
        } else if open {
            self.carry(host, Carried::End);
        }
    }
}
