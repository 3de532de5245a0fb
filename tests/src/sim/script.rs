//! What happens by chance: faults, and what devices do.

use lanward::node::Input;
use lanward::settings::records::{Network, Record, Reservation};

use super::client::{Client, Held};
use super::host::Moment;
use super::world::{Event, LEASE_SECS, MCLT, World};

/// How long faults happen.
const TROUBLED: Moment = 1_500_000;

impl World {
    /// One run, from the founding of the pair to the last check.
    pub(super) fn run(&mut self) -> Result<(), String> {
        self.found()?;
        for client in 0..self.clients.len() {
            let first = self.rng.range(100, 60_000);
            self.after(first, Event::Act { client });
        }
        let first = self.rng.range(5_000, 200_000);
        self.after(first, Event::Trouble);
        for _ in 0..self.rng.range(0, 4) {
            let at = self.rng.range(10_000, TROUBLED);
            self.at(at, Event::Edit);
        }
        self.run_until(TROUBLED)?;
        self.mend_everything()?;
        self.check_converges()?;
        self.check_service()
    }

    /// Two new hosts become a pair at once, or one serves alone before the other joins it.
    fn found(&mut self) -> Result<(), String> {
        if self.rng.chance(65) {
            self.hosts[0].paired = true;
            self.hosts[1].paired = true;
            self.start(0)?;
            self.start(1)?;
        } else {
            self.start(0)?;
            let at = self.rng.range(20_000, 400_000);
            self.at(at, Event::Pair);
        }
        let probe = self.rng.chance(30);
        let network = format!(
            "{{\"subnet\":\"10.0.30.0/24\",\"policy\":\"default\",\"router\":\"10.0.30.1\",\
             \"dhcp\":{{\"pools\":[\"10.0.30.100-10.0.30.{}\"],\"lease_time\":\"{LEASE_SECS}s\",\
             \"probe\":{probe}}}}}",
            self.pool_last
        );
        let mut writes = vec![
            (Network::key("iot"), Some(network)),
            ("setting/mclt".to_owned(), Some(format!("\"{}s\"", MCLT.as_secs()))),
        ];
        if self.rng.chance(40) {
            // Device 0 has an address of its own, of either half.
            let last = self.rng.range(100, 104) as u8;
            self.reserved = Some(last);
            let reservation = format!(
                "{{\"network\":\"iot\",\"mac\":\"02:00:5e:10:00:00\",\
                 \"address\":\"10.0.30.{last}\"}}"
            );
            writes.push((Reservation::key("zero"), Some(reservation)));
        }
        self.feed(0, Input::Edit { id: 0, author: "setup".to_owned(), writes })
    }

    pub(super) fn pair(&mut self) -> Result<(), String> {
        self.hosts[0].paired = true;
        self.hosts[1].paired = true;
        let config = self.hosts[0].config();
        self.note(|| "the two are paired".to_owned());
        self.feed(0, Input::Paired(config))?;
        self.start(1)
    }

    pub(super) fn start(&mut self, host: usize) -> Result<(), String> {
        let (seed, fault) = (self.rng.next(), self.options.fault);
        self.hosts[host].start(self.now, seed, fault);
        self.note(|| format!("{} starts", ["a", "b"][host]));
        let outputs = self.hosts[host].drain();
        self.obey(host, outputs)?;
        self.dial();
        Ok(())
    }

    pub(super) fn restart(&mut self, host: usize) -> Result<(), String> {
        if self.hosts[host].node.is_some() || self.hosts[host].life == 0 {
            return Ok(());
        }
        self.start(host)
    }

