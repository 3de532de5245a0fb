//! A time for which something is forgotten, in whole minutes: the finest that sums are kept in.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::row::{Day, Seq};

/// Minutes of an hour.
const HOUR: i64 = 60;
/// Minutes of a day.
const DAY: i64 = 24 * HOUR;
/// Thirty thousand years: beyond it nothing is kept, and within it nothing overflows.
const EVER: i64 = 10_000_000 * DAY;

/// From one minute until before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    from: i64,
    to: i64,
}

impl Span {
    /// All times.
    pub const ALL: Span = Span { from: -EVER, to: EVER };

    /// The minutes that hold the time from one moment until before another, in milliseconds since
    /// 1970; without one, from the beginning or to the end.
    pub fn around(from_ms: Option<i64>, to_ms: Option<i64>) -> Span {
        let minute = |ms: i64| ms.div_euclid(60_000).clamp(-EVER, EVER);
        let after = |ms: i64| minute(ms.saturating_add(59_999));
        let from = from_ms.map_or(-EVER, minute);
        Span { from, to: to_ms.map_or(EVER, after).max(from) }
    }

    /// Its minutes, since 1970.
    pub(super) fn minutes(self) -> Range<i64> {
        self.clamped().from..self.clamped().to
    }

    /// The numbers of its rows.
    pub(super) fn rows(self) -> Range<Seq> {
        let Range { start, end } = self.minutes();
        Seq::at_ms(start * 60_000)..Seq::at_ms(end * 60_000)
    }

    /// The hours that lie in it whole, since 1970.
    pub(super) fn hours(self) -> Range<i64> {
        let Range { start, end } = self.minutes();
        let first = (start + HOUR - 1).div_euclid(HOUR);
        first..end.div_euclid(HOUR).max(first)
    }

    /// The hours that it has a part of.
    pub(super) fn cut_hours(self) -> impl Iterator<Item = i64> {
        let Range { start, end } = self.minutes();
        let ends = [start, end].map(|at| (at.rem_euclid(HOUR) != 0).then(|| at.div_euclid(HOUR)));
        let same = ends[0] == ends[1];
        let ends = if start == end { [None, None] } else { ends };
        let [first, last] = ends;
        first.into_iter().chain(last.filter(|_| !same))
    }

    /// Whether all of a day lies in it.
    pub(super) fn covers(self, day: Day) -> bool {
        let Range { start, end } = self.minutes();
        start <= day.0 * DAY && (day.0 + 1) * DAY <= end
    }

    /// Whether some of a day does.
    pub(super) fn meets(self, day: Day) -> bool {
        let Range { start, end } = self.minutes();
        start < (day.0 + 1) * DAY && day.0 * DAY < end
    }

    /// The partner's may say anything.
    fn clamped(self) -> Span {
        let from = self.from.clamp(-EVER, EVER);
        Span { from, to: self.to.clamp(from, EVER) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    #[test]
    fn a_span_holds_the_minutes_it_begins_and_ends_in() {
        let span = Span::around(Some(MINUTE_MS + 1), Some(3 * MINUTE_MS + 1));
        assert_eq!(span.minutes(), 1..4);
        assert_eq!(Span::around(Some(MINUTE_MS), Some(3 * MINUTE_MS)).minutes(), 1..3);
        assert_eq!(
            Span::around(Some(9 * MINUTE_MS), Some(3)).minutes(),
            9..9,
            "backwards: nothing"
        );
        assert_eq!(Span::around(None, None), Span::ALL);
        let strange = Span { from: i64::MIN, to: i64::MAX };
        assert_eq!(strange.rows(), Span::ALL.rows());
        assert!(Span::ALL.covers(Day(20_000)) && Span::ALL.rows().contains(&Day(20_000).first()));
    }

    #[test]
    fn hours_are_whole_or_cut() {
        let hours = |from, to| {
            let span = Span { from, to };
            (span.hours(), span.cut_hours().collect::<Vec<_>>())
        };
        assert_eq!(hours(60, 180), (1..3, vec![]));
        assert_eq!(hours(61, 200), (2..3, vec![1, 3]));
        assert_eq!(hours(61, 62), (2..2, vec![1]));
        assert_eq!(hours(61, 119), (2..2, vec![1]));
        assert_eq!(hours(61, 61), (2..2, vec![]));
        assert_eq!(Span::ALL.cut_hours().count(), 0);
    }
}
