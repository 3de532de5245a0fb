//! A device of the household: a real DHCP client in a namespace of its own.
//!
//! Its client calls a script at every turn of its lease; the script adds one line to a file
//! (when, what, address, server, lease time), and that file is all the lab believes.

use std::fmt;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use super::household::Vlan;
use super::netns::Netns;
use super::process::{Process, tail, wait_for};

/// The clients the lab knows how to drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// BusyBox's, found in most small devices.
    Udhcpc,
    /// ISC's.
    Dhclient,
    /// Roy Marples', with a DUID for a client identifier.
    Dhcpcd,
}

impl Program {
    /// All three.
    pub const ALL: [Program; 3] = [Program::Udhcpc, Program::Dhclient, Program::Dhcpcd];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Program::Udhcpc => "udhcpc",
            Program::Dhclient => "dhclient",
            Program::Dhcpcd => "dhcpcd",
        }
    }
}

/// What happened to a device's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has an address.
    Bound,
    /// A server prolonged it, asked directly or by broadcast.
    Renewed,
    /// It has none any more: expired, refused, or given back.
    Lost,
}

/// One line of a device's story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When the client told.
    pub at: SystemTime,
    /// What happened.
    pub turn: Turn,
    /// The client's own word for it.
    pub word: String,
    /// The lease; `None` when the device lost it.
    pub lease: Option<Lease>,
}

/// What a server granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The server's identifier.
    pub server: Ipv4Addr,
    /// The lease time.
    pub secs: u32,
    /// When the client told that it has it.
    pub at: SystemTime,
}

/// A device.
#[derive(Debug)]
pub struct Device {
    name: String,
    vlan: Vlan,
    mac: String,
    program: Program,
    dir: PathBuf,
    process: Option<Process>,
    releasing: Option<Process>,
    netns: Netns,
}

impl Device {
    /// A device that is plugged in as `netns` and not yet switched on.
    pub(super) fn new(
        name: &str,
        (vlan, mac): (Vlan, String),
        program: Program,
        netns: Netns,
        dir: &Path,
    ) -> Device {
        let dir = dir.join(name);
        fs::create_dir_all(&dir).expect("the lab's folder is writable");
        let script = script(program, &dir.join("events"));
        write_executable(&dir.join("script"), &script);
        Device {
            name: name.to_owned(),
            vlan,
            mac,
            program,
            dir,
            process: None,
            releasing: None,
            netns,
        }
    }

    /// The name it tells the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network it is in.
    pub fn vlan(&self) -> Vlan {
        self.vlan
    }

    /// Its hardware address, such as `02:4c:57:ff:00:07`.
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// Its client.
    pub fn program(&self) -> Program {
        self.program
    }

    /// Its namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Switches it on: its client starts to look for an address.
    pub fn switch_on(&mut self) {
        let command = match self.program {
            Program::Udhcpc => self.udhcpc(),
            Program::Dhclient => self.dhclient(&["-d"]),
            Program::Dhcpcd => self.dhcpcd(),
        };
        let process = Process::start(command, &self.log()).expect("the client can be started");
        self.process = Some(process);
    }

    /// Pulls its plug: the client is gone without a word, its lease is not given back.
    pub fn pull_the_plug(&mut self) {
        self.process = None;
    }

    /// Makes it renew now. dhclient has no such command: it renews when half its lease is over.
    pub fn ask_to_renew(&self) {
        match self.program {
            Program::Udhcpc | Program::Dhcpcd => self.signal(Signal::SIGUSR1),
            Program::Dhclient => {}
        }
    }

    /// Makes it give its address back.
    pub fn give_back(&mut self) {
        match self.program {
            Program::Udhcpc => self.signal(Signal::SIGUSR2),
            Program::Dhcpcd => self.signal(Signal::SIGALRM),
            Program::Dhclient => {
                // Another dhclient does it, and ends the first one.
                let command = self.dhclient(&["-r"]);
                let process = Process::start(command, &self.log());
                self.releasing = Some(process.expect("dhclient can be started"));
            }
        }
    }

