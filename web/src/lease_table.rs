//! The lease table's questions: filter, order and page, as they stand in the query string.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::format::encode;
use crate::view::{LeaseRow, LeaseState};

/// Which rows to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Show {
    #[default]
    All,
    Active,
    Reserved,
    Dynamic,
    Ended,
    Conflicts,
}

impl Show {
    pub(crate) const ALL: [Show; 6] =
        [Show::All, Show::Active, Show::Reserved, Show::Dynamic, Show::Ended, Show::Conflicts];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Show::All => "all",
            Show::Active => "active",
            Show::Reserved => "reserved",
            Show::Dynamic => "dynamic",
            Show::Ended => "ended",
            Show::Conflicts => "conflicts",
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Show::All => "All",
            Show::Active => "Active",
            Show::Reserved => "Reserved",
            Show::Dynamic => "Dynamic",
            Show::Ended => "Ended",
            Show::Conflicts => "Conflicts",
        }
    }

    fn takes(self, row: &LeaseRow) -> bool {
        match self {
            Show::All => true,
            Show::Active => row.state == LeaseState::Active,
            Show::Reserved => row.reserved.is_some(),
            Show::Dynamic => row.reserved.is_none() && row.state == LeaseState::Active,
            Show::Ended => matches!(row.state, LeaseState::Expired | LeaseState::Released),
            Show::Conflicts => row.state == LeaseState::Declined,
        }
    }
}

/// What to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Column {
    #[default]
    Addr,
    Name,
    Mac,
    Network,
    State,
    Expires,
    LastSeen,
}

impl Column {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Column::Addr => "addr",
            Column::Name => "name",
            Column::Mac => "mac",
            Column::Network => "network",
            Column::State => "state",
            Column::Expires => "expires",
            Column::LastSeen => "last_seen",
        }
    }

    fn from_word(word: &str) -> Option<Column> {
        use Column::{Addr, Expires, LastSeen, Mac, Name, Network, State};
        [Addr, Name, Mac, Network, State, Expires, LastSeen].into_iter().find(|c| c.word() == word)
    }
}

/// Rows of one page, unless asked otherwise.
const PAGE: usize = 50;
/// Row counts of a page one may ask for.
pub(crate) const PAGES: [usize; 3] = [50, 100, 500];

/// One view of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) network: String,
    pub(crate) show: Show,
    pub(crate) sort: Column,
    pub(crate) descending: bool,
    /// From 1.
    pub(crate) page: usize,
    pub(crate) per_page: usize,
}

/// The rows of one page, and what lies around them.
pub(crate) struct Page {
    pub(crate) rows: Vec<LeaseRow>,
    /// Rows on all pages.
    pub(crate) total: usize,
    pub(crate) pages: usize,
    /// How many rows each [`Show`] has, with the other filters as they are.
    pub(crate) counts: [usize; Show::ALL.len()],
}

impl Default for Query {
    fn default() -> Query {
        Query {
            text: String::new(),
            network: String::new(),
            show: Show::All,
            sort: Column::Addr,
            descending: false,
            page: 1,
            per_page: PAGE,
        }
    }
}

impl Query {
    /// Reads a query string's pairs. Anything that cannot be meant is as if it were not there:
    /// an old bookmark still shows the table.
    pub(crate) fn from_pairs(pairs: &[(String, String)]) -> Query {
        let mut query = Query::default();
        for (name, value) in pairs {
            let value = value.trim();
            match name.as_str() {
                "q" => query.text = value.chars().take(100).collect(),
                "network" => query.network = value.to_owned(),
                "state" => {
                    let found = Show::ALL.into_iter().find(|s| s.word() == value);
                    query.show = found.unwrap_or_default();
                }
                "sort" => {
                    let (descending, word) = match value.strip_prefix('-') {
                        Some(word) => (true, word),
                        None => (false, value),
                    };
                    if let Some(column) = Column::from_word(word) {
                        (query.sort, query.descending) = (column, descending);
                    }
                }
                "page" => query.page = value.parse().unwrap_or(1).max(1),
                "per_page" => {
                    let wanted = value.parse().unwrap_or(PAGE);
                    query.per_page = if PAGES.contains(&wanted) { wanted } else { PAGE };
                }
                _ => {}
            }
        }
        query
    }

