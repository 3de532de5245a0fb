//! The last 24 hours on the Overview: a chart and what was most frequent.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::format::{encode, number, share};
use crate::view::{StatisticsView, Step};

/// Bars of the chart, of a quarter of an hour each.
const BARS: usize = 96;
/// The chart's size in its own units.
const WIDTH: u64 = 960;
const HEIGHT: u64 = 160;
/// Lines of each table.
const LINES: usize = 8;

/// The card.
pub(super) struct Day {
    pub(super) summary: String,
    /// One path for each kind of answer, from the bottom up, with its class and word.
    pub(super) layers: [Layer; 3],
    pub(super) hours: Vec<HourLine>,
    pub(super) tops: Vec<Top>,
    pub(super) missing: Vec<String>,
}

pub(super) struct Layer {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) path: String,
}

/// A line of the table that says what the chart shows.
pub(super) struct HourLine {
    pub(super) at: String,
    pub(super) counts: [String; 3],
}

/// What was most frequent.
pub(super) struct Top {
    pub(super) title: &'static str,
    pub(super) lines: Vec<TopLine>,
}

pub(super) struct TopLine {
    pub(super) name: String,
    pub(super) href: String,
    pub(super) count: String,
}

/// The card for `statistics`; `None` where nothing was counted.
pub(super) fn day(statistics: &StatisticsView, now: Timestamp, zone: &TimeZone) -> Option<Day> {
    if statistics.queries == 0 {
        return None;
    }
    let top = |title, field: &str, not_blocked: &str, lines: Vec<(String, String, u64)>| Top {
        title,
        lines: lines
            .into_iter()
            .take(LINES)
            .map(|(name, value, count)| TopLine {
                href: format!("/queries?{field}={}{not_blocked}", encode(&value)),
                name,
                count: number(count),
            })
            .collect(),
    };
    let names = |all: &[crate::view::Tally]| {
        all.iter().map(|t| (t.name.clone(), t.name.clone(), t.count)).collect::<Vec<_>>()
    };
    let clients = statistics.clients.iter().map(|client| {
        let name = client.device.clone().unwrap_or_else(|| client.client.clone());
        (name, client.client.clone(), client.count)
    });
    let tops = vec![
        top("Asked for most", "domain", "", names(&statistics.domains)),
        top("Blocked most", "domain", "&verdict=blocked", names(&statistics.blocked_domains)),
        top("Busiest devices", "device", "", clients.collect()),
    ];
    Some(Day {
        summary: format!(
            "{} queries, {} blocked.",
            number(statistics.queries),
            share(statistics.blocked, statistics.queries)
        ),
        layers: layers(&statistics.series, now),
        hours: hours(&statistics.series, zone),
        tops: tops.into_iter().filter(|top| !top.lines.is_empty()).collect(),
        missing: statistics.missing.clone(),
    })
}

fn parts(step: &Step) -> [u64; 3] {
    [step.forwarded, step.at_once, step.blocked]
}

/// Stacked bars: one path for each kind.
fn layers(series: &[Step], now: Timestamp) -> [Layer; 3] {
    let mut bars = [[0_u64; 3]; BARS];
    for step in series {
        let ago = now.duration_since(step.at).as_secs() / 900;
        let bar = usize::try_from(ago).ok().filter(|ago| *ago < BARS).map(|ago| BARS - 1 - ago);
        if let Some(bar) = bar.and_then(|bar| bars.get_mut(bar)) {
            bar.iter_mut().zip(parts(step)).for_each(|(sum, n)| *sum += n);
        }
    }
    let most = bars.iter().map(|bar| bar.iter().sum::<u64>()).max().unwrap_or(0).max(1);
    let layer = |kind: usize, class, word| {
        let mut path = String::new();
        for (at, bar) in bars.iter().enumerate() {
            let below: u64 = bar[..kind].iter().sum();
            // The edges are rounded, not the heights: so bars stand on each other.
            let y = |n: u64| HEIGHT - n * HEIGHT / most;
            let (bottom, upper) = (y(below), y(below + bar[kind]));
            if upper < bottom {
                let step = WIDTH / BARS as u64;
                let (x, height) = (at as u64 * step, bottom - upper);
                path += &format!("M{x} {bottom}v-{height}h{}v{height}z", step - 2);
            }
        }
        Layer { class, word, path }
    };
    [
        layer(0, "forwarded", "Forwarded"),
        layer(1, "cached", "Answered at once"),
        layer(2, "blocked", "Blocked"),
    ]
}

fn hours(series: &[Step], zone: &TimeZone) -> Vec<HourLine> {
    let mut lines: Vec<(Timestamp, [u64; 3])> = Vec::new();
    for step in series {
        let past = SignedDuration::from_secs(step.at.as_second().rem_euclid(3600));
        let hour = step.at - past;
        if lines.last().is_none_or(|(last, _)| *last != hour) {
            lines.push((hour, [0; 3]));
        }
        if let Some((_, sums)) = lines.last_mut() {
            sums.iter_mut().zip(parts(step)).for_each(|(sum, n)| *sum += n);
        }
    }
    let line = |(at, sums): (Timestamp, [u64; 3])| HourLine {
        at: at.to_zoned(zone.clone()).strftime("%H:%M").to_string(),
        counts: sums.map(number),
    };
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(minutes_ago: i64, blocked: u64, at_once: u64, forwarded: u64) -> Step {
        let at = now() - SignedDuration::from_mins(minutes_ago);
        Step { at, blocked, at_once, forwarded }
    }

    fn now() -> Timestamp {
        "2026-11-27T12:00:00Z".parse().expect("a moment")
    }

    #[test]
    fn bars_stand_on_each_other_and_the_newest_is_at_the_right() {
        let series = [step(5, 1, 1, 2), step(20, 0, 2, 0), step(25 * 60, 9, 9, 9)];
        let [forwarded, at_once, blocked] = layers(&series, now()).map(|layer| layer.path);
        assert_eq!(forwarded, "M950 160v-80h8v80z");
        assert_eq!(at_once, "M940 160v-80h8v80zM950 80v-40h8v40z");
        assert_eq!(blocked, "M950 40v-40h8v40z");
    }

    #[test]
    fn the_table_has_a_line_for_each_hour_with_questions() {
        let lines =
            hours(&[step(70, 1, 2, 3), step(65, 1, 1, 1), step(5, 0, 0, 4)], &TimeZone::UTC);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (lines[0].at.as_str(), &lines[0].counts),
            ("10:00", &["4", "3", "2"].map(String::from))
        );
    }
}
