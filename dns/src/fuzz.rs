//! What strangers can send, as fuzz targets.
//!
//! Each target is an ordinary test: `cargo test` runs its committed corpus, some random inputs and
//! some mutations of the corpus. `benches/fuzz.sh` looks for inputs that reach new code, for as long
//! as it may. `LANWARD_FUZZ_ROUNDS` sets the number of mutations, `LANWARD_FUZZ_SEED` chooses others.
//!
//! The corpora are written by `cargo test -p lanward-dns write_corpora -- --ignored`.

pub(crate) mod check;
pub(crate) mod house;
pub(crate) mod mutate;
mod shapes;
mod targets;

pub(crate) use shapes::streams;

use mutate::Mutator;

/// Mutated inputs of a target, unless told otherwise.
const ROUNDS: usize = 10_000;

/// Random inputs of a target, beside the corpus.
pub(crate) const RANDOM: usize = 2_000;

/// Gives `target` mutations of what the corpus holds.
pub(crate) fn mutated(target: impl Fn(&[u8]), corpus: Vec<Vec<u8>>) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds = number("LANWARD_FUZZ_ROUNDS").unwrap_or(ROUNDS as u64);
    let mut mutator = Mutator::new(number("LANWARD_FUZZ_SEED").unwrap_or(1), corpus);
    let mut input = Vec::new();
    for _ in 0..rounds {
        mutator.next_into(&mut input);
        let shown = Shown(&input);
        target(&input);
        drop(shown);
    }
}

/// Shows an input when the test fails at it.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("failed at {}", data_encoding::HEXLOWER.encode(self.0)));
        }
    }
}

#[allow(clippy::print_stderr, reason = "a test tells what it found")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
