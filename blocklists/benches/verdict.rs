//! One verdict at a million rules: hit, hit on a name below a rule, miss.
#![allow(missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lanward_blocklists::{
    CompiledFilter, Compiler, FilterParts, HashKey, ListKind, Table, WireName,
};
use lanward_dns::{Filter, PolicyId, Verdict};

const RULES: u64 = 1_000_000;
const KEY: HashKey = HashKey(*b"benchmark key...");

/// The `n`th of names that are about as long as real ones.
fn name(n: u64) -> String {
    format!("{:x}.track{}.example", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24, n % 50_021)
}

fn filter() -> CompiledFilter {
    let mut compiler = Compiler::new(KEY);
    for (list, half) in [("a", 0..RULES * 6 / 10), ("b", RULES * 4 / 10..RULES)] {
        let text: String = half.map(|n| name(n) + "\n").collect();
        compiler.add_list(list, ListKind::Block, [0; 32], text.as_bytes()).unwrap();
    }
    let policies = vec![vec!["a".to_owned(), "b".to_owned()]];
    CompiledFilter::new(
        compiler.finish().unwrap(),
        &FilterParts { policies, ..FilterParts::default() },
    )
}

fn wire(names: impl Iterator<Item = String>) -> Vec<Vec<u8>> {
    names.map(|n| WireName::parse(&n).unwrap().as_bytes().to_vec()).collect()
}

fn verdict(c: &mut Criterion) {
    let filter = filter();
    // Different names each time, so that the table is read from memory as it is in use.
    let picks = || (0..16_384_u64).map(|n| n * 61 % RULES);
    let sets = [
        ("hit", wire(picks().map(name)), true),
        ("hit_below", wire(picks().map(|n| format!("www.{}", name(n)))), true),
        ("miss", wire(picks().map(|n| format!("www.{:x}.shop{}.example", n * 77, n % 999))), false),
    ];
    let mut group = c.benchmark_group("verdict");
    group.throughput(Throughput::Elements(1));
    for (label, names, blocked) in &sets {
        for name in names {
            let is = matches!(filter.verdict(name, PolicyId(0)), Verdict::Blocked(_));
            assert_eq!(is, *blocked);
        }
        let mut names = names.iter().cycle();
        group.bench_function(*label, |b| {
            b.iter(|| filter.verdict(black_box(names.next().unwrap()), PolicyId(0)));
        });
    }
    group.finish();

    let bytes = filter.table().to_bytes();
    c.bench_function("load_million", |b| {
        b.iter_batched(
            || (),
            |()| Table::from_bytes(&bytes, KEY).unwrap(),
            BatchSize::PerIteration,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = verdict
}
criterion_main!(benches);
