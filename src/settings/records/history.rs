//! `[history]`: what is kept of the questions, and for how long.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::word;
use crate::history::{HistorySettings, Level};
use crate::settings::fields::{Fields, Read, Wrong};
use crate::settings::words::{Period, Size};

/// What is kept of the household's questions. What is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// How much of each (default `everything`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<HistoryLevel>,
    /// How long single questions are kept (default 30d).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Period>,
    /// What all of it may take on each host's disk (default 1GiB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Size>,
    /// How long sums by the hour are kept (default 365d).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_statistics: Option<Period>,
}

/// A [`Level`] as the settings write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryLevel(pub Level);

/// Less than a day makes no sense where files are deleted by the day.
const DAY: Duration = Duration::from_secs(86_400);
/// A day of a busy household.
const LEAST: Size = Size(64 << 20);

impl History {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<History> {
        let mut days = |name: &'static str| {
            let period: Option<Period> = fields.optional(name);
            if period.is_some_and(|period| period.0 < DAY) {
                let message = "Questions are kept for whole days.";
                fields.wrong(name, Wrong::new(message, "Write \"1d\" or more."));
                return None;
            }
            period
        };
        let (keep, keep_statistics) = (days("keep"), days("keep_statistics"));
        let max_size: Option<Size> = fields.optional("max_size");
        if max_size.is_some_and(|size| size < LEAST) {
            let message = "One busy day would not fit.";
            fields.wrong("max_size", Wrong::new(message, format!("Write \"{LEAST}\" or more.")));
        }
        let max_size = max_size.filter(|size| *size >= LEAST);
        Some(History { level: fields.optional("level"), keep, max_size, keep_statistics })
    }

    /// What is in force.
    pub fn settings(&self) -> HistorySettings {
        let default = HistorySettings::default();
        HistorySettings {
            level: self.level.unwrap_or_default().0,
            keep: self.keep.map_or(default.keep, |keep| keep.0),
            max_bytes: self.max_size.map_or(default.max_bytes, |size| size.0),
            keep_statistics: self.keep_statistics.map_or(default.keep_statistics, |keep| keep.0),
        }
    }
}

impl Read for HistoryLevel {
    fn read(value: &Value) -> Result<HistoryLevel, Wrong> {
        let words = Level::ALL.map(|(_, word)| word);
        let word = word(value, "a level of the history", &words)?;
        let level = Level::ALL.into_iter().find(|(_, own)| *own == word);
        Ok(HistoryLevel(level.map_or(Level::Off, |(level, _)| level)))
    }
}

impl Serialize for HistoryLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}
