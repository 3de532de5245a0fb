//! Randomness that is the seed's alone.

/// SplitMix64 (Steele, Lea and Flood 2014): small, and good enough to choose faults.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// A stream of its own for one use of a seed, so that leaving out a part of the plan changes
    /// as little as possible of the rest.
    pub(super) fn stream(seed: u64, number: u64) -> Rng {
        let mut rng = Rng(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        Rng(rng.next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `from..to`.
    pub(super) fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from).max(1)
    }

    /// True `percent` times in a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.range(0, 100) < percent
    }

    /// True `times` times in a thousand.
    pub(super) fn per_mille(&mut self, times: u64) -> bool {
        self.range(0, 1000) < times
    }

    /// One of `values`.
    pub(super) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.range(0, values.len() as u64) as usize]
    }

    /// One of `values`, by weight.
    pub(super) fn weighted<T: Copy>(&mut self, values: &[(T, u64)]) -> T {
        let mut left = self.range(0, values.iter().map(|(_, weight)| weight).sum());
        for (value, weight) in values {
            if left < *weight {
                return *value;
            }
            left -= weight;
        }
        values[0].0
    }
}
