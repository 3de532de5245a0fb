//! One message with everything known about where it came from and who sent it.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::request::{Malformed, Request};
use crate::scope::{Scope, Scopes, is_unicast};
use crate::{
    BindingState, Client, ClientKey, Destination, Dropped, LeaseBook, NetworkId, Received,
};
use dhcproto::v4::MessageType;

/// A message being worked on; kept while its reply is parked.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Request,
    /// The network the message is about.
    pub(crate) network: NetworkId,
    /// The network of the interface it came in on.
    from: Option<NetworkId>,
    src: SocketAddrV4,
    dst: Ipv4Addr,
    /// Who the client is.
    pub(crate) key: ClientKey,
    /// What this node calls itself towards the client.
    server_id: Option<Ipv4Addr>,
    /// The address of this node to answer from: the one that was asked, so that firewalls and
    /// relay agents know the answer for one. Differs from `server_id` where a relay agent stands
    /// in for the server.
    own_addr: Option<Ipv4Addr>,
}

impl Exchange {
    /// Finds the network and the client of a message.
    pub(crate) fn open(
        scopes: &Scopes,
        book: &dyn LeaseBook,
        rx: &Received<'_>,
        request: Request,
    ) -> Result<Exchange, Dropped> {
        let scope = scopes.select(&request, rx.network.as_ref(), rx.dst)?;
        let key = client_key(scope, book, &request)?;
        let from = rx.network.as_ref().and_then(|id| scopes.get(id));
        let own_addr = is_unicast(rx.dst)
            .then_some(rx.dst)
            .or_else(|| from.and_then(|from| from.network.server_addr))
            .or(scope.network.server_addr);
        let server_id = scope.server_id(&request).or(own_addr);
        Ok(Exchange {
            network: scope.id.clone(),
            from: rx.network.clone(),
            src: rx.src,
            dst: rx.dst,
            key,
            server_id,
            own_addr,
            request,
        })
    }

    /// What this node calls itself towards the client.
    pub(crate) fn server_id(&self) -> Result<Ipv4Addr, Dropped> {
        self.server_id.ok_or(Dropped::NoServerAddress)
    }

    /// The address of this node to answer from.
    pub(crate) fn source(&self) -> Result<Ipv4Addr, Dropped> {
        self.own_addr.ok_or(Dropped::NoServerAddress)
    }

    /// Whether `id` names this node: the name it uses towards this client, any of its own
    /// addresses, or the very address the message was sent to.
    pub(crate) fn is_named(&self, scopes: &Scopes, id: Ipv4Addr) -> bool {
        self.server_id == Some(id) || scopes.is_own(id) || (is_unicast(self.dst) && self.dst == id)
    }

    /// Whether the client sent it to this node alone, without a relay agent.
    pub(crate) fn is_direct_unicast(&self) -> bool {
        is_unicast(self.dst) && !self.request.is_relayed()
    }

    /// The client as the lease book is to remember it.
    pub(crate) fn client(&self) -> Client {
        use crate::options::code::{RELAY_INFO, VENDOR_CLASS};
        let short = |code| self.request.option(code).map(|value| value.get(..255).unwrap_or(value));
        Client {
            key: self.key.clone(),
            hw: self.request.hw,
            hostname: self.request.hostname(),
            vendor_class: short(VENDOR_CLASS).map(Into::into),
            relay_info: short(RELAY_INFO).map(Into::into),
        }
    }

    /// Where an OFFER or an ACK goes that gives the client `yiaddr` (RFC 2131 section 4.1), and
    /// the network whose interface it leaves by.
    pub(crate) fn destination(
        &self,
        yiaddr: Ipv4Addr,
    ) -> Result<(Option<NetworkId>, Destination), Dropped> {
        let request = &self.request;
        if let Some(relay) = self.relay() {
            return Ok((None, relay));
        }
        // A client that is still looking for an address cannot answer ARP at an old one,
        // whatever it wrote there.
        if !request.ciaddr.is_unspecified() && request.kind != MessageType::Discover {
            return Ok((self.link_of_scope(), Destination::Unicast(request.ciaddr)));
        }
        let from = self.from.clone().ok_or(Dropped::Unreachable)?;
        let is_ethernet = request.hw.htype() == 1 && request.hw.bytes().len() == 6;
        let destination = if request.wants_broadcast() || !is_ethernet {
            Destination::Broadcast
        } else {
            Destination::Link { hw: request.hw, addr: yiaddr }
        };
        Ok((Some(from), destination))
    }

