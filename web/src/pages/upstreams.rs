//! The upstream servers as a table.

use crate::format::{duration, number, share};
use crate::html::Chip;
use crate::view::UpstreamView;

/// A server, in words.
pub(super) struct Line {
    pub(super) server: String,
    /// Its group, unless it is the usual one.
    pub(super) group: Option<String>,
    pub(super) transport: &'static str,
    pub(super) chip: Chip,
    pub(super) tint: &'static str,
    pub(super) why: Option<String>,
    pub(super) half: String,
    pub(super) most: String,
    pub(super) asked: String,
    pub(super) failed: String,
    /// What else went wrong.
    pub(super) notes: String,
}

pub(super) fn line(of: &UpstreamView) -> Line {
    let (chip, tint) = match of.state {
        "down" => (Chip::new("bad", "bad", "Down"), "bad"),
        "slow" => (Chip::new("warn", "clock", "Slow"), "warn"),
        _ if of.asked == 0 => (Chip::new("plain", "off", "Not asked yet"), ""),
        _ => (Chip::new("ok", "ok", "Up"), ""),
    };
    let lasting = of.for_secs.map(|secs| format!(" For {}.", duration(secs)));
    let sentence = |reason: &String| {
        let text = crate::format::as_sentence(reason, &[]);
        format!("{text}{}", lasting.clone().unwrap_or_default())
    };
    let mut notes = Vec::new();
    if of.late > 0 {
        notes.push(format!("{} late", number(of.late)));
    }
    if of.ignored > 0 {
        notes.push(format!("{} forged or broken", number(of.ignored)));
    }
    Line {
        server: of.server.clone(),
        group: Some(of.group.clone()).filter(|group| group != "default"),
        transport: match of.transport {
            "plain" => "Not encrypted",
            "tls" => "TLS",
            "https" => "HTTPS",
            "quic" => "QUIC",
            _ => "Own recursion",
        },
        chip,
        tint,
        why: of.reason.as_ref().map(sentence),
        half: within(of, 50),
        most: within(of, 99),
        asked: number(of.asked),
        failed: match of.failed {
            0 => "0".to_owned(),
            failed => format!("{} ({})", number(failed), share(failed, of.asked)),
        },
        notes: notes.join(", "),
    }
}

/// Within which time so many of a hundred answers came, as far as it is counted.
fn within(of: &UpstreamView, percent: u64) -> String {
    let all: u64 = of.latency_buckets.iter().map(|(_, count)| count).sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    let mut last = 0;
    for (most, count) in &of.latency_buckets {
        seen += count;
        if all > 0 && seen >= wanted {
            return match most {
                Some(micros) => format!("≤\u{a0}{}", time(*micros)),
                None => format!(">\u{a0}{}", time(last)),
            };
        }
        last = most.unwrap_or(last);
    }
    "–".to_owned()
}

fn time(micros: u64) -> String {
    match micros / 1000 {
        ms if ms >= 1000 && ms.is_multiple_of(1000) => format!("{}\u{a0}s", ms / 1000),
        ms => format!("{ms}\u{a0}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(counts: [u64; 3]) -> UpstreamView {
        let bounds = [Some(5_000), Some(25_000), None];
        UpstreamView {
            group: "default".to_owned(),
            server: "9.9.9.9".to_owned(),
            transport: "plain",
            state: "up",
            reason: None,
            for_secs: None,
            latency_us: None,
            asked: counts.iter().sum(),
            failed: 0,
            late: 0,
            ignored: 0,
            in_flight: 0,
            latency_sum_us: 0,
            latency_buckets: bounds.into_iter().zip(counts).collect(),
        }
    }

    #[test]
    fn times_are_told_as_far_as_they_are_counted() {
        let shown = |counts| {
            let line = line(&server(counts));
            [line.half, line.most].map(|text| text.replace('\u{a0}', " "))
        };
        assert_eq!(shown([0, 0, 0]), ["–", "–"]);
        assert_eq!(shown([100, 0, 0]), ["≤ 5 ms", "≤ 5 ms"]);
        assert_eq!(shown([98, 2, 0]), ["≤ 5 ms", "≤ 25 ms"]);
        assert_eq!(shown([10, 20, 30]), ["≤ 25 ms", "> 25 ms"]);
        assert_eq!(shown([1, 0, 0]), ["≤ 5 ms", "≤ 5 ms"]);
    }

    #[test]
    fn one_that_is_down_says_why_and_for_how_long() {
        let down = UpstreamView {
            state: "down",
            reason: Some("it does not answer".to_owned()),
            for_secs: Some(190),
            failed: 3,
            late: 7,
            ignored: 2,
            group: "kids".to_owned(),
            ..server([1, 0, 0])
        };
        let line = line(&down);
        assert_eq!(line.why.as_deref(), Some("It does not answer. For 3 min."));
        assert_eq!((line.tint, line.group.as_deref()), ("bad", Some("kids")));
        assert_eq!(line.notes, "7 late, 2 forged or broken");
    }
}
