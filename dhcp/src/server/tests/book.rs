//! A lease book for tests: everything in memory, settled when the test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::{
    Answering, Asking, BindingState, Change, Client, ClientKey, Lease, LeaseBook, NetworkId,
    Outcome, Refusal, Ticket, Time,
};

#[derive(Debug)]
pub(super) struct TestBook {
    pub(super) leases: BTreeMap<Ipv4Addr, Lease>,
    /// Addresses that may be granted to nobody, and why.
    pub(super) refused: BTreeMap<Ipv4Addr, Refusal>,
    /// Addresses that may be adopted.
    pub(super) adoptable: BTreeSet<Ipv4Addr>,
    pub(super) probes_everything: bool,
    pub(super) answering: Answering,
    /// What was asked of `answering`, in order.
    pub(super) asked: std::cell::RefCell<Vec<(Asking, Option<Ipv4Addr>)>>,
    /// The longest lease given.
    pub(super) cap: Duration,
    /// Changes proposed and not settled.
    pub(super) proposed: Vec<(Ticket, Change)>,
    tickets: u64,
}

impl TestBook {
    pub(super) fn new() -> TestBook {
        TestBook {
            leases: BTreeMap::new(),
            refused: BTreeMap::new(),
            adoptable: BTreeSet::new(),
            probes_everything: false,
            answering: Answering::Yes,
            asked: std::cell::RefCell::default(),
            cap: Duration::MAX,
            proposed: Vec::new(),
            tickets: 0,
        }
    }

    /// Settles the oldest change.
    pub(super) fn settle(&mut self, now: Time) -> (Ticket, Outcome) {
        let (ticket, change) = self.proposed.remove(0);
        let mut outcome = Outcome::Committed { lease: Duration::ZERO };
        match change {
            Change::Adopt { addr, client, desired } => {
                assert!(self.may_adopt(now, addr, &client.key), "{addr} may not be adopted");
                let lease = desired.min(self.cap);
                self.put(now, addr, BindingState::Active, Some(client), lease);
                outcome = Outcome::Committed { lease };
            }
            Change::Grant { addr, client, desired } => {
                let lease = desired.min(self.cap);
                match self.may_grant(now, addr, &client) {
                    Ok(()) => self.put(now, addr, BindingState::Active, Some(client), lease),
                    Err(refusal) => return (ticket, Outcome::Refused(refusal)),
                }
                outcome = Outcome::Committed { lease };
            }
            Change::Release { addr, .. } => {
                let client = self.leases.get(&addr).and_then(|lease| lease.client.clone());
                self.put(now, addr, BindingState::Released, client, Duration::ZERO);
            }
            Change::Decline { addr, hold } => {
                self.put(now, addr, BindingState::Declined, None, hold);
            }
        }
        (ticket, outcome)
    }

    pub(super) fn put(
        &mut self,
        now: Time,
        addr: Ipv4Addr,
        state: BindingState,
        client: Option<Client>,
        lease: Duration,
    ) {
        let expiry = now + lease;
        self.leases.insert(addr, Lease { addr, state, client, cltt: now, expiry });
    }
}

impl LeaseBook for TestBook {
    fn lease(&self, addr: Ipv4Addr) -> Option<Lease> {
        self.leases.get(&addr).cloned()
    }

    fn addresses_of(&self, client: &ClientKey) -> Vec<Ipv4Addr> {
        let theirs = |lease: &&Lease| lease.client.as_ref().is_some_and(|c| c.key == *client);
        self.leases.values().filter(theirs).map(|lease| lease.addr).collect()
    }

    fn may_grant(&self, now: Time, addr: Ipv4Addr, client: &Client) -> Result<(), Refusal> {
        if let Some(refusal) = self.refused.get(&addr) {
            return Err(*refusal);
        }
        let Some(lease) = self.leases.get(&addr) else { return Ok(()) };
        let theirs = lease.client.as_ref().is_some_and(|last| last.key == client.key);
        match lease.state {
            BindingState::Free => Ok(()),
            BindingState::Declined if now < lease.expiry => Err(Refusal::Held),
            BindingState::Declined => Ok(()),
            _ if theirs => Ok(()),
            BindingState::Active => Err(Refusal::InUse),
            BindingState::Expired | BindingState::Released => Err(Refusal::AwaitingPartner),
        }
    }

    fn may_adopt(&self, _: Time, addr: Ipv4Addr, _: &ClientKey) -> bool {
        self.adoptable.contains(&addr)
    }

    fn probes_everything(&self) -> bool {
        self.probes_everything
    }

    fn assured_lease(&self, _: Time, _: Ipv4Addr, _: &ClientKey, desired: Duration) -> Duration {
        desired.min(self.cap)
    }

    fn answering(
        &self,
        _: Time,
        asking: Asking,
        _: &NetworkId,
        _: &ClientKey,
        bound: Option<Ipv4Addr>,
    ) -> Answering {
        self.asked.borrow_mut().push((asking, bound));
        self.answering
    }

    fn propose(&mut self, _: Time, change: Change) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.proposed.push((ticket, change));
        ticket
    }
}
