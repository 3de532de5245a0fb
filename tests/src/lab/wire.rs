//! The end of a wire at which devices without an IP stack speak.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, bind, recv, send,
    socket,
};

use crate::dhcp_client::{self, Reply};

/// A packet socket on `eth0` of the namespace it was opened in.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: OwnedFd,
}

impl Wire {
    pub(crate) fn open() -> io::Result<Wire> {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        )?;
        let address = nix::ifaddrs::getifaddrs()?
            .filter(|interface| interface.interface_name == "eth0")
            .filter_map(|interface| interface.address)
            .find_map(|address| address.as_link_addr().copied())
            .ok_or_else(|| io::Error::other("no interface eth0"))?;
        debug_assert!(address.len() > 0);
        bind(socket.as_raw_fd(), &address)?;
        Ok(Wire { socket })
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // A full queue loses the frame, as a wire would: the device asks again.
        let _ = send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
    }

    /// The next reply for a DHCP client, if there is one.
    pub(crate) fn receive(&self) -> Option<Reply> {
        let mut frame = [0_u8; 2048];
        loop {
            let len = recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::empty()).ok()?;
            let payload = dhcp_client::client_payload(&frame[..len]);
            if let Some(reply) = payload.and_then(Reply::parse) {
                return Some(reply);
            }
        }
    }

    /// Waits until something arrives, at most `limit`.
    pub(crate) fn wait(&self, limit: Duration) {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut fds, limit);
    }
}
