//! A list, apart from its rules.

/// What the plain lines of a list do. An Adblock list's own `@@` lines allow in either kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListKind {
    /// They block.
    #[default]
    Block,
    /// They allow: a list of names that must work.
    Allow,
}

/// How many lists one table can hold: the width of a policy's mask.
pub const MAX_LISTS: usize = 256;

/// A set of lists, by number: the ones that a policy uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListMask([u64; MAX_LISTS / 64]);

impl ListMask {
    pub(crate) fn insert(&mut self, list: u16) {
        if let Some(word) = self.0.get_mut(usize::from(list / 64)) {
            *word |= 1 << (list % 64);
        }
    }

    pub(crate) fn contains(&self, list: u16) -> bool {
        self.0.get(usize::from(list / 64)).is_some_and(|word| word >> (list % 64) & 1 == 1)
    }
}