    /// The shortest query string that gives this view; begins with `?`.
    pub(crate) fn to_query_string(&self) -> String {
        let mut pairs = Vec::new();
        let mut add = |name: &str, value: &str| pairs.push(format!("{name}={}", encode(value)));
        if !self.text.is_empty() {
            add("q", &self.text);
        }
        if !self.network.is_empty() {
            add("network", &self.network);
        }
        if self.show != Show::All {
            add("state", self.show.word());
        }
        if self.sort != Column::Addr || self.descending {
            add("sort", &self.sort_word());
        }
        if self.per_page != PAGE {
            add("per_page", &self.per_page.to_string());
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        format!("?{}", pairs.join("&"))
    }

    /// `-last_seen`.
    pub(crate) fn sort_word(&self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.sort.word())
    }

    /// Filters in force, for "Clear 2 filters".
    pub(crate) fn filters(&self) -> usize {
        usize::from(!self.text.is_empty())
            + usize::from(!self.network.is_empty())
            + usize::from(self.show != Show::All)
    }

    /// Applies the view to the whole table.
    pub(crate) fn apply(&self, mut rows: Vec<LeaseRow>) -> Page {
        let needle = Needle::new(&self.text);
        rows.retain(|row| {
            (self.network.is_empty() || row.network == self.network) && needle.finds(row)
        });
        let counts = Show::ALL.map(|show| rows.iter().filter(|row| show.takes(row)).count());
        rows.retain(|row| self.show.takes(row));
        rows.sort_by(|a, b| self.compare(a, b));
        let total = rows.len();
        let pages = total.div_ceil(self.per_page).max(1);
        let first = (self.page.min(pages) - 1) * self.per_page;
        Page { rows: rows.drain(first..).take(self.per_page).collect(), total, pages, counts }
    }

    /// Rows without a value come last, whichever way the table is sorted.
    fn compare(&self, a: &LeaseRow, b: &LeaseRow) -> Ordering {
        let down = self.descending;
        let ordered = match self.sort {
            Column::Addr => turn(down, a.addr.cmp(&b.addr)),
            Column::Name => last_none(down, &lower(a), &lower(b)),
            Column::Mac => last_none(down, &a.hw, &b.hw),
            Column::Network => turn(down, a.network.cmp(&b.network)),
            Column::State => turn(down, a.state.cmp(&b.state)),
            Column::Expires => last_none::<Timestamp>(down, &a.expires, &b.expires),
            Column::LastSeen => last_none::<Timestamp>(down, &a.last_seen, &b.last_seen),
        };
        ordered.then_with(|| a.addr.cmp(&b.addr))
    }
}

fn lower(row: &LeaseRow) -> Option<String> {
    row.name.as_ref().map(|name| name.to_lowercase())
}

fn turn(down: bool, order: Ordering) -> Ordering {
    if down { order.reverse() } else { order }
}

