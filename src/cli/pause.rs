//! `lanward pause` and `lanward resume`.

use std::process::ExitCode;
use std::time::Duration;

use jiff::civil::time;
use jiff::{ToSpan, Zoned};
use serde::Deserialize;
use serde_json::Value;

use super::leases::edited;
use super::text::{self, Tone};
use super::{Common, Done, Failure, USAGE, daemon};
use crate::admin::Request;
use crate::settings::fields::Read;
use crate::settings::words::Period;

#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    /// For how long: such as 5m or 1h; `tomorrow` is 07:00 tomorrow [default: until `lanward
    /// resume`].
    length: Option<String>,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    #[command(flatten)]
    whom: Whom,
}

/// Everybody, where neither is given.
#[derive(Debug, clap::Args)]
struct Whom {
    /// Only for this network.
    #[arg(long, value_name = "ID", conflicts_with = "device")]
    network: Option<String>,
    /// Only for this device: its MAC address, or its IP address.
    #[arg(long, value_name = "ADDRESS")]
    device: Option<String>,
}

/// A pause in force, as the daemon tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Paused {
    scope: String,
    who: String,
    until: Option<String>,
}

impl Whom {
    fn scope(&self) -> Option<String> {
        let network = self.network.as_ref().map(|id| format!("network/{id}"));
        network.or_else(|| self.device.as_ref().map(|device| format!("device/{device}")))
    }

    fn words(&self) -> String {
        match (&self.network, &self.device) {
            (Some(id), _) => format!("network {id}"),
            (None, Some(device)) => device.clone(),
            (None, None) => "all devices".to_owned(),
        }
    }
}

/// The end of a pause, as somebody wrote it.
#[derive(Debug, PartialEq, Eq)]
enum Until {
    For(Duration),
    At(jiff::Timestamp),
    Resumed,
}

impl Until {
    fn parse(text: Option<&str>, now: &Zoned) -> Result<Until, Failure> {
        let Some(text) = text else { return Ok(Until::Resumed) };
        if text == "tomorrow" {
            let end = now
                .checked_add(1.day())
                .and_then(|tomorrow| tomorrow.with().time(time(7, 0, 0, 0)).build());
            let end = end.map_err(|error| Failure::new(format!("no such time: {error}.")))?;
            return Ok(Until::At(end.timestamp()));
        }
        match Period::read(&Value::from(text)) {
            Ok(Period(length)) if !length.is_zero() => Ok(Until::For(length)),
            _ => Err(Failure {
                code: USAGE,
                ..Failure::new(format!("`{text}` is no length of time."))
                    .fix("Write one such as 30s, 5m, 1h or 1h30m, or tomorrow.")
            }),
        }
    }
}

impl Pause {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let until = Until::parse(self.length.as_deref(), &Zoned::now())?;
        let (secs, at) = match until {
            Until::For(length) => (Some(length.as_secs()), None),
            Until::At(at) => (None, Some(at)),
            Until::Resumed => (None, None),
        };
        let scope = self.whom.scope().unwrap_or_else(|| "all".to_owned());
        let data = daemon::ask(
            common,
            &Request::Pause { scope, secs, until: at.map(|at| at.to_string()) },
        )?;
        let length = match (until_words(secs), at) {
            (Some(length), _) => format!("for {length}"),
            (None, Some(at)) => format!("until {}", clock(at)),
            (None, None) => "until `lanward resume`".to_owned(),
        };
        let done = format!("Blocking is paused for {} {length}.", self.whom.words());
        Ok(edited(common, &data, &done))
    }
}

impl Resume {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let scope = self.whom.scope();
        let data = daemon::ask(common, &Request::Resume { scope: scope.clone() })?;
        let code = edited(common, &data, &format!("Blocking is on for {}.", self.whom.words()));
        if scope.is_some() && !common.json {
            // Somebody may be paused by another pause too.
            tell_rest(common)?;
        }
        Ok(code)
    }
}

fn tell_rest(common: &Common) -> Result<ExitCode, Failure> {
    let rest: Vec<Paused> = daemon::read(&daemon::ask(common, &Request::Pauses)?)?;
    for pause in rest {
        text::print_line(&text::toned(&pause.sentence(), Tone::Attention));
    }
    Ok(ExitCode::SUCCESS)
}

impl Paused {
    /// One sentence, cleaned.
    pub(super) fn sentence(&self) -> String {
        let end = match self.until.as_deref().and_then(|at| at.parse().ok()) {
            Some(at) => format!("until {}", clock(at)),
            None => "until somebody resumes it".to_owned(),
        };
        let who = if self.scope == "all" { "all devices" } else { &self.who };
        text::clean(&format!("Blocking is paused for {who} {end}: nothing is blocked there."))
    }
}

/// `5 min`.
fn until_words(secs: Option<u64>) -> Option<String> {
    secs.map(text::for_long)
}

/// A moment on this host's clock: `18:05`, or with its day when it is not within a day.
fn clock(at: jiff::Timestamp) -> String {
    let (now, at) = (Zoned::now(), at.to_zoned(jiff::tz::TimeZone::system()));
    let how = if now.date() == at.date() { "%H:%M" } else { "%a %-d %b %H:%M" };
    at.strftime(how).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_pause_is_read() {
        let now: Zoned = "2026-11-20T18:00:00+01:00[Europe/Berlin]".parse().unwrap();
        let read = |text| Until::parse(text, &now).map_err(|failure| failure.message);
        assert_eq!(read(Some("5m")), Ok(Until::For(Duration::from_secs(300))));
        assert_eq!(read(Some("1h30m")), Ok(Until::For(Duration::from_secs(5400))));
        assert_eq!(read(Some("tomorrow")), Ok(Until::At("2026-11-21T06:00:00Z".parse().unwrap())));
        assert_eq!(read(None), Ok(Until::Resumed));
        for bad in ["0s", "soon", "", "5"] {
            assert!(read(Some(bad)).is_err(), "{bad}");
        }
    }
}
