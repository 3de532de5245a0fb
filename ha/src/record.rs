//! What the store holds of a pair: one record an address (`binding/10.0.30.5`), one of the
//! node's own state (`pair/state`), one of the partner's host (`pair/partner-host`). Times are this node's own.
//!
//! Records are protobuf messages: fields are only ever added, and a missing one means what it
//! meant before it existed.

use std::net::Ipv4Addr;
use std::time::Duration;

use lanward_dhcp::Time;
use prost::Message;

use crate::binding::{Binding, Versions};
use crate::wire::{
    ClientFields, WireError, id_from, pair_state_from, pair_state_number, state_from, state_number,
};
use crate::{ClusterId, PairState, Rank, StoreId};

/// Where the node's own state is kept.
pub(crate) const STATE_KEY: &str = "pair/state";
/// Where the partner's host addresses are kept.
pub(crate) const PARTNER_HOST_KEY: &str = "pair/partner-host";
const BINDING_PREFIX: &str = "binding/";

/// The key of an address's record.
pub(crate) fn binding_key(addr: Ipv4Addr) -> String {
    format!("{BINDING_PREFIX}{addr}")
}

/// The address a key is about; `None` for another kind of key.
pub(crate) fn binding_addr(key: &str) -> Option<Ipv4Addr> {
    key.strip_prefix(BINDING_PREFIX)?.parse().ok()
}

#[derive(Clone, PartialEq, Message)]
struct BindingRecord {
    #[prost(fixed32, tag = "1")]
    addr: u32,
    #[prost(uint32, tag = "2")]
    state: u32,
    #[prost(message, optional, tag = "3")]
    client: Option<ClientFields>,
    #[prost(uint64, tag = "4")]
    cltt: u64,
    #[prost(uint64, tag = "5")]
    client_expiry: u64,
    #[prost(uint64, tag = "6")]
    sent_potential: u64,
    #[prost(uint64, tag = "7")]
    acked_potential: u64,
    #[prost(uint64, tag = "8")]
    recv_potential: u64,
    #[prost(uint64, tag = "9")]
    hold_until: u64,
    #[prost(uint64, tag = "10")]
    version_zero: u64,
    #[prost(uint64, tag = "11")]
    version_one: u64,
    #[prost(bool, tag = "12")]
    dirty: bool,
    #[prost(bool, tag = "13")]
    partner_knows: bool,
    #[prost(fixed64, tag = "14")]
    pledge: u64,
    #[prost(bool, tag = "15")]
    withdrawing: bool,
    #[prost(uint64, tag = "16")]
    granted_zero: u64,
    #[prost(uint64, tag = "17")]
    granted_one: u64,
}

pub(crate) fn encode_binding(binding: &Binding) -> Vec<u8> {
    let Versions([version_zero, version_one]) = binding.versions;
    let Versions([granted_zero, granted_one]) = binding.granted;
    BindingRecord {
        addr: u32::from(binding.addr),
        state: state_number(binding.state),
        client: binding.client.as_ref().map(ClientFields::of),
        cltt: binding.cltt.as_millis(),
        client_expiry: binding.client_expiry.as_millis(),
        sent_potential: binding.sent_potential.as_millis(),
        acked_potential: binding.acked_potential.as_millis(),
        recv_potential: binding.recv_potential.as_millis(),
        hold_until: binding.hold_until.as_millis(),
        version_zero,
        version_one,
        dirty: binding.dirty,
        partner_knows: binding.partner_knows,
        pledge: binding.pledge,
        withdrawing: binding.withdrawing,
        granted_zero,
        granted_one,
    }
    .encode_to_vec()
}

pub(crate) fn decode_binding(bytes: &[u8]) -> Result<Binding, WireError> {
    let record = BindingRecord::decode(bytes)?;
    Ok(Binding {
        addr: Ipv4Addr::from(record.addr),
        state: state_from(record.state)?,
        client: record.client.map(ClientFields::read).transpose()?,
        cltt: Time::from_millis(record.cltt),
        client_expiry: Time::from_millis(record.client_expiry),
        sent_potential: Time::from_millis(record.sent_potential),
        acked_potential: Time::from_millis(record.acked_potential),
        recv_potential: Time::from_millis(record.recv_potential),
        hold_until: Time::from_millis(record.hold_until),
        versions: Versions([record.version_zero, record.version_one]),
        granted: Versions([record.granted_zero, record.granted_one]),
        pledge: record.pledge,
        withdrawing: record.withdrawing,
        dirty: record.dirty,
        partner_knows: record.partner_knows,
        written: 0,
    })
}

/// What survives a restart of the node's own part in the pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The last state that took effect, STARTUP left out.
    pub(crate) state: PairState,
    /// Since when.
    pub(crate) since: Time,
    /// Why.
    pub(crate) reason: String,
    /// Whether this node ever served from this store.
    pub(crate) served: bool,
    /// The pair it was in.
    pub(crate) cluster: Option<ClusterId>,
    /// The partner's store, once the two were in NORMAL together.
    pub(crate) partner_store: Option<StoreId>,
    /// How often the node started from this store.
    pub(crate) incarnation: u64,
    /// When PARTNER-DOWN began: the partner may have promised until then what this node does not
    /// know. Zero where it stopped in order.
    pub(crate) partner_down_since: Option<Time>,
    /// This node lost what it promised, and has not been in NORMAL since.
    pub(crate) disk_lost: bool,
    /// When the last of those promises is over.
    pub(crate) wait_until: Time,
    /// The partner lost what it promised, and has not been in NORMAL since.
    pub(crate) partner_lost: bool,
    /// The highest version of the protocol the partner spoke when it was last met; 0 before.
    pub(crate) partner_protocol: u32,
    /// Which life of the partner this node last was in step with.
    pub(crate) partner_life: Life,
    /// Serving alone although it should have learned from its partner first.
    pub(crate) solo: bool,
    /// Until when the addresses without a record are held back, by half: a host that was removed
    /// from the pair may have granted them.
    pub(crate) halves_held: [Time; 2],
    /// The lead time both nodes knew when they were last in NORMAL: what the partner relies on,
    /// whatever the settings say since. Zero before.
    pub(crate) agreed_mclt: Duration,
    /// The number of the last meeting of the two in NORMAL that this node entered.
    pub(crate) meetings: u64,
    /// The number of the last one that the partner is known to have entered too.
    pub(crate) met: u64,
    /// How often this store was found to be older than what was told from it.
    pub(crate) epoch: u32,
    /// This node's rank in the pair it was in; `None` as written by earlier releases.
    pub(crate) rank: Option<Rank>,
}

