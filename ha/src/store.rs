//! The narrow waist between the pair and whatever makes its state durable: numbered batches of
//! key-value writes.

/// One write. Keys are short printable paths (`binding/10.0.30.5`, `pair/state`, `doc/000001`);
/// values are opaque bytes. Integrity of a value (a CRC of its own) is the store's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What is written.
    pub key: String,
    /// The new value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

/// Writes that become durable together. Batches are applied in order of `seq`; a store may commit
/// several at once (group commit) and reports the highest number that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Consecutive from 1 after each start.
    pub seq: u64,
    /// What to write.
    pub writes: Vec<Write>,
}

/// Everything a store held at start, in key order, with what was found damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Keys with their values, ascending.
    pub entries: Vec<(String, Vec<u8>)>,
    /// Keys whose value failed its checksum; such a value is never used.
    pub damaged: Vec<String>,
    /// The store had to fall back to an older generation of itself: what was durable last is gone.
    pub rolled_back: bool,
    /// The host was off for a time the node's clock did not count: what the partner promised
    /// before may have run out meanwhile, and is not counted on.
    pub downtime_unknown: bool,
}