    /// A fault, and the next one.
    pub(super) fn trouble(&mut self) -> Result<(), String> {
        if !self.troubled {
            return Ok(());
        }
        let host = usize::from(self.rng.chance(50));
        match self.rng.range(0, 100) {
            0..=44 => {
                self.cut();
                let lasts = match self.rng.range(0, 3) {
                    0 => self.rng.range(100, 5_000),
                    1 => self.rng.range(5_000, 60_000),
                    _ => self.rng.range(60_000, 500_000),
                };
                self.after(lasts, Event::Mend);
            }
            45..=79 => {
                self.crash(host);
                let lasts = match self.rng.range(0, 3) {
                    0 => self.rng.range(50, 3_000),
                    1 => self.rng.range(3_000, 40_000),
                    _ => self.rng.range(40_000, 400_000),
                };
                self.after(lasts, Event::Restart { host });
            }
            80..=86 => self.pause(host),
            87..=91 => self.fail_disk(host)?,
            _ => self.release_by_hand(host)?,
        }
        let next = self.rng.pick(&[500, 4_000, 30_000, 120_000, 300_000]);
        let next = self.rng.range(next / 2, next * 2);
        self.after(next, Event::Trouble);
        Ok(())
    }

    fn pause(&mut self, host: usize) {
        let lasts = self.rng.pick(&[700, 5_000, 40_000]);
        let lasts = self.rng.range(lasts / 2, lasts * 2);
        if self.hosts[host].node.is_some() {
            self.note(|| format!("{} stands still for {lasts} ms", ["a", "b"][host]));
            self.hosts[host].paused_until = self.now + lasts;
            self.plan_wake(host);
        }
    }

    /// The disk fails, and after a while somebody restarts the host.
    fn fail_disk(&mut self, host: usize) -> Result<(), String> {
        if !self.hosts[host].runs(self.now) {
            return Ok(());
        }
        self.note(|| format!("the disk of {} fails", ["a", "b"][host]));
        self.hosts[host].fail_disk();
        self.feed(host, Input::StoreFailed { error: "input/output error".to_owned() })?;
        let lasts = self.rng.range(1_000, 60_000);
        self.after(lasts, Event::PowerOff { host });
        Ok(())
    }

    fn release_by_hand(&mut self, host: usize) -> Result<(), String> {
        let running = self.hosts[host].runs(self.now);
        let Some(node) = self.hosts[host].node.as_ref().filter(|_| running) else {
            return Ok(());
        };
        let leased: Vec<_> = node.pair().bindings().map(|binding| binding.addr).collect();
        if leased.is_empty() {
            return Ok(());
        }
        let addr = self.rng.pick(&leased);
        self.note(|| format!("{} is told to release {addr}", ["a", "b"][host]));
        self.feed(host, Input::Release { id: 1, addr })
    }

    pub(super) fn edit(&mut self) -> Result<(), String> {
        let host = usize::from(self.rng.chance(50));
        if !self.hosts[host].runs(self.now) {
            return Ok(());
        }
        self.edits += 1;
        let key = format!("device/{}", self.rng.range(0, 3));
        let writes = vec![(key, Some(format!("\"edit {}\"", self.edits)))];
        self.feed(host, Input::Edit { id: self.edits, author: "owner".to_owned(), writes })
    }

    /// A device does something, and plans the next thing.
    pub(super) fn act(&mut self, client: usize) {
        if !self.troubled {
            return;
        }
        let held = self.clients[client].valid(self.now);
        self.clients[client].wants_secs = self.rng.pick(&[None, None, Some(60), Some(130)]);
        match held {
            None => self.discover(client),
            Some(held) => self.act_on_lease(client, held),
        }
        let next = self.rng.pick(&[3_000, 15_000, 50_000, 150_000]);
        let next = self.rng.range(next / 2, next * 2);
        self.after(next, Event::Act { client });
    }

    pub(super) fn discover(&mut self, client: usize) {
        let packet = self.clients[client].discover(self.now);
        self.send_packet(&packet);
        if let Some(xid) = self.clients[client].open_discover() {
            self.after(4_000, Event::Retry { client, xid });
        }
    }

    fn act_on_lease(&mut self, client: usize, held: Held) {
        let secs = self.rng.pick(&[0, 1, 8]);
        let packet = match self.rng.range(0, 100) {
            0..=44 => self.clients[client].renew(held),
            45..=64 => self.clients[client].rebind(held, secs),
            65..=74 => self.clients[client].reboot(held, secs),
            75..=89 => self.clients[client].release(held),
            // It is switched off: its lease runs out.
            _ => return,
        };
        self.send_packet(&packet);
    }

