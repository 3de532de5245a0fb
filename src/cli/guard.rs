//! `lanward guard-addresses`: started by the daemon, for the daemon (`io/guard.rs`).

#![allow(clippy::disallowed_methods, reason = "a small program of its own: it waits for a pipe")]

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};

use super::{Common, Done, Failure};
use crate::io::guard::{Order, PATIENCE};
use crate::io::netlink::Netlink;

#[derive(Debug, clap::Args)]
pub(super) struct Guard {}

impl Guard {
    pub(super) fn execute(&self, _common: &Common) -> Done {
        // A service manager that stops the daemon signals this process, too; it is the daemon that
        // removes the addresses then, in order, and the end of the pipe that ends this one.
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block().map_err(|error| failed(&error.into()))?;
        let netlink = Netlink::open().map_err(|error| failed(&error))?;
        Watch { netlink, held: BTreeMap::new(), heard: Instant::now() }.run();
        Ok(ExitCode::SUCCESS)
    }
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::new(format!("service addresses cannot be guarded: {error}"))
}

struct Watch {
    netlink: Netlink,
    held: BTreeMap<IpAddr, u32>,
    heard: Instant,
}

impl Watch {
    /// Listens to the daemon until it is gone.
    fn run(&mut self) {
        let mut stdin = std::io::stdin();
        let mut pending = Vec::new();
        loop {
            if self.wait(&stdin) {
                let mut buffer = [0; 4096];
                match stdin.read(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => return self.remove_all(),
                    Ok(len) => {
                        pending.extend_from_slice(&buffer[..len]);
                        self.read(&mut pending);
                    }
                }
            } else if self.heard.elapsed() >= PATIENCE {
                self.remove_all();
            }
        }
    }

    /// Whether something came, or the end did.
    fn wait(&self, stdin: &std::io::Stdin) -> bool {
        let left = match self.held.is_empty() {
            true => Duration::from_secs(60),
            false => PATIENCE.saturating_sub(self.heard.elapsed()) + Duration::from_millis(1),
        };
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, left), Ok(ready) if ready > 0)
    }

    fn read(&mut self, pending: &mut Vec<u8>) {
        self.heard = Instant::now();
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            match Order::read(&String::from_utf8_lossy(&line)) {
                Some(Order::Hold(ifindex, addr)) => drop(self.held.insert(addr, ifindex)),
                Some(Order::Drop(addr)) => drop(self.held.remove(&addr)),
                Some(Order::Alive) | None => {}
            }
        }
    }

    fn remove_all(&mut self) {
        for (addr, ifindex) in std::mem::take(&mut self.held) {
            // An interface that is gone took the address with it.
            let _ = self.netlink.remove(ifindex, addr);
        }
    }
}
