//! Pausing blocking and taking it up again, and the bar that every page shows meanwhile.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{Answered, done, failed, leave, see};
use crate::app::Shared;
use crate::flash::Flash;
use crate::form::Sent;
use crate::html::Moment;
use crate::view::{NewPause, PauseLength, PauseScope, PauseView, Severity};
use crate::visit::{Visit, safe_path};

/// What the menu offers: the value of its button, and what stands on it.
pub(crate) const PRESETS: [(&str, &str); 6] = [
    ("60", "1 min"),
    ("300", "5 min"),
    ("1800", "30 min"),
    ("3600", "1 h"),
    ("tomorrow", "Until tomorrow 07:00"),
    ("ever", "Until I turn it on"),
];

/// One pause, as the bar shows it.
pub(crate) struct Bar {
    pub(crate) key: String,
    pub(crate) who: String,
    /// Seconds left, and the same as a clock: `04:32`.
    pub(crate) left: Option<(u64, String)>,
    pub(crate) until: Option<Moment>,
}

impl Bar {
    pub(crate) fn new(pause: &PauseView, now: Timestamp, zone: &TimeZone) -> Bar {
        Bar {
            key: pause.scope.key(),
            who: pause.who.clone(),
            left: pause.left_secs.map(|secs| (secs, countdown(secs))),
            until: pause.until.map(|at| Moment::clock(at, now, zone)),
        }
    }
}

/// `04:32`, `1:04:32`.
fn countdown(secs: u64) -> String {
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{secs:02}")
    } else {
        format!("{minutes:02}:{secs:02}")
    }
}

/// What a button's value means.
fn length(value: &str, now: Timestamp, zone: &TimeZone) -> Option<PauseLength> {
    match value {
        "ever" => Some(PauseLength::UntilResumed),
        "tomorrow" => {
            let tomorrow = now.to_zoned(zone.clone()).checked_add(1.day()).ok()?;
            let end = tomorrow.with().time(time(7, 0, 0, 0)).build().ok()?;
            Some(PauseLength::Until(end.timestamp()))
        }
        secs => {
            let secs = secs.parse().ok().filter(|secs| *secs > 0)?;
            Some(PauseLength::For(Duration::from_secs(secs)))
        }
    }
}

/// `POST /pause`
pub(crate) async fn pause(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let back = see(safe_path(sent.text("back")));
    // The device that asks is known by its address alone.
    let scope = match sent.text("scope") {
        "this" => Some(PauseScope::Device(visit.client.to_canonical().to_string())),
        key => PauseScope::parse(key),
    };
    let length = length(sent.text("for"), app.backend.now(), &app.zone);
    let (Some(scope), Some(length)) = (scope, length) else {
        let text = "Choose for whom and for how long blocking is to be paused.";
        leave(&app, visit.session, Flash::new(Severity::Bad, text));
        return Ok(back);
    };
    match app.backend.pause(NewPause { scope, length }).await {
        Ok(force) => done(&app, visit.session, "Blocking is paused.", &force, None),
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(back)
}

/// `POST /resume`
pub(crate) async fn resume(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    // Without a scope: everything.
    let scope = PauseScope::parse(sent.text("scope"));
    match app.backend.resume(scope).await {
        Ok(force) => done(&app, visit.session, "Blocking is on again.", &force, None),
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(see(safe_path(sent.text("back"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_means_something_and_nothing_else_does() {
        let now: Timestamp = "2026-11-20T22:30:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (value, _) in PRESETS {
            assert!(length(value, now, &zone).is_some(), "{value}");
        }
        // It is half past eleven there.
        let morning = "2026-11-21T06:00:00Z".parse().unwrap();
        assert_eq!(length("tomorrow", now, &zone), Some(PauseLength::Until(morning)));
        for bad in ["", "0", "-5", "5 min", "99999999999999999999999"] {
            assert_eq!(length(bad, now, &zone), None, "{bad}");
        }
    }

    #[test]
    fn what_is_left_reads_like_a_clock() {
        assert_eq!(countdown(272), "04:32");
        assert_eq!(countdown(3872), "1:04:32");
        assert_eq!(countdown(0), "00:00");
    }
}
