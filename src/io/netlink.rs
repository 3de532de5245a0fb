//! Adds addresses to interfaces and removes them, by messages to the kernel (rtnetlink(7)).
//!
//! Two messages of fixed shape: a crate for all of rtnetlink would bring a second async stack.

#![allow(clippy::disallowed_methods, reason = "a shell: sockets")]

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Length of a message's header (struct nlmsghdr).
const HEADER: usize = 16;

/// The kernel's ear for addresses.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    seq: u32,
}

impl Netlink {
    /// Opens a socket. That needs no rights; changing something needs CAP_NET_ADMIN.
    pub fn open() -> io::Result<Netlink> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        // The answer is there when the message has been sent; this is for a kernel that errs.
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(200))?;
        Ok(Netlink { socket, seq: 0 })
    }

    /// Adds `addr` alone, without a subnet, to the interface with index `ifindex`; fine if it is
    /// there already. It is usable at once: whether somebody has it must be known before.
    pub fn add(&mut self, ifindex: u32, addr: IpAddr) -> io::Result<()> {
        let flags =
            libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        self.ask(libc::RTM_NEWADDR, flags, ifindex, addr)
    }

    /// Removes `addr` from the interface; fine if it is not there.
    pub fn remove(&mut self, ifindex: u32, addr: IpAddr) -> io::Result<()> {
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        match self.ask(libc::RTM_DELADDR, flags, ifindex, addr) {
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
            result => result,
        }
    }

    fn ask(&mut self, kind: u16, flags: i32, ifindex: u32, addr: IpAddr) -> io::Result<()> {
        self.seq = self.seq.wrapping_add(1);
        let message = message(kind, flags, self.seq, ifindex, addr);
        let fd = self.socket.as_raw_fd();
        sendto(fd, &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let mut answer = [0; 1024];
        loop {
            let len = match recv(fd, &mut answer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                received => received?,
            };
            if let Some(result) = read_answer(answer.get(..len).unwrap_or_default(), self.seq) {
                return result;
            }
        }
    }
}

/// One message: header, struct ifaddrmsg, attributes. Numbers are in the host's byte order.
fn message(kind: u16, flags: i32, seq: u32, ifindex: u32, addr: IpAddr) -> Vec<u8> {
    let (family, octets) = match addr {
        IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec()),
    };
    let prefix = u8::try_from(octets.len() * 8).unwrap_or(u8::MAX);
    let mut out = vec![0; HEADER];
    out.extend_from_slice(&[family as u8, prefix, 0, 0]);
    out.extend_from_slice(&ifindex.to_ne_bytes());
    attribute(&mut out, libc::IFA_LOCAL, &octets);
    attribute(&mut out, libc::IFA_ADDRESS, &octets);
    if addr.is_ipv6() && kind == libc::RTM_NEWADDR {
        // No duplicate address detection, which takes a second; and deprecated at once, so that
        // what this host itself begins does not come from an address that moves.
        attribute(&mut out, libc::IFA_FLAGS, &libc::IFA_F_NODAD.to_ne_bytes());
        let mut lifetimes = [0_u8; 16];
        // Preferred for no time, valid for ever.
        lifetimes[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        attribute(&mut out, libc::IFA_CACHEINFO, &lifetimes);
    }
    let len = u32::try_from(out.len()).unwrap_or(u32::MAX);
    out[0..4].copy_from_slice(&len.to_ne_bytes());
    out[4..6].copy_from_slice(&kind.to_ne_bytes());
    out[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
    out[8..12].copy_from_slice(&seq.to_ne_bytes());
    out
}

/// An attribute (struct rtattr); all values here are whole words, so there is no padding.
fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
}

/// What the kernel says to message `seq`; `None` when it is about another one.
fn read_answer(bytes: &[u8], seq: u32) -> Option<io::Result<()>> {
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let of = u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
    if of != seq || i32::from(kind) != libc::NLMSG_ERROR {
        return None;
    }
    // Zero, or a negative errno (struct nlmsgerr).
    let code = i32::from_ne_bytes(bytes.get(HEADER..HEADER + 4)?.try_into().ok()?);
    Some(if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.saturating_neg())) })
}

/// Why this process may not hold service addresses, for people; `None` when it may.
pub fn why_not_permitted() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let bits = u64::from_str_radix(effective.trim(), 16).ok()?;
    // Numbers of linux/capability.h.
    let missing = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW")].into_iter();
    let missing: Vec<&str> =
        missing.filter(|(bit, _)| bits & (1 << bit) == 0).map(|(_, name)| name).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "This host may not add addresses: Lanward runs without {} here",
            missing.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::interfaces;
    use crate::io::test_namespace::run_ignored;

    #[test]
    fn a_message_is_a_header_an_address_and_its_attributes() {
        let bytes = message(libc::RTM_NEWADDR, 5, 7, 3, [10, 0, 0, 53].into());
        assert_eq!(bytes.len(), 16 + 8 + 2 * 8);
        assert_eq!(bytes[..4], 40_u32.to_ne_bytes());
        assert_eq!(bytes[16..18], [libc::AF_INET as u8, 32]);
        assert_eq!(bytes[20..24], 3_u32.to_ne_bytes());
        assert_eq!(bytes[28..32], [10, 0, 0, 53]);
        let v6 = message(libc::RTM_NEWADDR, 5, 7, 3, "fd00::53".parse().unwrap());
        assert_eq!(v6.len(), 16 + 8 + 2 * 20 + 8 + 20);
        assert_eq!(v6[17], 128);
    }

    #[test]
    fn an_answer_to_another_message_is_none() {
        let mut answer = vec![0; 36];
        answer[4..6].copy_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
        answer[8..12].copy_from_slice(&7_u32.to_ne_bytes());
        answer[16..20].copy_from_slice(&(-libc::EPERM).to_ne_bytes());
        assert!(read_answer(&answer, 6).is_none());
        let refused = read_answer(&answer, 7).expect("it is ours").expect_err("refused");
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        for len in 0..20 {
            assert!(read_answer(&answer[..len], 7).is_none());
        }
    }

    #[test]
    fn addresses_come_and_go() {
        run_ignored("io::netlink::tests::in_a_namespace_addresses_come_and_go");
    }

    #[test]
    #[ignore = "changes addresses: run by the test above in a namespace of its own"]
    fn in_a_namespace_addresses_come_and_go() {
        let mut netlink = Netlink::open().unwrap();
        let has = |addr: IpAddr| {
            let all = interfaces::own_addresses().unwrap();
            all.iter().find(|own| own.addr() == addr).map(|own| own.net.prefix_len())
        };
        for (addr, len) in [("10.9.9.53", 32), ("fd00:9::53", 128)] {
            let addr: IpAddr = addr.parse().unwrap();
            netlink.add(1, addr).unwrap();
            netlink.add(1, addr).unwrap();
            assert_eq!(has(addr), Some(len));
            netlink.remove(1, addr).unwrap();
            netlink.remove(1, addr).unwrap();
            assert_eq!(has(addr), None);
        }
        assert!(netlink.add(99, [10, 9, 9, 53].into()).is_err(), "there is no such interface");
    }
}
