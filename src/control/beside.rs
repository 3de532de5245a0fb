//! The talk of the two daemons beside the pair protocol: who they are, and their timelines.

use jiff::Timestamp;
use lanward_ha::Event;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tracing::debug;

use super::journal::Journal;
use super::wall;
use crate::aside::{About, Aside, EVENTS};
use crate::history::partner::Reach;
use crate::io::link::LinkSender;
use crate::timeline::Entry;

/// What the partner's daemon said of itself on the link that is up, or was up last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartnerSays {
    /// Its version.
    pub(crate) version: String,
    /// When it started.
    pub(crate) started: Timestamp,
    /// How far its wall clock is ahead of this host's, in milliseconds; the time on the way is not
    /// taken out.
    pub(crate) wall_ahead_ms: i64,
}

/// This daemon's part of the talk.
pub(super) struct Beside {
    pub(super) journal: Journal,
    started: Timestamp,
    says: watch::Sender<Option<PartnerSays>>,
    history: HistoryTalk,
    link: Option<LinkSender>,
    /// Whether the partner speaks of itself on this link: a node of an earlier version does not.
    speaks: bool,
}

/// What is said about the history of questions.
pub(super) struct HistoryTalk {
    /// Whether this host keeps one.
    pub(super) kept: bool,
    /// Whether the partner's can be asked.
    pub(super) reach: watch::Sender<Reach>,
    /// The partner's words.
    pub(super) heard: mpsc::Sender<Value>,
}

impl Beside {
    pub(super) fn new(
        journal: Journal,
        says: watch::Sender<Option<PartnerSays>>,
        history: HistoryTalk,
    ) -> Beside {
        Beside { journal, started: wall::now(), says, history, link: None, speaks: false }
    }

    /// There is this partner from now on, and no link to it yet; or none.
    pub(super) fn partner(&self, name: Option<&str>) {
        self.history.reach.send_replace(match name {
            None => Reach::Alone,
            Some(name) => Reach::Down(format!("{name} cannot be asked: there is no link to it.")),
        });
    }

    /// A word about the history for the partner.
    pub(super) fn history(&self, word: Value) {
        self.send(Aside { history: Some(word), ..Aside::default() });
    }

    /// A link to the partner `name` is up.
    pub(super) fn link_up(&mut self, link: &LinkSender, name: &str) {
        self.link = Some(link.clone());
        self.speaks = false;
        let silent = format!("{name} cannot be asked: its version keeps no history.");
        self.history.reach.send_replace(Reach::Down(silent));
        self.introduce(name);
    }

    /// It is down.
    pub(super) fn link_down(&mut self, name: Option<&str>) {
        self.link = None;
        if let Some(name) = name {
            let since = wall::now().strftime("%H:%M UTC on %-d %B");
            let why = format!("{name} is missing: no link to it since {since}.");
            self.history.reach.send_replace(Reach::Down(why));
        }
    }

    /// Says who this node is, and what it knows of the partner's timeline.
    pub(super) fn introduce(&self, partner: &str) {
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wall: wall::now(),
            started: self.started,
            has: self.journal.highest(partner),
            history: self.history.kept,
        };
        self.send(Aside { about: Some(about), ..Aside::default() });
    }

    /// Takes in a frame, if it is an aside.
    pub(super) fn heard(&mut self, frame: &[u8], name: &str) -> bool {
        let aside = match Aside::from_frame(frame) {
            None => return false,
            Some(Ok(aside)) => aside,
            Some(Err(error)) => {
                debug!("what the partner's daemon says is not understood: {error}");
                return true;
            }
        };
        if let Some(about) = aside.about {
            let wall_ahead_ms = about.wall.as_millisecond() - wall::now().as_millisecond();
            let About { version, started, has, history, .. } = about;
            if history {
                self.history.reach.send_replace(Reach::Up(name.to_owned()));
            }
            self.says.send_replace(Some(PartnerSays { version, started, wall_ahead_ms }));
            if !std::mem::replace(&mut self.speaks, true) {
                self.tell(&self.journal.own_after(has));
            }
        }
        self.journal.take_in(aside.events);
        if let Some(word) = aside.history {
            // One that asks too much is not answered, and waits no longer than a second.
            let _ = self.history.heard.try_send(word);
        }
        true
    }

    /// Something of the pair's core for the timeline.
    pub(super) fn event(&self, event: &Event) {
        let entry = self.journal.event(event);
        self.tell_new(entry);
    }

    /// Something that happened here, by the words of the daemon.
    pub(super) fn own(&self, what: &str, why: &str) {
        let entry = self.journal.own(what, why);
        self.tell_new(entry);
    }

    fn tell_new(&self, entry: Entry) {
        if self.speaks {
            self.tell(&[entry]);
        }
    }

    fn tell(&self, entries: &[Entry]) {
        for events in entries.chunks(EVENTS) {
            self.send(Aside { events: events.to_vec(), ..Aside::default() });
        }
    }

    fn send(&self, aside: Aside) {
        if let Some(link) = &self.link {
            link.send(aside.into_frame());
        }
    }
}
