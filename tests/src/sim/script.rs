//! One run: how the pair is founded, what the devices and the owner do.

use lanward::node::Input;
use lanward::settings::records::{Network, Record, Reservation};
use lanward_ha::{ClusterId, Rank};

use super::client::{Held, Manner};
use super::host::{Down, Paired};
use super::plan::{Deed, Wall};
use super::rng::Rng;
use super::world::{Event, LEASE_SECS, MCLT, World};

impl World {
    /// From the founding of the pair to the last check.
    pub(super) fn run(&mut self) -> Result<(), String> {
        self.found()?;
        for number in 0..self.plan.steps.len() {
            self.at(self.plan.steps[number].at, Event::Step(number));
        }
        self.run_until(self.plan.shape.length)?;
        self.mend_everything()?;
        self.check_converges()?;
        self.check_kept()?;
        self.check_service()
    }

    /// Two new hosts become a pair at once, or one serves alone before the other joins it.
    fn found(&mut self) -> Result<(), String> {
        match self.plan.shape.joins {
            None => {
                self.become_pair(0);
                self.start(0)?;
                self.start(1)?;
            }
            Some(at) => {
                self.start(0)?;
                self.exclude.knows[0] = true;
                self.at(at, Event::Join);
            }
        }
        let mut writes = vec![
            (Network::key("iot"), Some(self.network(self.plan.shape.pool_last))),
            ("setting/mclt".to_owned(), Some(format!("\"{}s\"", MCLT.as_secs()))),
        ];
        if let Some(last) = self.plan.shape.reserved {
            writes.push((Reservation::key("zero"), Some(reservation(0, last))));
        }
        self.feed(0, Input::Edit { id: 0, author: "setup".to_owned(), writes })
    }

    fn network(&self, pool_last: u8) -> String {
        let probe = self.plan.shape.probe;
        format!(
            "{{\"subnet\":\"10.0.30.0/24\",\"policy\":\"default\",\"router\":\"10.0.30.1\",\
             \"dhcp\":{{\"pools\":[\"10.0.30.100-10.0.30.{pool_last}\"],\
             \"lease_time\":\"{LEASE_SECS}s\",\"probe\":{probe}}}}}"
        )
    }

    /// Writes the two hosts' `partner.json`; `first` keeps what it has.
    pub(super) fn become_pair(&mut self, first: usize) {
        let cluster = ClusterId([self.clusters; 16]);
        self.clusters += 1;
        self.hosts[first].paired = Some(Paired { cluster, rank: Rank::Zero });
        self.hosts[1 - first].paired = Some(Paired { cluster, rank: Rank::One });
    }

    /// The second host joins the first. It has run alone, without any settings.
    pub(super) fn join(&mut self, first: usize) -> Result<(), String> {
        let second = 1 - first;
        if self.hosts[second].node.is_none() {
            self.start(second)?;
        }
        self.note(|| format!("{} joins {}", ["a", "b"][second], ["a", "b"][first]));
        self.exclude.knows = [first == 0, first == 1];
        self.become_pair(first);
        for host in [first, second] {
            let config = self.hosts[host].config();
            self.feed(host, Input::Paired(config))?;
        }
        self.dial();
        Ok(())
    }

    pub(super) fn start(&mut self, host: usize) -> Result<(), String> {
        let (seed, fault) = (self.rng.next(), self.options.fault);
        self.hosts[host].start(self.now, seed, fault);
        if let Some(node) = &self.hosts[host].node {
            self.hosts[host].state = node.pair().status().state;
            self.shadow.restart(host, node);
        }
        self.note(|| format!("{} starts", ["a", "b"][host]));
        if self.plan.shape.bustle && self.troubled {
            self.after(500, Event::Bustle { left: 30 });
        }
        self.obey(host)?;
        self.dial();
        Ok(())
    }

    /// A step of the plan.
    pub(super) fn deed(&mut self, number: usize) -> Result<(), String> {
        let Some(step) = self.plan.steps.get(number) else { return Ok(()) };
        let deed = step.what.clone();
        match deed {
            Deed::Device { client, draw } => {
                self.device(client, draw);
                Ok(())
            }
            Deed::Release { host, draw } => self.release_by_hand(host, draw),
            Deed::Edit { host, draw } => self.edit(host, draw),
            Deed::Press { host } => self.press(host),
            fault => self.fault(&fault),
        }
    }

    /// A device does something.
    fn device(&mut self, client: usize, draw: u64) {
        let mut rng = Rng::new(draw);
        self.clients[client].wants_secs = rng.pick(&[None, None, Some(60), Some(130)]);
        match self.clients[client].claims(self.now) {
            None => self.discover(client),
            Some(held) => self.act_on_lease(client, held, &mut rng),
        }
    }

