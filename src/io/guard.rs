//! The guard: a second process that removes the service addresses when the daemon does not.
//!
//! The kernel keeps an address, and answers ARP for it, when the process behind it was killed; the
//! partner could not tell that from a host that is well. So the daemon tells the guard what it
//! holds, and that it is alive, over a pipe: when the pipe ends, or nothing came for two seconds
//! (a daemon that hangs or was stopped), the guard removes the addresses. This file is the
//! daemon's end; the guard itself is `lanward guard-addresses`.

#![allow(clippy::disallowed_methods, reason = "a shell: a process and a pipe")]

use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// A daemon that says nothing for so long is not well.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the daemon tells its guard: one line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The address is to be removed from this interface when the daemon is gone.
    Hold(u32, IpAddr),
    /// It is gone already.
    Drop(IpAddr),
    /// The daemon is alive.
    Alive,
}

impl Order {
    /// The order as a line, with its end.
    pub fn line(self) -> String {
        match self {
            Order::Hold(ifindex, addr) => format!("hold {ifindex} {addr}\n"),
            Order::Drop(addr) => format!("drop {addr}\n"),
            Order::Alive => ".\n".to_owned(),
        }
    }

    /// Reads a line.
    pub fn read(line: &str) -> Option<Order> {
        let mut words = line.split_whitespace();
        let order = match words.next()? {
            "hold" => Order::Hold(words.next()?.parse().ok()?, words.next()?.parse().ok()?),
            "drop" => Order::Drop(words.next()?.parse().ok()?),
            "." => Order::Alive,
            _ => return None,
        };
        words.next().is_none().then_some(order)
    }
}

/// The daemon's end of the pipe. Dropping it ends the guard.
#[derive(Debug)]
pub struct Guard {
    pipe: ChildStdin,
    child: Child,
}

impl Guard {
    /// Starts the guard.
    pub fn start() -> io::Result<Guard> {
        let mut child = Command::new("/proc/self/exe")
            .arg("guard-addresses")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // A Ctrl-C is for the daemon, which stops in order.
            .process_group(0)
            .spawn()?;
        let Some(pipe) = child.stdin.take() else {
            return Err(io::Error::other("the guard has no input"));
        };
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Guard { pipe, child })
    }

    /// Tells it something; never waits. An error means that there is no guard any more, or one
    /// that does not listen.
    pub fn tell(&self, order: Order) -> io::Result<()> {
        let line = order.line();
        let sent = (&self.pipe).write(line.as_bytes())?;
        if sent == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It ends by itself when the pipe does; if it has already, it is not left as a zombie.
        let _ = self.child.try_wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_back_and_nothing_else_does() {
        for order in [
            Order::Hold(3, [10, 0, 0, 53].into()),
            Order::Hold(3, "fd00::53".parse().unwrap()),
            Order::Drop([10, 0, 0, 53].into()),
            Order::Alive,
        ] {
            assert_eq!(Order::read(&order.line()), Some(order));
        }
        for line in ["", "hold", "hold x 10.0.0.1", "hold 3 10.0.0", "drop", "stop", ". ."] {
            assert_eq!(Order::read(line), None, "{line}");
        }
    }
}
