//! Upstream answers that are made to take long to read: what one costs from its bytes to the cache,
//! with as many records as are taken and with as many as there can be. Each should take less than 5 ms.
#![allow(missing_docs, reason = "a program")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use lanward_dns::{Now, Pipeline};

#[path = "../tests/serving/longest.rs"]
mod longest;

fn answers(c: &mut Criterion) {
    let pipeline = Pipeline::new(8 << 20);
    for (most, of) in [(1024, "1,024"), (u16::MAX, "64 KiB")] {
        for (what, answer) in longest::answers(most) {
            c.bench_function(&format!("{of}: {what}"), |b| {
                b.iter(|| pipeline.learn(black_box(&answer), Now(Duration::from_secs(1))));
            });
        }
    }
}

criterion_group!(benches, answers);
criterion_main!(benches);
