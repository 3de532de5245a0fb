//! From the texts of lists to one table.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hash::{HashKey, NameHasher};
use crate::kinds::Kinds;
use crate::list::{ListKind, MAX_LISTS};
use crate::syntax::{self, Action, Format, Line, Rule, Skip};
use crate::table::{Member, Placed, Table, TableList};

/// The most rules one list may have.
pub const MAX_RULES: u64 = 10_000_000;

/// Numbers of sets kept back for sets of one list and one kind, from which any set can be put
/// together should the numbers run out: `MAX_LISTS` x 8.
const SINGLE_SETS: usize = MAX_LISTS * 8;
const MAX_SETS: usize = u16::MAX as usize;

/// Compiles lists, one text after the other, into a [`Table`]. Keeps 16 bytes a rule until it
/// is done, and nothing of the texts.
#[derive(Debug)]
pub struct Compiler {
    key: HashKey,
    hasher: NameHasher,
    lists: Vec<TableList>,
    entries: Vec<Entry>,
}

/// What was found in one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines of the text.
    pub lines: u64,
    /// Rules it has, with repetitions.
    pub rules: u64,
    /// Of which allow.
    pub allow_rules: u64,
    formats: [u64; Format::ALL.len()],
    skipped: [u64; Skip::ALL.len()],
}

/// Why lists cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// More lists than a policy's mask has bits.
    #[error("more than {MAX_LISTS} lists")]
    TooManyLists,
    /// One list has more than [`MAX_RULES`].
    #[error("the list has more than {MAX_RULES} rules")]
    TooManyRules,
    /// The front filter could not be built in any of its thousand attempts.
    #[error("the front filter could not be built from {rules} rules")]
    Front {
        /// Distinct rules there were.
        rules: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    hash: u64,
    list: u16,
    kinds: Kinds,
}

impl Compiler {
    /// A compiler without lists. `key` is the secret of this installation.
    pub fn new(key: HashKey) -> Self {
        Self { key, hasher: NameHasher::new(&key), lists: Vec::new(), entries: Vec::new() }
    }

    /// Adds a list's text and says what was found in it. Lists are numbered in the order they
    /// are added.
    pub fn add_list(
        &mut self,
        id: &str,
        kind: ListKind,
        digest: [u8; 32],
        text: &[u8],
    ) -> Result<Report, CompileError> {
        if self.lists.len() == MAX_LISTS {
            return Err(CompileError::TooManyLists);
        }
        let list = self.lists.len() as u16;
        let before = self.entries.len();
        let (hasher, entries) = (&self.hasher, &mut self.entries);
        let report = scan(text, |rule| {
            let rule =
                if kind == ListKind::Allow { Rule { action: Action::Allow, ..rule } } else { rule };
            let hash = hasher.whole(rule.name.as_bytes());
            entries.push(Entry { hash, list, kinds: Kinds::of(&rule) });
        });
        match report {
            Ok(report) => {
                let id = id.to_owned();
                self.lists.push(TableList { id, kind, digest, report: report.clone() });
                Ok(report)
            }
            Err(error) => {
                self.entries.truncate(before);
                Err(error)
            }
        }
    }

    /// Builds the table.
    pub fn finish(mut self) -> Result<Arc<Table>, CompileError> {
        self.entries.sort_unstable();
        let mut sets = Sets::new();
        let mut placed = Vec::with_capacity(self.entries.len());
        let mut members = Vec::new();
        for group in self.entries.chunk_by(|a, b| a.hash == b.hash) {
            members.clear();
            for entries in group.chunk_by(|a, b| a.list == b.list) {
                let kinds = entries.iter().fold(Kinds::default(), |k, e| k.or(e.kinds));
                members.extend(entries.first().map(|e| Member { list: e.list, kinds }));
            }
            let hash = group.first().map_or(0, |entry| entry.hash);
            sets.number(&members, |set| placed.push(Placed { hash, set }));
        }
        self.entries = Vec::new();
        let rules = placed.len();
        Table::build(self.key, self.lists, &placed, &sets.sets)
            .map(Arc::new)
            .ok_or(CompileError::Front { rules })
    }
}

/// Reads a list without compiling it.
pub fn inspect(text: &[u8]) -> Result<Report, CompileError> {
    scan(text, |_| {})
}

fn scan(text: &[u8], mut each: impl FnMut(Rule)) -> Result<Report, CompileError> {
    let mut report = Report::default();
    for line in text.split(|&b| b == b'\n') {
        let kind = syntax::parse_line(line, &mut |part| match part {
            Ok(rule) => {
                report.rules += 1;
                report.allow_rules += u64::from(rule.action == Action::Allow);
                each(rule);
            }
            Err(skip) => report.skipped[skip as usize] += 1,
        });
        report.lines += 1;
        if let Line::Of(format) = kind {
            report.formats[format as usize] += 1;
        }
        if report.rules > MAX_RULES {
            return Err(CompileError::TooManyRules);
        }
    }
    // What follows the last newline is no line of its own.
    report.lines -= u64::from(text.is_empty() || text.ends_with(b"\n"));
    Ok(report)
}

impl Report {
    /// The syntax of most lines; `None` when no line is in a known one.
    pub fn format(&self) -> Option<Format> {
        Format::ALL
            .into_iter()
            .zip(self.formats)
            .filter(|(_, lines)| *lines > 0)
            .max_by_key(|(format, lines)| (*lines, std::cmp::Reverse(*format)))
            .map(|(format, _)| format)
    }

    /// What was left out, by kind, where there was any.
    pub fn skipped(&self) -> impl Iterator<Item = (Skip, u64)> {
        Skip::ALL.into_iter().zip(self.skipped).filter(|(_, count)| *count > 0)
    }

    /// The numbers in their stored order.
    pub(crate) fn to_words(&self) -> impl Iterator<Item = u64> {
        [self.lines, self.rules, self.allow_rules]
            .into_iter()
            .chain(self.formats)
            .chain(self.skipped)
    }

    /// The inverse of [`Self::to_words`]; `None` when there are too few.
    pub(crate) fn from_words(mut words: impl FnMut() -> Option<u64>) -> Option<Self> {
        let mut report =
            Self { lines: words()?, rules: words()?, allow_rules: words()?, ..Self::default() };
        for word in report.formats.iter_mut().chain(&mut report.skipped) {
            *word = words()?;
        }
        Some(report)
    }
}

/// The distinct sets of lists, numbered.
struct Sets {
    numbers: BTreeMap<Vec<Member>, u16>,
    sets: Vec<Vec<Member>>,
}

impl Sets {
    fn new() -> Self {
        Self { numbers: BTreeMap::new(), sets: Vec::new() }
    }

    /// Hands out the number of `members`; when the numbers are used up, those of the sets of one
    /// that it consists of, which together mean the same.
    fn number(&mut self, members: &[Member], mut out: impl FnMut(u16)) {
        if let Some(&number) = self.numbers.get(members) {
            out(number);
        } else if self.sets.len() < MAX_SETS - SINGLE_SETS {
            out(self.add(members.to_vec()));
        } else {
            for member in members {
                for kinds in member.kinds.each() {
                    let single = [Member { list: member.list, kinds }];
                    let known = self.numbers.get(&single[..]).copied();
                    out(known.unwrap_or_else(|| self.add(single.to_vec())));
                }
            }
        }
    }

    fn add(&mut self, members: Vec<Member>) -> u16 {
        // Fits: `number` keeps enough numbers back for every set of one.
        let number = self.sets.len() as u16;
        self.sets.push(members.clone());
        self.numbers.insert(members, number);
        number
    }
}

#[cfg(test)]
mod tests;