/// One run of one node's process from one generation of its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    /// How often the node had started from this store.
    pub(crate) incarnation: u64,
    /// The name it gave itself at its start: tells the life of a restored copy from the one it was
    /// copied from.
    pub(crate) name: u64,
}

impl Remembered {
    /// A node that never served, in `cluster` if in any.
    pub(crate) fn nothing(cluster: Option<ClusterId>, now: Time) -> Remembered {
        Remembered {
            state: PairState::Startup,
            since: now,
            reason: String::new(),
            served: false,
            cluster,
            partner_store: None,
            incarnation: 0,
            partner_down_since: None,
            disk_lost: false,
            wait_until: Time::ZERO,
            partner_lost: false,
            partner_protocol: 0,
            partner_life: Life::default(),
            solo: false,
            halves_held: [Time::ZERO; 2],
            agreed_mclt: Duration::ZERO,
            meetings: 0,
            met: 0,
            epoch: 0,
            rank: None,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct StateRecord {
    #[prost(uint32, tag = "1")]
    state: u32,
    #[prost(uint64, tag = "2")]
    since: u64,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(bool, tag = "4")]
    served: bool,
    #[prost(bytes = "vec", tag = "5")]
    cluster: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    partner_store: Vec<u8>,
    #[prost(uint64, tag = "7")]
    incarnation: u64,
    #[prost(uint64, optional, tag = "8")]
    partner_down_since: Option<u64>,
    #[prost(bool, tag = "9")]
    disk_lost: bool,
    #[prost(uint64, tag = "10")]
    wait_until: u64,
    #[prost(bool, tag = "11")]
    partner_lost: bool,
    #[prost(uint32, tag = "12")]
    partner_protocol: u32,
    #[prost(uint64, tag = "13")]
    partner_incarnation: u64,
    #[prost(uint64, tag = "14")]
    partner_life: u64,
    #[prost(bool, tag = "15")]
    solo: bool,
    #[prost(uint64, tag = "16")]
    even_held: u64,
    #[prost(uint64, tag = "17")]
    odd_held: u64,
    #[prost(uint32, tag = "18")]
    epoch: u32,
    #[prost(uint64, tag = "19")]
    meetings: u64,
    #[prost(uint64, tag = "20")]
    met: u64,
    #[prost(uint64, tag = "21")]
    agreed_mclt_ms: u64,
    /// 0 where unknown.
    #[prost(uint32, tag = "22")]
    rank_and_one: u32,
}

impl Remembered {
    pub(crate) fn encode(&self) -> Vec<u8> {
        StateRecord {
            state: pair_state_number(self.state),
            since: self.since.as_millis(),
            reason: self.reason.clone(),
            served: self.served,
            cluster: self.cluster.map(|id| id.0.to_vec()).unwrap_or_default(),
            partner_store: self.partner_store.map(|id| id.0.to_vec()).unwrap_or_default(),
            incarnation: self.incarnation,
            partner_down_since: self.partner_down_since.map(Time::as_millis),
            disk_lost: self.disk_lost,
            wait_until: self.wait_until.as_millis(),
            partner_lost: self.partner_lost,
            partner_protocol: self.partner_protocol,
            partner_incarnation: self.partner_life.incarnation,
            partner_life: self.partner_life.name,
            solo: self.solo,
            even_held: self.halves_held[0].as_millis(),
            odd_held: self.halves_held[1].as_millis(),
            epoch: self.epoch,
            agreed_mclt_ms: u64::try_from(self.agreed_mclt.as_millis()).unwrap_or(u64::MAX),
            meetings: self.meetings,
            met: self.met,
            rank_and_one: self.rank.map_or(0, |rank| rank.index() as u32 + 1),
        }
        .encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Remembered, WireError> {
        let record = StateRecord::decode(bytes)?;
        Ok(Remembered {
            state: pair_state_from(record.state)?,
            since: Time::from_millis(record.since),
            reason: record.reason,
            served: record.served,
            cluster: id_from(&record.cluster)?.map(ClusterId),
            partner_store: id_from(&record.partner_store)?.map(StoreId),
            incarnation: record.incarnation,
            partner_down_since: record.partner_down_since.map(Time::from_millis),
            disk_lost: record.disk_lost,
            wait_until: Time::from_millis(record.wait_until),
            partner_lost: record.partner_lost,
            partner_protocol: record.partner_protocol,
            partner_life: Life {
                incarnation: record.partner_incarnation,
                name: record.partner_life,
            },
            solo: record.solo,
            halves_held: [Time::from_millis(record.even_held), Time::from_millis(record.odd_held)],
            epoch: record.epoch,
            agreed_mclt: Duration::from_millis(record.agreed_mclt_ms),
            meetings: record.meetings,
            met: record.met,
            rank: record.rank_and_one.checked_sub(1).and_then(Rank::from_index),
        })
    }
}
