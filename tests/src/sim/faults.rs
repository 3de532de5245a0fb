//! The faults of a plan, as far as [`super::exclude`] lets them happen.

use lanward::node::Input;
use lanward_ha::{Fault, PairState};

use super::host::{Down, Moment};
use super::plan::{Crash, Deed, DiskFate, Wall};
use super::world::{Event, World};

/// The id under which a button is pressed that must be refused.
const MUST_BE_REFUSED: u64 = 1;
const HONEST: u64 = 2;
/// How long an orderly stop may take: three times the silence.
const STOPPED_WITHIN: Moment = 40_000;
/// How long somebody waits before he tries again.
const TRY_AGAIN: Moment = 7_000;

impl World {
    /// What befalls the hosts while there is trouble.
    pub(super) fn trouble(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Resume { host, life } => {
                if self.is_alive(host, life) && std::mem::take(&mut self.hosts[host].maintained) {
                    self.note(|| format!("{} goes on", ["a", "b"][host]));
                    self.feed(host, Input::Resume)?;
                }
                return Ok(());
            }
            Event::StopOverdue { host, life } => {
                if self.hosts[host].paused_until + STOPPED_WITHIN > self.now {
                    self.after(STOPPED_WITHIN, event);
                    return Ok(());
                }
                // It may have stopped since, gone on, and been asked again.
                let overdue = |since: Moment| since + STOPPED_WITHIN <= self.now;
                if self.is_alive(host, life) && self.hosts[host].stopping.is_some_and(overdue) {
                    return Err(format!("{} does not stop", ["a", "b"][host]));
                }
                return Ok(());
            }
            Event::Connect => return self.connect(),
            Event::MendLink { cut } => return self.mend_link(cut),
            Event::Start { host } => return self.restart(host),
            // What was planned for the time of faults is left out after it.
            _ if !self.troubled => return Ok(()),
            _ => {}
        }
        match event {
            Event::Step(number) => self.deed(number),
            Event::Bustle { left } => {
                self.bustle(left);
                Ok(())
            }
            Event::Reset { host, life } => {
                if self.is_alive(host, life) && self.hosts[host].disk.has_failed() {
                    self.crash(host, Down::Process);
                    self.after(500, Event::Start { host });
                }
                Ok(())
            }
            Event::Press { at } => self.press(at),
            Event::Join => self.join(0),
            Event::Remove { dead, joins_after } => {
                if !self.hosts[1 - dead].runs(self.now) {
                    self.after(TRY_AGAIN, Event::Remove { dead, joins_after });
                    return Ok(());
                }
                self.after(joins_after, Event::Replacement { host: dead });
                self.remove_partner(1 - dead)
            }
            Event::Replacement { host } => {
                if !self.hosts[1 - host].runs(self.now) {
                    self.after(TRY_AGAIN, Event::Replacement { host });
                    return Ok(());
                }
                self.replacement(host)
            }
            _ => Ok(()),
        }
    }

    /// A fault begins.
    pub(super) fn fault(&mut self, deed: &Deed) -> Result<(), String> {
        if self.is_fragile() && !matches!(deed, Deed::Backup { .. }) {
            self.note(|| format!("left out, a second fault: {deed:?}"));
            return Ok(());
        }
        match *deed {
            Deed::Cut(cut) => {
                self.cut(cut);
                Ok(())
            }
            Deed::Crash(crash) => {
                self.crash_and_return(crash);
                Ok(())
            }
            Deed::Pause { host, lasts } => {
                if self.hosts[host].node.is_some() {
                    self.note(|| format!("{} stands still for {lasts} ms", ["a", "b"][host]));
                    let until = self.hosts[host].paused_until.max(self.now + lasts);
                    self.hosts[host].paused_until = until;
                    self.plan_wake(host);
                }
                Ok(())
            }
            Deed::DiskFails { host, restart_after, lasts } => {
                if !self.hosts[host].runs(self.now) {
                    return Ok(());
                }
                self.note(|| format!("the disk of {} fails", ["a", "b"][host]));
                self.hosts[host].store_floor(self.now);
                self.hosts[host].disk.fail(self.now + restart_after + lasts);
                let life = self.hosts[host].life;
                self.after(restart_after, Event::Reset { host, life });
                self.feed(host, Input::StoreFailed { error: "input/output error".to_owned() })
            }
            Deed::Backup { host } => {
                // A store that was torn may be back where it was before NORMAL, until it is opened.
                let runs = self.hosts[host].node.is_some();
                if runs && self.hosts[host].state == PairState::Normal {
                    self.hosts[host].store_floor(self.now);
                    self.hosts[host].disk.back_up();
                    self.exclude.copied[host] = self.hosts[host].paired;
                }
                Ok(())
            }
            Deed::Stop { host, down_for, reboot } => {
                let begun = self.stop(host, false)?;
                if begun {
                    self.hosts[host].after_stop = Some((down_for, reboot));
                }
                Ok(())
            }
            Deed::Maintenance { host, lasts } => {
                let begun = self.stop(host, true)?;
                if begun {
                    let life = self.hosts[host].life;
                    self.after(STOPPED_WITHIN + lasts, Event::Resume { host, life });
                }
                Ok(())
            }
            Deed::Replace { host, removed_after, joins_after } => {
                self.lose_host(host, removed_after, joins_after);
                Ok(())
            }
            Deed::Device { .. } | Deed::Release { .. } | Deed::Edit { .. } | Deed::Press { .. } => {
                Ok(())
            }
        }
    }

    fn crash_and_return(&mut self, crash: Crash) {
        let Crash { host, power, disk, down_for, pressed } = crash;
        if self.hosts[host].node.is_none() {
            return;
        }
        let told_all = self.has_told_all(host);
        self.crash(host, if power.is_some() { Down::Power } else { Down::Process });
        if disk == DiskFate::OldCopy && !told_all {
            self.note(|| "left out, the copy would lack what nobody knows".to_owned());
        } else {
            self.spoil(host, disk);
        }
        if let Some(wall) = power {
            self.hosts[host].wall = wall;
        }
        if let Some(after) = pressed {
            self.after(after, Event::Press { at: 1 - host });
        }
        self.after(down_for, Event::Start { host });
    }

    /// What happens to the disk of a host that is down.
    fn spoil(&mut self, host: usize, fate: DiskFate) {
        if fate == DiskFate::Kept {
            return;
        }
        if !self.may_lose_disk(host) {
            self.note(|| format!("left out, nobody would know the leases: {fate:?}"));
            return;
        }
        self.note(|| format!("the disk of {}: {fate:?}", ["a", "b"][host]));
        let disk = &mut self.hosts[host].disk;
        match fate {
            DiskFate::Kept => return,
            DiskFate::Torn { generations } => disk.tear(generations),
            DiskFate::Flipped { draw } => disk.flip(draw),
            DiskFate::Lost => self.hosts[host].new_store(),
            DiskFate::OldCopy => {
                let same_pair = self.exclude.copied[host] == self.hosts[host].paired;
                if !same_pair || !disk.put_back() {
                    return;
                }
                self.exclude.must_hear[host] = true;
            }
        }
        self.exclude.knows[host] = false;
        self.outcome.disks += 1;
    }

    /// A host's process ends without warning.
    pub(super) fn crash(&mut self, host: usize, down: Down) {
        if self.hosts[host].node.is_none() {
            return;
        }
        self.note(|| match down {
            Down::Power => format!("{} loses its power", ["a", "b"][host]),
            Down::Process => format!("{} crashes", ["a", "b"][host]),
        });
        self.outcome.crashes += 1;
        self.hosts[host].crash(self.now, down);
        self.drop_connection(host, down == Down::Power);
        self.plan_wake(host);
    }

    fn restart(&mut self, host: usize) -> Result<(), String> {
        if self.hosts[host].node.is_some() || self.gone == Some(host) {
            return Ok(());
        }
        if !self.may_start(host) {
            self.after(TRY_AGAIN, Event::Start { host });
            return Ok(());
        }
        let wall = std::mem::replace(&mut self.hosts[host].wall, Wall::Right);
        self.boot(host, wall)
    }

    /// Starts a host that is down.
    pub(super) fn boot(&mut self, host: usize, wall: Wall) -> Result<(), String> {
        if self.hosts[host].down == Some(Down::Power) {
            self.hosts[host].boot(self.now, wall);
        }
        self.start(host)
    }

    /// Asks a host to stop in order; tells whether that makes sense.
    fn stop(&mut self, host: usize, maintenance: bool) -> Result<bool, String> {
        let idle = self.hosts[host].stopping.is_none() && !self.hosts[host].maintained;
        if !self.hosts[host].runs(self.now) || !idle {
            return Ok(false);
        }
        self.note(|| format!("{} is asked to stop", ["a", "b"][host]));
        self.outcome.stops += 1;
        self.hosts[host].stopping = Some(self.now);
        self.hosts[host].stays_up = maintenance;
        let life = self.hosts[host].life;
        self.after(STOPPED_WITHIN, Event::StopOverdue { host, life });
        self.feed(host, Input::Stop { why: "a planned stop".to_owned() })?;
        Ok(true)
    }

    /// A node has stopped.
    pub(super) fn stopped(&mut self, host: usize, handed_over: bool) -> Result<(), String> {
        if self.hosts[host].stopping.take().is_none() {
            return Err(format!("{} stopped without being asked", ["a", "b"][host]));
        }
        self.note(|| {
            let how = if handed_over { "handed over" } else { "by itself" };
            format!("{} has stopped, {how}", ["a", "b"][host])
        });
        self.outcome.handed_over += u64::from(handed_over);
        let serving = self.hosts[host].node.as_ref().is_some_and(|n| n.pair().status().serving);
        if serving {
            return Err(format!("I5: {} has stopped, and serves", ["a", "b"][host]));
        }
        if self.hosts[host].stays_up {
            self.hosts[host].maintained = true;
            if !self.troubled {
                let life = self.hosts[host].life;
                self.after(0, Event::Resume { host, life });
            }
            return Ok(());
        }
        let (down_for, reboot) = self.hosts[host].after_stop.take().unwrap_or((1_000, None));
        let down = if reboot.is_some() { Down::Power } else { Down::Process };
        self.hosts[host].wall = reboot.unwrap_or(Wall::Right);
        // The process ends in order: its last frames are sent, its store is written.
        self.drop_connection(host, false);
        self.hosts[host].close(self.now, down);
        self.plan_wake(host);
        let down_for = if self.troubled { down_for } else { 0 };
        self.after(down_for, Event::Start { host });
        Ok(())
    }

    /// Somebody at a host says that the other one is off.
    pub(super) fn press(&mut self, at: usize) -> Result<(), String> {
        let other = 1 - at;
        if !self.hosts[at].runs(self.now) {
            return Ok(());
        }
        let off = self.hosts[other].down == Some(Down::Power);
        let connected = self.hosts[at].node.as_ref().is_some_and(|node| node.pair().is_connected());
        let id = if off || self.options.fault == Some(Fault::FalsePartnerDown) {
            HONEST
        } else if connected {
            MUST_BE_REFUSED
        } else if self.plan.shape.lies && self.looks_off(other) {
            self.give_up_uniqueness("somebody said that a host is off which is not");
            HONEST
        } else {
            self.note(|| format!("{} is not off: it answers", ["a", "b"][other]));
            return Ok(());
        };
        self.note(|| format!("{} is told that {} is off", ["a", "b"][at], ["a", "b"][other]));
        // Its own disk says that it may serve, and does not know better before it has heard.
        self.exclude.had_to_hear = self.exclude.must_hear[other];
        if off {
            self.exclude.must_hear[other] = true;
        }
        self.feed(at, Input::PartnerOff { id, by: "owner".to_owned() })
    }

    /// What became of it.
    pub(super) fn pressed(
        &mut self,
        at: usize,
        id: u64,
        result: &Result<(), String>,
    ) -> Result<(), String> {
        let other = 1 - at;
        self.note(|| format!("{}: {result:?}", ["a", "b"][at]));
        match result {
            Ok(()) if id == MUST_BE_REFUSED => {
                Err(format!("{} took its partner for off while connected", ["a", "b"][at]))
            }
            Ok(()) => {
                self.outcome.partner_offs += 1;
                Ok(())
            }
            Err(_) => {
                let off = self.hosts[other].down == Some(Down::Power);
                let is_down = self.hosts[at].state == PairState::PartnerDown;
                if id == HONEST && off && !is_down {
                    self.exclude.must_hear[other] = self.exclude.had_to_hear;
                    self.after(TRY_AGAIN, Event::Press { at });
                }
                Ok(())
            }
        }
    }

    /// A host is broken for good.
    fn lose_host(&mut self, host: usize, removed_after: Moment, joins_after: Moment) {
        let pair = self.hosts.iter().all(|host| host.paired.is_some());
        if self.gone.is_some() || !pair || !self.may_lose_disk(host) || self.plan.shape.lies {
            return;
        }
        self.crash(host, Down::Power);
        self.note(|| format!("{} is gone for good", ["a", "b"][host]));
        self.hosts[host].new_store();
        self.hosts[host].paired = None;
        self.exclude.knows[host] = false;
        self.gone = Some(host);
        self.after(removed_after, Event::Remove { dead: host, joins_after });
    }

    /// The owner removes the dead partner.
    pub(super) fn remove_partner(&mut self, survivor: usize) -> Result<(), String> {
        self.note(|| format!("the partner of {} is removed", ["a", "b"][survivor]));
        self.hosts[survivor].paired = None;
        self.shadow.forget_offers(survivor);
        let config = self.hosts[survivor].config();
        self.feed(survivor, Input::Unpaired(config))
    }

    /// A new host joins in the place of the dead one.
    pub(super) fn replacement(&mut self, host: usize) -> Result<(), String> {
        self.gone = None;
        self.outcome.replaced += 1;
        self.boot(host, Wall::Right)?;
        self.join(1 - host)
    }
}