    /// While a host comes back, devices come one after another; of two, one gives back what it has
    /// first.
    pub(super) fn bustle(&mut self, left: u8) {
        let client = self.rng.range(0, self.clients.len() as u64) as usize;
        let manner = self.clients[client].manner;
        match self.clients[client].valid(self.now) {
            None if manner != Manner::Deaf => self.discover(client),
            Some(held) if manner == Manner::Polite && self.rng.chance(50) => {
                let packet = self.clients[client].release(held);
                self.send_packet(&packet);
            }
            _ => {}
        }
        if left > 0 {
            let pause = self.rng.range(20, 400);
            self.after(pause, Event::Bustle { left: left - 1 });
        }
    }

    fn act_on_lease(&mut self, client: usize, held: Held, rng: &mut Rng) {
        let secs = rng.pick(&[0, 1, 8]);
        let packet = match rng.range(0, 100) {
            0..=44 => self.clients[client].renew(held),
            45..=64 => self.clients[client].rebind(held, secs),
            65..=74 => self.clients[client].reboot(held, secs),
            75..=89 => self.clients[client].release(held),
            // It is switched off: its lease runs out.
            _ => return,
        };
        self.send_packet(&packet);
    }

    fn release_by_hand(&mut self, host: usize, draw: u64) -> Result<(), String> {
        let running = self.hosts[host].runs(self.now);
        let Some(node) = self.hosts[host].node.as_ref().filter(|_| running) else {
            return Ok(());
        };
        let leased: Vec<_> = node.pair().bindings().map(|binding| binding.addr).collect();
        if leased.is_empty() {
            return Ok(());
        }
        let addr = Rng::new(draw).pick(&leased);
        self.note(|| format!("{} is told to release {addr}", ["a", "b"][host]));
        for client in &mut self.clients {
            client.ended_by_hand |= client.held.is_some_and(|held| held.addr == addr);
        }
        self.feed(host, Input::Release { id: 1, addr })
    }

    fn edit(&mut self, host: usize, draw: u64) -> Result<(), String> {
        if !self.hosts[host].runs(self.now) {
            return Ok(());
        }
        self.edits += 1;
        let mut rng = Rng::new(draw);
        let write = match rng.range(0, 10) {
            0..=3 => {
                let key = format!("device/{}", rng.range(0, 3));
                (key, Some(format!("\"edit {}\"", self.edits)))
            }
            4..=5 => {
                let last = self.plan.shape.pool_last - rng.range(0, 3) as u8;
                (Network::key("iot"), Some(self.network(last)))
            }
            6..=8 => {
                let key = Reservation::key(rng.pick(&["zero", "one"]));
                let last = rng.range(100, 106) as u8;
                (key, Some(reservation(rng.range(0, 4) as u8, last)))
            }
            _ => (Reservation::key(rng.pick(&["zero", "one"])), None),
        };
        self.note(|| format!("{} is told: {write:?}", ["a", "b"][host]));
        let author = "owner".to_owned();
        self.feed(host, Input::Edit { id: self.edits, author, writes: vec![write] })
    }

    /// A host that stands still goes on; what waited for it comes first, in its order.
    fn end_pause(&mut self, host: usize) {
        let until = std::mem::replace(&mut self.hosts[host].paused_until, self.now);
        self.plan_wake(host);
        if until > self.now {
            self.bring_forward(host, until);
        }
    }

    /// Everything works from now on, and the devices are quiet.
    fn mend_everything(&mut self) -> Result<(), String> {
        self.troubled = false;
        self.note(|| "everything is mended, and the devices are quiet".to_owned());
        self.clients.iter_mut().for_each(super::client::Client::give_up);
        self.mend_all_cuts()?;
        for host in 0..2 {
            self.end_pause(host);
            self.hosts[host].disk.mend();
            if self.hosts[host].disk.has_failed() {
                self.crash(host, Down::Process);
            }
            if std::mem::take(&mut self.hosts[host].maintained) {
                self.feed(host, Input::Resume)?;
            }
        }
        if let Some(dead) = self.gone {
            if self.hosts[1 - dead].node.is_none() {
                self.boot(1 - dead, Wall::Right)?;
            }
            if self.hosts[1 - dead].paired.is_some() {
                self.remove_partner(1 - dead)?;
            }
            return self.replacement(dead);
        }
        // A host that must hear its partner starts after it.
        let mut order = [0, 1];
        order.sort_by_key(|host| self.exclude.must_hear[*host]);
        for host in order {
            if self.hosts[host].node.is_none() && self.hosts[host].paired.is_some() {
                self.boot(host, Wall::Right)?;
            }
        }
        if self.hosts[1].paired.is_none() {
            self.join(0)?;
        }
        Ok(())
    }
}

/// A reservation for a device.
fn reservation(client: u8, last: u8) -> String {
    format!(
        "{{\"network\":\"iot\",\"mac\":\"02:00:5e:10:00:{client:02x}\",\
         \"address\":\"10.0.30.{last}\"}}"
    )
}
