//! The small parts pages are made of. Each is an askama template of its own, so what it prints is
//! escaped already; that, and nothing else, is what `HtmlSafe` says here.

use std::borrow::Cow;

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::format;
use crate::view::Severity;

/// A picture of 16 by 16 from the small set in `icon.html`; decoration, hidden from readers.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "parts/icon.html")]
pub(crate) struct Icon(pub(crate) &'static str);
impl HtmlSafe for Icon {}

/// A moment: machine-readable, in words, and in full on hover.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/time.html")]
pub(crate) struct Moment {
    iso: String,
    text: String,
    full: String,
    /// How a script is to keep it true: `relative`, `clock` or `precise`.
    kind: &'static str,
}
impl HtmlSafe for Moment {}

impl Moment {
    /// `5 min ago`.
    pub(crate) fn relative(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Moment {
        Moment {
            iso: iso(at),
            text: format::relative(at, now),
            full: format::absolute(at, zone),
            kind: "relative",
        }
    }

    /// `14:03:27`.
    pub(crate) fn precise(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Moment {
        Moment {
            iso: iso(at),
            text: format::precise(at, now, zone),
            full: format::absolute(at, zone),
            kind: "precise",
        }
    }

    /// `14:03`.
    pub(crate) fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Moment {
        Moment {
            iso: iso(at),
            text: format::clock(at, now, zone),
            full: format::absolute(at, zone),
            kind: "clock",
        }
    }
}

fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A state: icon, word and colour together.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/chip.html")]
pub(crate) struct Chip {
    pub(crate) tone: &'static str,
    pub(crate) icon: Icon,
    pub(crate) word: Cow<'static, str>,
}
impl HtmlSafe for Chip {}

impl Chip {
    pub(crate) fn new(
        tone: &'static str,
        icon: &'static str,
        word: impl Into<Cow<'static, str>>,
    ) -> Chip {
        Chip { tone, icon: Icon(icon), word: word.into() }
    }
}

/// The class of a severity.
pub(crate) fn tone(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "ok",
        Severity::Info => "info",
        Severity::Warning => "warn",
        Severity::Bad => "bad",
    }
}

/// The icon of a severity.
pub(crate) fn tone_icon(severity: Severity) -> Icon {
    Icon(tone(severity))
}

/// A bar filled from the left.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/bar.html")]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) tone: &'static str,
    /// In tenths of a percent.
    tenths: u64,
}
impl HtmlSafe for Bar {}

impl Bar {
    /// `used` of `size`; amber from 80 %, red from 95 %.
    pub(crate) fn fill(label: String, used: u64, size: u64) -> Bar {
        let tenths = if size == 0 {
            0
        } else {
            (u128::from(used.min(size)) * 1000 / u128::from(size)) as u64
        };
        let tone = match tenths {
            950.. => "bad",
            800.. => "warn",
            _ => "accent",
        };
        Bar { label, tone, tenths }
    }

    fn width(&self) -> String {
        // Something that is used is seen.
        let shown = if self.tenths == 0 { 0 } else { self.tenths.max(8) };
        format!("{}.{}", shown / 10, shown % 10)
    }
}
