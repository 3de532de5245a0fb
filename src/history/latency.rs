//! How long answers took, in buckets: small enough to keep for every hour, fine enough to tell 20 ms
//! from 30.

use serde::{Deserialize, Serialize};

/// The upper ends of the buckets, microseconds. Answers given at once have the first to
/// themselves; what took longer than the last end is in one bucket more.
pub(super) const ENDS_US: [u32; 17] = [
    0, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 30_000, 50_000, 75_000, 100_000, 200_000,
    500_000, 1_000_000, 2_000_000, 5_000_000,
];

/// Counts for each bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram(Vec<u64>);

impl Histogram {
    /// Counts an answer; `None` was given at once.
    pub fn add(&mut self, took_us: Option<u32>) {
        let bucket = match took_us {
            None => 0,
            Some(took) => ENDS_US.partition_point(|end| *end < took.max(1)),
        };
        self.put(bucket, 1);
    }

    /// Adds to a bucket; nothing for one that does not exist.
    pub fn put(&mut self, bucket: usize, n: u64) {
        if bucket > ENDS_US.len() {
            return;
        }
        if self.0.len() <= bucket {
            self.0.resize(bucket + 1, 0);
        }
        self.0[bucket] += n;
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, n) in other.0.iter().enumerate() {
            self.put(bucket, *n);
        }
    }

    /// The counts, by bucket.
    pub fn buckets(&self) -> &[u64] {
        &self.0
    }

    /// All answers.
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Of the answers somebody else had to be asked for, the time that `share` of them did not
    /// exceed: the end of its bucket, in microseconds. `None` without any, or when it is beyond the
    /// last end.
    pub fn percentile_us(&self, share: f64) -> Option<u32> {
        let asked = self.0.get(1..)?;
        let all: u64 = asked.iter().sum();
        if all == 0 {
            return None;
        }
        let rank = ((all as f64 * share).ceil() as u64).clamp(1, all);
        let mut seen = 0;
        let at = asked.iter().position(|n| {
            seen += n;
            seen >= rank
        })?;
        ENDS_US.get(at + 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_in_the_bucket_whose_end_it_does_not_exceed() {
        for (took, bucket) in [
            (None, 0),
            (Some(0), 1),
            (Some(1), 1),
            (Some(500), 1),
            (Some(501), 2),
            (Some(20_000), 7),
            (Some(20_001), 8),
            (Some(5_000_000), 16),
            (Some(u32::MAX), 17),
        ] {
            let mut histogram = Histogram::default();
            histogram.add(took);
            assert_eq!(histogram.buckets().len(), bucket + 1, "{took:?}");
        }
    }

    #[test]
    fn percentiles_are_of_what_was_asked_elsewhere() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile_us(0.5), None);
        (0..1000).for_each(|_| histogram.add(None));
        assert_eq!(histogram.percentile_us(0.5), None);
        (0..98).for_each(|_| histogram.add(Some(12_000)));
        (0..2).for_each(|_| histogram.add(Some(300_000)));
        assert_eq!(histogram.percentile_us(0.5), Some(15_000));
        assert_eq!(histogram.percentile_us(0.98), Some(15_000));
        assert_eq!(histogram.percentile_us(0.99), Some(500_000));
        let mut other = Histogram::default();
        (0..200).for_each(|_| other.add(Some(u32::MAX)));
        histogram.merge(&other);
        assert_eq!(histogram.percentile_us(0.9), None, "beyond the last end");
        assert_eq!(histogram.all(), 1300);
    }
}