    fn mend_everything(&mut self) -> Result<(), String> {
        self.troubled = false;
        self.note(|| "everything is mended, and the devices are quiet".to_owned());
        self.clients.iter_mut().for_each(Client::give_up);
        if self.hosts[1].life == 0 {
            self.pair()?;
        }
        for host in 0..2 {
            if self.hosts[host].disk_failed {
                self.crash(host);
            }
            self.restart(host)?;
        }
        self.mend_link();
        Ok(())
    }
}

/// The cable and the power.
impl World {
    /// Plans a connection, where one is possible and missing.
    pub(super) fn dial(&mut self) {
        let both = self.hosts.iter().all(|host| host.node.is_some() && host.paired);
        let missing = self.link.open.contains(&false);
        if both && missing && self.link.reachable && !self.link.dialling {
            self.link.dialling = true;
            let takes = self.rng.range(100, 3_000);
            self.after(takes, Event::Connect);
        }
    }

    pub(super) fn connect(&mut self) -> Result<(), String> {
        self.link.dialling = false;
        let both = self.hosts.iter().all(|host| host.runs(self.now));
        if !both {
            self.dial();
            return Ok(());
        }
        if !self.link.reachable || !self.link.open.contains(&false) {
            return Ok(());
        }
        for host in 0..2 {
            if std::mem::replace(&mut self.link.open[host], false) {
                let reason = "the partner connected anew".to_owned();
                self.feed(host, Input::LinkDown { reason })?;
            }
        }
        self.link.connect(self.now);
        self.link.open = [true, false];
        let at = self.link.arrival(self.now, 1, &mut self.rng);
        self.at(at, Event::LinkUp { connection: self.link.connection, to: 1 });
        self.feed(0, Input::LinkUp)
    }

    pub(super) fn link_up(&mut self, connection: u64, to: usize) -> Result<(), String> {
        let alive = connection == self.link.connection && !self.link.broken;
        if !alive || self.hosts[to].node.is_none() {
            self.dial();
            return Ok(());
        }
        self.link.open[to] = true;
        self.feed(to, Input::LinkUp)
    }

    pub(super) fn link_down(&mut self, connection: u64, to: usize) -> Result<(), String> {
        if connection != self.link.connection || !self.link.open[to] {
            return Ok(());
        }
        self.link.open[to] = false;
        self.feed(to, Input::LinkDown { reason: "connection reset".to_owned() })?;
        self.dial();
        Ok(())
    }

    /// One node ends the connection; the other hears of it if it still hears anything.
    pub(super) fn hang_up(&mut self, host: usize) {
        self.link.open[host] = false;
        if !self.link.broken {
            let to = 1 - host;
            let at = self.link.arrival(self.now, to, &mut self.rng);
            self.at(at, Event::LinkDown { connection: self.link.connection, to });
        }
        self.dial();
    }

    pub(super) fn cut(&mut self) {
        self.note(|| "the link is cut".to_owned());
        self.outcome.cuts += 1;
        self.link.reachable = false;
        self.break_connection();
    }

    pub(super) fn mend_link(&mut self) {
        if !self.link.reachable {
            self.note(|| "the link is mended".to_owned());
            self.link.reachable = true;
        }
        self.dial();
    }

    pub(super) fn crash(&mut self, host: usize) {
        if self.hosts[host].node.is_none() {
            return;
        }
        self.note(|| format!("{} crashes", ["a", "b"][host]));
        self.outcome.crashes += 1;
        self.hosts[host].crash(&mut self.rng);
        self.link.open[host] = false;
        self.break_connection();
        self.hosts[host].paused_until = 0;
        self.plan_wake(host);
    }

    /// Nothing gets through any more. A host notices at once, later, or not by itself.
    fn break_connection(&mut self) {
        self.link.broken = true;
        let connection = self.link.connection;
        for to in 0..2 {
            let notice = match self.rng.range(0, 10) {
                0..=3 => self.rng.range(1, 500),
                4..=6 => self.rng.range(1_000, 20_000),
                _ => continue,
            };
            self.after(notice, Event::LinkDown { connection, to });
        }
    }
}