    /// Where a NAK goes: to the relay agent, which broadcasts it, or on the client's link by
    /// broadcast, because the client may have no address that is right there.
    pub(crate) fn denial_destination(&self) -> Result<(Option<NetworkId>, Destination), Dropped> {
        if let Some(relay) = self.relay() {
            return Ok((None, relay));
        }
        match &self.from {
            Some(from) if *from == self.network => Ok((Some(from.clone()), Destination::Broadcast)),
            // It came through a router: a broadcast would reach others only.
            _ if !self.request.ciaddr.is_unspecified() => {
                Ok((None, Destination::Unicast(self.request.ciaddr)))
            }
            Some(from) => Ok((Some(from.clone()), Destination::Broadcast)),
            None => Err(Dropped::Unreachable),
        }
    }

    /// Where the ACK for an INFORM goes (RFC 2131 section 4.3.5); also to clients that forgot
    /// to fill in `ciaddr`.
    pub(crate) fn inform_destination(&self) -> Result<(Option<NetworkId>, Destination), Dropped> {
        let ciaddr = self.request.ciaddr;
        if !ciaddr.is_unspecified() {
            return Ok((self.link_of_scope(), Destination::Unicast(ciaddr)));
        }
        if let Some(relay) = self.relay() {
            return Ok((None, relay));
        }
        if is_unicast(*self.src.ip()) {
            return Ok((self.link_of_scope(), Destination::Unicast(*self.src.ip())));
        }
        self.from
            .clone()
            .map(|from| (Some(from), Destination::Broadcast))
            .ok_or(Dropped::Unreachable)
    }

    fn relay(&self) -> Option<Destination> {
        self.request.is_relayed().then(|| Destination::Relay {
            addr: self.request.giaddr,
            port: self.request.answer_to_source_port().then(|| self.src.port()),
        })
    }

    /// The interface to leave by, when the client is on the link the message came from.
    fn link_of_scope(&self) -> Option<NetworkId> {
        self.from.clone().filter(|from| *from == self.network)
    }
}

/// What names the client in the lease table.
///
/// A device with a reservation is one client, whichever of its systems is talking: a PXE ROM
/// without identifier and two operating systems with one each all have the reserved address.
fn client_key(
    scope: Scope<'_>,
    book: &dyn LeaseBook,
    request: &Request,
) -> Result<ClientKey, Dropped> {
    let id = request.client_id().filter(|_| scope.network.use_client_id);
    let plain = match &id {
        Some(id) => id.clone(),
        None if request.hw.bytes().is_empty() => {
            return Err(Dropped::Malformed(Malformed::Nameless));
        }
        None => ClientKey::Hw(request.hw),
    };
    let Some(reservation) = scope.reservation_for(&request.hw, id.as_ref()) else {
        return Ok(plain);
    };
    // A lease it had before the reservation was made goes on under the name it was made for.
    let asked = Some(request.ciaddr).filter(|addr| !addr.is_unspecified());
    if request.kind != MessageType::Discover
        && let Some(addr) = asked.or_else(|| request.requested_addr())
        && let Some(lease) = book.lease(addr)
        && lease.state == BindingState::Active
        && lease.client.is_some_and(|client| client.key == plain)
    {
        return Ok(plain);
    }
    if let Some(holder) = book.lease(reservation.addr).and_then(|lease| lease.client)
        && reservation.is_for(&holder.hw, &holder.key)
    {
        return Ok(holder.key);
    }
    let by_hw = reservation.hw.as_ref() == Some(&request.hw);
    Ok(if by_hw { ClientKey::Hw(request.hw) } else { plain })
}