fn last_none<T: Ord>(down: bool, a: &Option<T>, b: &Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => turn(down, a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// What the search box asks for: a part of a name, an address, a hardware address in any
/// spelling, or a vendor class.
struct Needle {
    text: String,
    hex: Option<String>,
}

impl Needle {
    fn new(text: &str) -> Needle {
        let text = text.trim().to_lowercase();
        let hex: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.' | ' ')).collect();
        let is_hex = hex.len() >= 4 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        Needle { hex: is_hex.then_some(hex), text }
    }

    fn finds(&self, row: &LeaseRow) -> bool {
        if self.text.is_empty() {
            return true;
        }
        let has = |text: &Option<String>| {
            text.as_ref().is_some_and(|t| t.to_lowercase().contains(&self.text))
        };
        has(&row.name)
            || has(&row.vendor_class)
            || row.addr.to_string().contains(&self.text)
            || row.hw.is_some_and(|hw| {
                let mac = hw.to_string();
                mac.contains(&self.text)
                    || self.hex.as_ref().is_some_and(|hex| mac.replace(':', "").contains(hex))
            })
    }
}

#[cfg(test)]
mod tests {
    use lanward_dhcp::HwAddr;

    use super::*;
    use crate::view::Reserved;

    fn row(last: u8, name: Option<&str>, state: LeaseState) -> LeaseRow {
        LeaseRow {
            addr: [10, 0, 30, last].into(),
            network: "iot".to_owned(),
            state,
            name: name.map(str::to_owned),
            hw: Some(HwAddr::ethernet([2, 0, 0x5e, 0x10, 0xab, last])),
            vendor_class: None,
            reserved: None,
            expires: None,
            last_seen: None,
            served_by: None,
        }
    }

    fn ask(query: &str) -> Query {
        let pairs: Vec<_> = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        Query::from_pairs(&pairs)
    }

    fn lasts(page: &Page) -> Vec<u8> {
        page.rows.iter().map(|r| r.addr.octets()[3]).collect()
    }

    #[test]
    fn addresses_sort_as_numbers_and_missing_names_last() {
        let rows = vec![
            row(100, Some("b"), LeaseState::Active),
            row(9, None, LeaseState::Active),
            row(20, Some("A"), LeaseState::Active),
        ];
        assert_eq!(lasts(&ask("").apply(rows.clone())), [9, 20, 100]);
        assert_eq!(lasts(&ask("sort=-addr").apply(rows.clone())), [100, 20, 9]);
        assert_eq!(lasts(&ask("sort=name").apply(rows.clone())), [20, 100, 9]);
        assert_eq!(lasts(&ask("sort=-name").apply(rows)), [100, 20, 9]);
    }

    #[test]
    fn half_a_mac_finds_a_device_however_it_is_written() {
        let rows = vec![row(7, None, LeaseState::Active), row(8, None, LeaseState::Active)];
        for q in ["q=ab:07", "q=AB-07", "q=10ab07", "q=5e:10:ab:07"] {
            assert_eq!(lasts(&ask(q).apply(rows.clone())), [7], "{q}");
        }
        assert_eq!(ask("q=nothing").apply(rows).total, 0);
    }

    #[test]
    fn tabs_count_what_they_would_show() {
        let mut reserved = row(1, Some("printer"), LeaseState::Idle);
        reserved.reserved = Some(Reserved { id: "r".to_owned(), staged: None });
        let rows = vec![
            reserved,
            row(2, None, LeaseState::Active),
            row(3, None, LeaseState::Released),
            row(4, None, LeaseState::Expired),
            row(5, None, LeaseState::Declined),
        ];
        let page = ask("state=ended").apply(rows);
        assert_eq!(page.counts, [5, 1, 1, 1, 2, 1]);
        assert_eq!(lasts(&page), [3, 4]);
    }

    #[test]
    fn a_page_beyond_the_end_is_the_last_one() {
        let rows: Vec<_> = (1..=120).map(|i| row(i, None, LeaseState::Active)).collect();
        let page = ask("page=99").apply(rows.clone());
        assert_eq!((page.pages, page.total, page.rows.len()), (3, 120, 20));
        assert_eq!(ask("page=2&per_page=100").apply(rows.clone()).rows.len(), 20);
        assert_eq!(ask("per_page=7").apply(rows).rows.len(), 50, "odd sizes are ignored");
    }

    #[test]
    fn the_query_string_round_trips() {
        for query in [
            "?",
            "?q=a%20b",
            "?network=iot&state=reserved&sort=-last_seen&per_page=100&page=3",
            "?sort=-addr",
        ] {
            let decoded = query.trim_start_matches('?').replace("%20", " ");
            assert_eq!(ask(&decoded).to_query_string(), query);
        }
    }
}