    /// Its story so far, without the noise before it first had an address.
    pub fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.dir.join("events")).unwrap_or_default();
        let events = text.split_inclusive('\n').filter_map(parse_event);
        events.skip_while(|event| event.turn != Turn::Bound).collect()
    }

    /// The lease it has now.
    pub fn lease(&self) -> Option<Lease> {
        self.events().last()?.lease
    }

    /// Waits until it has an address.
    ///
    /// # Panics
    /// When it has none after `limit`.
    #[track_caller]
    pub fn bound_within(&self, limit: Duration) -> Lease {
        self.expect_lease(limit, "an address", |event| event.turn == Turn::Bound)
    }

    /// Waits until a server has prolonged its lease after `since`.
    ///
    /// # Panics
    /// When none has after `limit`.
    #[track_caller]
    pub fn renewed_since(&self, since: SystemTime, limit: Duration) -> Lease {
        self.expect_lease(limit, "its renewal", |event| {
            event.turn == Turn::Renewed && event.at >= since
        })
    }

    /// The first lease after `since` that a server for which `by` holds has prolonged.
    pub fn renewed_by(&self, by: impl Fn(Ipv4Addr) -> bool, since: SystemTime) -> Option<Lease> {
        let after = |event: &Event| event.turn == Turn::Renewed && event.at >= since;
        let leases = self.events().into_iter().filter(after).filter_map(|event| event.lease);
        leases.into_iter().find(|lease| by(lease.server))
    }

    /// Waits until it has told that it gave its address back or lost it.
    ///
    /// # Panics
    /// When it still has it after `limit`.
    #[track_caller]
    pub fn without_address_within(&self, limit: Duration) {
        let lost = wait_for(limit, || {
            self.events().last().filter(|event| event.turn == Turn::Lost).map(drop)
        });
        assert!(lost.is_some(), "{self} still has its address after {limit:?}");
    }

    /// The one address it had all the time.
    ///
    /// # Panics
    /// When it ever lost its lease, or got another address.
    #[track_caller]
    pub fn kept_its_address(&self) -> Ipv4Addr {
        let events = self.events();
        let mut addresses: Vec<Option<Ipv4Addr>> =
            events.iter().map(|event| event.lease.map(|lease| lease.address)).collect();
        addresses.dedup();
        match addresses.as_slice() {
            [Some(only)] => *only,
            _ => panic!("{self} did not keep its address: {events:#?}"),
        }
    }

    /// What its client printed last.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log(), lines)
    }

    #[track_caller]
    fn expect_lease(&self, limit: Duration, what: &str, is_it: impl Fn(&Event) -> bool) -> Lease {
        let found =
            wait_for(limit, || self.events().into_iter().rev().find(|event| is_it(event))?.lease);
        found.unwrap_or_else(|| {
            panic!("{self} has not got {what} after {limit:?}; its story: {:#?}", self.events())
        })
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn path(&self, file: &str) -> String {
        self.dir.join(file).display().to_string()
    }

    fn udhcpc(&self) -> Command {
        let mut command = self.netns.command("udhcpc");
        // -A: after three DISCOVERs a second apart, begin anew a second later.
        command.args(["-f", "-i", "eth0", "-t", "3", "-T", "1", "-A", "1", "-s"]);
        command.arg(self.path("script")).arg("-x").arg(format!("hostname:{}", self.name));
        command
    }

    fn dhclient(&self, flags: &[&str]) -> Command {
        let config = format!(
            "send host-name \"{}\";\ninitial-delay 0;\ninitial-interval 1;\n\
             backoff-cutoff 2;\nretry 1;\ntimeout 10;\n\
             request subnet-mask, routers, domain-name-servers, domain-name;\n",
            self.name,
        );
        fs::write(self.dir.join("dhclient.conf"), config).expect("the lab's folder is writable");
        let mut command = self.netns.command("dhclient");
        command.args(flags).arg("-4");
        for (flag, file) in
            [("-cf", "dhclient.conf"), ("-lf", "leases"), ("-pf", "pid"), ("-sf", "script")]
        {
            command.arg(flag).arg(self.path(file));
        }
        command.arg("eth0");
        command
    }

    fn dhcpcd(&self) -> Command {
        // noarp: else it probes for five seconds before it tells of its lease, and what is
        // measured here is the server.
        let config = format!(
            "hostname {}\nduid\nipv4only\nnoipv4ll\nnoarp\nnodelay\nreboot 0\n\
             option dhcp_lease_time\noption domain_name_servers\n",
            self.name,
        );
        fs::write(self.dir.join("dhcpcd.conf"), config).expect("the lab's folder is writable");
        // It keeps its state under /run and /var/lib: give it empty ones. `ip netns exec` has
        // made the mounts private.
        let line = format!(
            "mount -t tmpfs lw /run && mount -t tmpfs lw /var/lib && \
             mkdir -p /run/dhcpcd /var/lib/dhcpcd && \
             exec dhcpcd -B -4 -f {} -c {} eth0",
            self.path("dhcpcd.conf"),
            self.path("script"),
        );
        let mut command = self.netns.command("sh");
        command.args(["-c", &line]);
        command
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if std::thread::panicking() {
            super::story::say(&format!("-- log of {self}:\n{}\n", self.log_tail(15)));
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} on {})", self.name, self.program.name(), self.vlan.id())
    }
}

