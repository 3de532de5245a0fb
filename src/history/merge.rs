//! Pages of several hosts as one. Each host keeps what it has answered itself, so nothing is there
//! twice.

use super::{Page, Row, Seq};

/// Rows of several hosts, the newest first, each with the index of its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The rows.
    pub rows: Vec<(usize, Row)>,
    /// Where the next page begins on every host; `None` when there is nothing more.
    pub next: Option<Seq>,
    /// Whether a search was cut short.
    pub cut: bool,
}

/// One page of about `limit` rows from one page of each host, all of them asked for the same.
pub fn merge(pages: Vec<Page>, limit: usize) -> Merged {
    let cut = pages.iter().any(|page| page.cut);
    // Below this some host has more that is not at hand.
    let floor = pages.iter().filter_map(|page| page.next).max();
    let mut rows: Vec<(usize, Row)> = pages
        .into_iter()
        .enumerate()
        .flat_map(|(host, page)| page.rows.into_iter().map(move |row| (host, row)))
        .filter(|(_, row)| floor.is_none_or(|floor| row.seq >= floor))
        .collect();
    rows.sort_by(|a, b| b.1.seq.cmp(&a.1.seq).then(a.0.cmp(&b.0)));
    // Two hosts may have rows of the same moment: they are on the same page.
    let last = rows.get(limit.saturating_sub(1)).map(|(_, row)| row.seq);
    let kept = last.map_or(rows.len(), |last| rows.partition_point(|(_, row)| row.seq >= last));
    let next = if kept < rows.len() { last } else { floor };
    rows.truncate(kept);
    Merged { rows, next, cut }
}
