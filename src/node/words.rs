//! What goes into a node and what comes out.

use std::net::Ipv4Addr;

use lanward_dhcp::{Dropped, Probe, ProbeId, ProbeResult, Received, Transmit};
use lanward_ha::{Batch, ChangeId, Event, PairConfig, SessionKey};

use crate::settings::HostView;

/// What a node is made from, besides what its store held.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its place in the pair, or that it is alone.
    pub pair: PairConfig,
    /// What it knows of its host. The partner's addresses in it count for nothing: the partner
    /// tells its own.
    pub host: HostView,
}

/// Something that happened to a node.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Time passed; [`crate::node::Node::poll_timeout`] asked to be woken.
    Timeout,
    /// A DHCP packet came in.
    Dhcp(Received<'a>),
    /// A conflict probe ended.
    ProbeDone {
        /// Which, as [`Output::Probe`] named it.
        probe: ProbeId,
        /// How.
        result: ProbeResult,
    },
    /// An authenticated link to the partner is up. Only one link is up at a time: the shell
    /// reports the end of one before it reports the next.
    LinkUp,
    /// The link ended.
    LinkDown {
        /// Why, for people.
        reason: String,
    },
    /// One frame from the partner, as [`Output::Send`] gave it there.
    Frame(&'a [u8]),
    /// All batches up to this number are on the disk.
    Stored {
        /// The highest durable number.
        seq: u64,
    },
    /// The store failed. Nothing is durable from here on; the node serves nobody until it is
    /// started anew.
    StoreFailed {
        /// What the system said.
        error: String,
    },
    /// The host's addresses changed.
    Host(HostView),
    /// Somebody edits the household's settings. All writes or none.
    Edit {
        /// Comes back in [`Output::EditDone`].
        id: u64,
        /// Who, for the change log.
        author: String,
        /// Record id (such as `network/iot`) and its new JSON; `None` removes it.
        writes: Vec<(String, Option<String>)>,
    },
    /// Somebody takes back a change of the settings, by a change of its own.
    Undo {
        /// Comes back in [`Output::EditDone`].
        id: u64,
        /// Who, for the change log.
        author: String,
        /// The change.
        change: ChangeId,
    },
    /// The wall clock: the date of the edits that follow. Nothing is decided by it.
    Date(lanward_dhcp::Time),
    /// A message about copies of blocklists for the partner, of at most 256 KiB; it is lost when
    /// there is no link.
    Lists(Vec<u8>),
    /// The certificate authority, for the partner; lost when there is no link.
    Authority(String),
    /// Somebody ends the lease of an address by hand.
    Release {
        /// Comes back in [`Output::ReleaseDone`].
        id: u64,
        /// The address.
        addr: Ipv4Addr,
    },
    /// This lone node became one of a pair. The node of rank 0 keeps its leases and settings; the
    /// one of rank 1 drops its own and takes over the partner's: the shell has saved what it held.
    Paired(PairConfig),
    /// Somebody says that the other host is off. The shell has seen that none of its addresses
    /// answers.
    PartnerOff {
        /// Comes back in [`Output::PartnerOffDone`].
        id: u64,
        /// Who says so, for the timeline.
        by: String,
    },
    /// Stop in order: the partner is to take over first. [`Output::Stopped`] tells the end.
    Stop {
        /// Why, for the timeline.
        why: String,
    },
    /// Go on after [`Input::Stop`].
    Resume,
    /// Tell the partner that it is out of the pair; it stops in order. The node then sees it in
    /// SHUTDOWN, goes to PARTNER-DOWN, and may be unpaired without holding anything back.
    RemovePartner {
        /// Who says so, for the timeline.
        by: String,
    },
    /// This node has no partner any more: it is a lone one with the leases and settings it has.
    Unpaired(PairConfig),
}

/// What a node wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A DHCP packet to be sent.
    Dhcp(Transmit),
    /// A question to the link, answered with [`Input::ProbeDone`].
    Probe(Probe),
    /// A DHCP packet was not answered, and why. Counted as well.
    Dropped(Dropped),
    /// Something about a DHCP client, for the log.
    DhcpEvent(lanward_dhcp::Event),
    /// A frame for the partner, on the link that is up. Frames arrive whole, once and in order,
    /// or the link is down.
    Send(Vec<u8>),
    /// End the link to the partner; it is to be dialled again after a pause.
    CloseLink {
        /// Why, for people.
        reason: String,
    },
    /// To be made durable, then answered with [`Input::Stored`] or [`Input::StoreFailed`].
    Store(Batch),
    /// An edit ended.
    EditDone {
        /// As given.
        id: u64,
        /// Whether it is durable here and on its way to the partner.
        result: Result<(), EditError>,
    },
    /// A release by hand ended.
    ReleaseDone {
        /// As given.
        id: u64,
        /// Whether there was a lease to end, and it is durable.
        released: bool,
    },
    /// The partner was taken for off, or why not.
    PartnerOffDone {
        /// As given.
        id: u64,
        /// Why not, for people.
        result: Result<(), String>,
    },
    /// An orderly stop is over: this node answers no DHCP client.
    Stopped {
        /// Whether the partner has all leases and serves everybody with every address.
        handed_over: bool,
    },
    /// The partner took this node out of the pair; [`Output::Stopped`] follows.
    Removed,
    /// The household's records changed, here or at the partner; `Node::records` has them.
    SettingsChanged,
    /// A message of the partner about copies of blocklists.
    Lists(Vec<u8>),
    /// The partner's certificate authority.
    Authority(String),
    /// Messages about copies of blocklists, and the certificate authority, reach the partner from
    /// now on, or do not any more.
    ListsLink(bool),
    /// A lease began or ended, or its client calls itself by another name. Not for renewals.
    LeasesChanged {
        /// Whether one of them has, or had, a host name.
        named: bool,
    },
    /// Something for the pair's timeline.
    Event(Event),
}

/// What happens to a login session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionDeed {
    /// It begins.
    Begin(SessionKey),
    /// Somebody asks whether it is alive, which counts as a use of it where `touch` says so.
    Ask {
        /// Which.
        key: SessionKey,
        /// Whether it is used.
        touch: bool,
    },
    /// It ends.
    End(SessionKey),
}

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The settings would not be valid with it: one sentence a record, for the editor.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// The change cannot be taken back.
    #[error("{0}")]
    Undo(#[from] UndoRefusal),
    /// The store cannot make it durable.
    #[error("the settings cannot be saved: {0}")]
    NotDurable(String),
}

/// Why a change of the settings cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndoRefusal {
    /// The document has no such change.
    #[error("there is no such change")]
    Unknown,
    /// A record says something else by now.
    #[error("{0} was changed again since: undo the later change first, or edit it")]
    ChangedSince(String),
    /// A password, or a note the daemon keeps: an old one does not come back.
    #[error("{0} is not set back to what it was: set it anew")]
    ForGood(String),
    /// A record is declared in the household file of this node.
    #[error("{record} is declared in the household file of {node}: change it there")]
    Declared {
        /// The record.
        record: String,
        /// Whose file.
        node: String,
    },
}