/// The script a client calls: it sets the address (except for dhcpcd, which does so itself) and
/// tells what happened.
fn script(program: Program, events: &Path) -> String {
    let tell = |word: &str, address: &str, server: &str, secs: &str| {
        let to = events.display();
        format!("echo \"$(date +%s%N) {word} ${address} ${server} ${secs}\" >> '{to}'\n")
    };
    match program {
        Program::Udhcpc => format!(
            "#!/bin/sh\n{}\
             case $1 in\n\
             deconfig) ip -4 addr flush dev $interface ;;\n\
             bound|renew)\n\
             ip addr replace $ip/24 dev $interface\n\
             [ -n \"$router\" ] && ip route replace default via ${{router%% *}} ;;\n\
             esac\nexit 0\n",
            tell("$1", "ip", "serverid", "lease"),
        ),
        Program::Dhclient => format!(
            "#!/bin/sh\n{}\
             case $reason in\n\
             EXPIRE|FAIL|RELEASE|STOP) ip -4 addr flush dev $interface ;;\n\
             BOUND|RENEW|REBIND|REBOOT)\n\
             ip addr replace $new_ip_address/24 dev $interface\n\
             [ -n \"$new_routers\" ] && ip route replace default via ${{new_routers%% *}} ;;\n\
             esac\nexit 0\n",
            tell("$reason", "new_ip_address", "new_dhcp_server_identifier", "new_dhcp_lease_time"),
        ),
        Program::Dhcpcd => format!(
            "#!/bin/sh\n{}exit 0\n",
            tell("$reason", "new_ip_address", "new_dhcp_server_identifier", "new_dhcp_lease_time"),
        ),
    }
}

/// Reads one whole line of an event file; `None` for words that change nothing.
fn parse_event(line: &str) -> Option<Event> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let nanos: u64 = words.next()?.parse().ok()?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
    let word = words.next()?;
    let turn = match word {
        "bound" | "BOUND" | "REBOOT" => Turn::Bound,
        "renew" | "RENEW" | "REBIND" => Turn::Renewed,
        "deconfig" | "nak" | "EXPIRE" | "FAIL" | "NAK" | "RELEASE" | "STOP" | "STOPPED" => {
            Turn::Lost
        }
        _ => return None,
    };
    let mut lease = || {
        Some(Lease {
            address: words.next()?.parse().ok()?,
            server: words.next()?.parse().ok()?,
            secs: words.next()?.parse().ok()?,
            at,
        })
    };
    let lease = if turn == Turn::Lost { None } else { Some(lease()?) };
    Some(Event { at, turn, word: word.to_owned(), lease })
}

fn write_executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).expect("the lab's folder is writable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .expect("the lab's folder is writable");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_only_when_it_is_whole() {
        let event = parse_event("1700000000500000000 REBIND 10.77.10.9 10.77.10.2 60\n");
        let event = event.expect("a whole line");
        assert_eq!(event.turn, Turn::Renewed);
        let lease = event.lease.expect("a lease");
        assert_eq!((lease.address, lease.secs), (Ipv4Addr::new(10, 77, 10, 9), 60));
        assert_eq!(parse_event("1700000000500000000 REBIND 10.77.10.9"), None);
        assert_eq!(parse_event("1700000000500000000 CARRIER   \n"), None);
    }
}
