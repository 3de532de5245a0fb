//! What the nodes tell each other of the service addresses: the addresses devices ask for DNS,
//! which move from host to host. This crate only carries the words; who may hold an address is
//! decided elsewhere, and no rule of the leases depends on it.

use std::net::IpAddr;

use super::{Pair, PairOutput};
use crate::wire::{Body, Service, WireError};

/// What a node says of the service addresses, several times a second while any are configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceReport {
    /// Whether its host may add addresses at all.
    pub capable: bool,
    /// Whether its own DNS answers.
    pub dns_ok: bool,
    /// The addresses it could hold now: it answers DNS, is on their network, and does not stop.
    pub can: Vec<IpAddr>,
    /// The addresses it holds.
    pub held: Vec<IpAddr>,
    /// Those of them it wants the receiver to take over; it holds them until then.
    pub offered: Vec<IpAddr>,
    /// The hardware addresses of its interfaces on those networks.
    pub macs: Vec<[u8; 6]>,
}

impl Pair {
    /// Tells the partner, if it has introduced itself. Said anew each time: nothing is kept.
    pub fn send_service_report(&mut self, report: &ServiceReport) {
        if self.is_connected() {
            let body = Body::Service(Service::of(report));
            self.out.push_back(PairOutput::Send(body.into_frame()));
        }
    }

    /// What the partner said last on this connection; `None` before it did, and from a release
    /// that does not.
    pub fn partner_service_report(&self) -> Option<&ServiceReport> {
        self.link.as_ref()?.partner_service.as_ref()
    }

    pub(super) fn service_reported(&mut self, service: &Service) -> Result<(), WireError> {
        let report = service.read()?;
        if let Some(link) = &mut self.link {
            link.partner_service = Some(report);
        }
        Ok(())
    }
}
