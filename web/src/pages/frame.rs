//! What surrounds every page: the bar with the two hosts, the navigation, the message.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::pause::{Bar, PRESETS};
use crate::app::App;
use crate::assets;
use crate::flash::{Flash, Shown};
use crate::html::{self, Icon, Moment};
use crate::view::{Condition, PairStatus, Severity, Status};
use crate::visit::Visit;

/// The places of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    Leases,
    Queries,
    Lists,
    Why,
    System,
}

pub(crate) struct Place {
    pub(crate) tab: Tab,
    pub(crate) path: &'static str,
    pub(crate) label: &'static str,
    pub(crate) icon: Icon,
}

const PLACES: [Place; 6] = [
    Place { tab: Tab::Overview, path: "/", label: "Overview", icon: Icon("overview") },
    Place { tab: Tab::Leases, path: "/leases", label: "Leases", icon: Icon("leases") },
    Place { tab: Tab::Queries, path: "/queries", label: "Queries", icon: Icon("clock") },
    Place { tab: Tab::Lists, path: "/lists", label: "Blocklists", icon: Icon("lists") },
    Place { tab: Tab::Why, path: "/why", label: "Why blocked?", icon: Icon("why") },
    Place { tab: Tab::System, path: "/system", label: "System", icon: Icon("host") },
];

/// One of the two dots.
pub(crate) struct Dot {
    pub(crate) name: String,
    pub(crate) tone: &'static str,
    pub(crate) word: &'static str,
}

/// The pair's mark on every page.
pub(crate) struct PairMark {
    pub(crate) tone: &'static str,
    pub(crate) icon: Icon,
    pub(crate) headline: String,
    pub(crate) sentence: String,
    /// Only where it matters: while the partner is down.
    pub(crate) since: Option<Moment>,
    pub(crate) dots: Vec<Dot>,
    pub(crate) partner_url: String,
}

/// The surroundings of one page.
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) tab: Tab,
    pub(crate) household: String,
    pub(crate) node: String,
    pub(crate) version: String,
    pub(crate) theme: &'static str,
    pub(crate) here: String,
    pub(crate) pair: PairMark,
    pub(crate) flash: Option<Shown>,
    pub(crate) pauses: Vec<Bar>,
    /// The networks blocking can be paused for.
    pub(crate) networks: Vec<String>,
    /// The address this browser asks from.
    pub(crate) client: String,
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
}

impl Frame {
    pub(crate) fn new(
        app: &App,
        visit: &Visit,
        title: impl Into<String>,
        tab: Tab,
        status: &Status,
    ) -> Frame {
        let now = app.backend.now();
        let flash =
            visit.session.and_then(|session| app.flashes.look(session, Flash::show)).flatten();
        Frame {
            title: title.into(),
            tab,
            household: status.household.clone(),
            node: status.pair.own.name.clone(),
            version: status.version.clone(),
            theme: visit.theme.word(),
            here: visit.here.clone(),
            pair: PairMark::new(&status.pair, now, &app.zone),
            flash,
            pauses: status.pauses.iter().map(|pause| Bar::new(pause, now, &app.zone)).collect(),
            networks: status.networks.clone(),
            client: visit.client.to_canonical().to_string(),
            now,
            zone: app.zone.clone(),
        }
    }

    pub(crate) fn presets(&self) -> &'static [(&'static str, &'static str)] {
        &PRESETS
    }

    /// Whether nothing at all is blocked.
    pub(crate) fn all_paused(&self) -> bool {
        self.pauses.iter().any(|pause| pause.key == "all")
    }

    pub(crate) fn places(&self) -> &'static [Place] {
        &PLACES
    }

    pub(crate) fn css(&self) -> &'static str {
        assets::css()
    }

    pub(crate) fn js(&self) -> &'static str {
        assets::js()
    }

    pub(crate) fn icon(&self) -> &'static str {
        assets::icon()
    }

    /// `5 min ago`, in time markup.
    pub(crate) fn ago(&self, at: Timestamp) -> Moment {
        Moment::relative(at, self.now, &self.zone)
    }

    /// `14:03`, in time markup.
    pub(crate) fn clock(&self, at: Timestamp) -> Moment {
        Moment::clock(at, self.now, &self.zone)
    }
}

impl PairMark {
    pub(crate) fn new(pair: &PairStatus, now: Timestamp, zone: &TimeZone) -> PairMark {
        let mut dots = vec![Dot {
            name: pair.own.name.clone(),
            tone: if pair.own.up { "ok" } else { "info" },
            word: own_word(pair),
        }];
        if let Some(partner) = &pair.partner {
            let (tone, word) = partner_dot(pair.condition, partner.up);
            dots.push(Dot { name: partner.name.clone(), tone, word });
        }
        // The same order on both hosts' pages.
        dots.sort_by(|a, b| a.name.cmp(&b.name));
        PairMark {
            tone: html::tone(pair.severity()),
            icon: condition_icon(pair),
            headline: pair.headline(),
            sentence: pair.sentence(),
            since: pair.since.filter(|_| pair.is_alone()).map(|at| Moment::clock(at, now, zone)),
            dots,
            partner_url: pair.partner.as_ref().and_then(|p| p.url.clone()).unwrap_or_default(),
        }
    }
}

fn own_word(pair: &PairStatus) -> &'static str {
    match pair.condition {
        Condition::Maintenance => "paused",
        Condition::Removed => "removed",
        Condition::Learning | Condition::Merging => "catching up",
        Condition::Unsure | Condition::Waiting { .. } => "waiting",
        _ if pair.own.up => "up",
        _ => "starting",
    }
}

fn partner_dot(condition: Condition, up: bool) -> (&'static str, &'static str) {
    match condition {
        Condition::PartnerDown => ("bad", "down"),
        Condition::PartnerOff => ("bad", "off"),
        Condition::PartnerStopped => ("info", "paused"),
        Condition::Checking { .. } => ("warn", "silent"),
        Condition::CatchingUp { .. } => ("info", "catching up"),
        _ if up => ("ok", "up"),
        _ => ("bad", "down"),
    }
}

fn condition_icon(pair: &PairStatus) -> Icon {
    match pair.condition {
        Condition::Checking { .. } | Condition::Starting | Condition::Waiting { .. } => {
            Icon("clock")
        }
        Condition::CatchingUp { .. } | Condition::Learning | Condition::Merging => Icon("sync"),
        _ => match pair.severity() {
            Severity::Ok => Icon("ok"),
            Severity::Info => Icon("info"),
            Severity::Warning => Icon("warn"),
            Severity::Bad => Icon("bad"),
        },
    }
}
