use lanward_dns::{Filter, PolicyId, Verdict};
use proptest::prelude::*;

use super::*;
use crate::{CompiledFilter, FilterParts, FormatError, WireName};

const KEY: HashKey = HashKey(*b"a key of a test.");

fn table(lists: &[(&str, ListKind, &str)]) -> Arc<Table> {
    let mut compiler = Compiler::new(KEY);
    for (id, kind, text) in lists {
        compiler.add_list(id, *kind, [0; 32], text.as_bytes()).unwrap();
    }
    compiler.finish().unwrap()
}

/// A filter whose only policy uses every list.
fn filter(table: Arc<Table>) -> CompiledFilter {
    let policies = vec![table.lists().iter().map(|list| list.id.clone()).collect()];
    CompiledFilter::new(table, &FilterParts { policies, ..FilterParts::default() })
}

fn verdict(filter: &CompiledFilter, name: &str) -> Verdict {
    filter.verdict(WireName::parse(name).unwrap().as_bytes(), PolicyId(0))
}

fn is_blocked(filter: &CompiledFilter, name: &str) -> bool {
    matches!(verdict(filter, name), Verdict::Blocked(_))
}

/// The `n`th of names that look like a list's.
fn synthetic(n: u64) -> String {
    let scattered = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("h{:x}.ads{}.example", scattered, n % 997)
}

#[test]
fn the_report_says_what_a_list_holds() {
    let report = inspect(
        b"# note\n0.0.0.0 a.example b.example\nc.example\n@@||d.example^\n||x/y^\nlocalhost\n",
    )
    .unwrap();
    assert_eq!((report.lines, report.rules, report.allow_rules), (6, 4, 1));
    assert_eq!(report.skipped().collect::<Vec<_>>(), [(Skip::Url, 1), (Skip::Reserved, 1)]);
    assert_eq!(inspect(b"0.0.0.0 a.example\n").unwrap().format(), Some(Format::Hosts));
    assert_eq!(inspect(b"").unwrap(), Report::default());
    assert_eq!(inspect(b"a.example").unwrap().lines, 1);
}

#[test]
fn no_rule_is_missed_in_tables_of_any_size() {
    for size in [0, 1, 2, 3, 9, 10, 11, 100, 5_000] {
        let text: String = (0..size).map(|n| synthetic(n) + "\n").collect();
        let table = table(&[("a", ListKind::Block, &text)]);
        assert_eq!(table.rules(), size);
        let filter = filter(table);
        for n in 0..size {
            assert!(is_blocked(&filter, &synthetic(n)), "{} of {size}", synthetic(n));
        }
        assert_eq!(verdict(&filter, "innocent.example"), Verdict::NoMatch);
    }
}

#[test]
fn names_without_a_rule_are_not_taken_for_one() {
    let text: String = (0..20_000).map(|n| synthetic(n) + "\n").collect();
    let filter = filter(table(&[("a", ListKind::Block, &text)]));
    // Expected: 200,000 names of three suffixes at 1 in 10^11 each. One hit is a defect.
    let hits = (1_000_000..1_200_000).filter(|n| is_blocked(&filter, &synthetic(*n))).count();
    assert_eq!(hits, 0);
}

#[test]
fn a_name_in_several_lists_has_all_of_them() {
    let table = table(&[
        ("a", ListKind::Block, "x.example\ny.example\n"),
        ("b", ListKind::Block, "x.example\n"),
        ("c", ListKind::Allow, "x.example\n"),
    ]);
    let mut found = Vec::new();
    table.lookup(
        table.hasher().whole(WireName::parse("x.example").unwrap().as_bytes()),
        |member| {
            found.push(member.list);
        },
    );
    assert_eq!(found, [0, 1, 2]);
    assert_eq!(table.rules(), 2);
}

#[test]
fn when_the_numbers_of_sets_run_out_sets_of_one_stand_in() {
    // Each name in a set of lists of its own: far more sets than a u16 can number.
    let lists = 20;
    let names = 70_000_u64;
    let mut texts = vec![String::new(); lists];
    for n in 0..names {
        for (list, text) in texts.iter_mut().enumerate() {
            if (n + 1) >> list & 1 == 1 {
                text.push_str(&synthetic(n));
                text.push('\n');
            }
        }
    }
    let mut compiler = Compiler::new(KEY);
    for (i, text) in texts.iter().enumerate() {
        compiler.add_list(&i.to_string(), ListKind::Block, [0; 32], text.as_bytes()).unwrap();
    }
    let table = compiler.finish().unwrap();
    assert_eq!(table.rules(), names);
    for n in (0..names).step_by(7) {
        let mut found = 0_u64;
        let name = WireName::parse(&synthetic(n)).unwrap();
        table.lookup(table.hasher().whole(name.as_bytes()), |m| found |= 1 << m.list);
        assert_eq!(found, n + 1, "{name}");
    }
}

#[test]
fn more_lists_than_a_mask_has_bits_are_refused() {
    let mut compiler = Compiler::new(KEY);
    for i in 0..MAX_LISTS {
        compiler.add_list(&i.to_string(), ListKind::Block, [0; 32], b"a.example").unwrap();
    }
    let one_more = compiler.add_list("more", ListKind::Block, [0; 32], b"a.example");
    assert_eq!(one_more, Err(CompileError::TooManyLists));
    assert_eq!(compiler.finish().unwrap().lists().len(), MAX_LISTS);
}

#[test]
fn a_stored_table_is_the_same_table() {
    let text: String = (0..3_000).map(|n| synthetic(n) + "\n").collect();
    let before =
        table(&[("a", ListKind::Block, &text), ("b", ListKind::Allow, "ok.example\n||x/y^\n")]);
    let after = Table::from_bytes(&before.to_bytes(), KEY).unwrap();
    assert_eq!(after.lists(), before.lists());
    assert_eq!(after.rules(), before.rules());
    assert_eq!(after.to_bytes(), before.to_bytes());
    let filter = filter(after);
    assert!((0..3_000).all(|n| is_blocked(&filter, &synthetic(n))));
    assert!(matches!(verdict(&filter, "www.ok.example"), Verdict::Allowed(_)));
}

#[test]
fn a_stored_table_is_refused_with_another_key_or_version() {
    let bytes = table(&[("a", ListKind::Block, "x.example")]).to_bytes();
    let other = HashKey([1; 16]);
    assert_eq!(Table::from_bytes(&bytes, other).unwrap_err(), FormatError::Key);
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(Table::from_bytes(&newer, KEY).unwrap_err(), FormatError::Version(9));
    assert_eq!(Table::from_bytes(b"", KEY).unwrap_err(), FormatError::NotATable);
    assert_eq!(Table::from_bytes(b"<html></html>", KEY).unwrap_err(), FormatError::NotATable);
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_stored_table_is_refused() {
    let bytes = table(&[("a", ListKind::Block, "x.example\ny.example\n")]).to_bytes();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(Table::from_bytes(&bad, KEY).is_err(), "bit {} of byte {at}", at % 8);
        assert!(Table::from_bytes(&bytes[..at], KEY).is_err(), "cut at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_compiles_and_every_rule_in_it_is_found(
        text in "([a-z0-9]{1,3}\\.[a-z]{1,3}\n|\\|\\|[a-z]{1,3}\\.[a-z]{2}\\^\n|[ -~]{0,30}\n){0,60}",
    ) {
        let table = table(&[("a", ListKind::Block, &text)]);
        for line in text.lines() {
            crate::parse_line(line.as_bytes(), &mut |part| {
                if let Ok(rule) = part {
                    let mut found = Kinds::default();
                    let hash = table.hasher().whole(rule.name.as_bytes());
                    table.lookup(hash, |m| found = found.or(m.kinds));
                    assert!(!found.and(Kinds::of(&rule)).is_empty(), "{rule:?}");
                }
            });
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_list_that_panics(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut compiler = Compiler::new(KEY);
        compiler.add_list("a", ListKind::Block, [0; 32], &text).unwrap();
        compiler.finish().unwrap();
    }

    /// Right checksum, wrong content: whatever is accepted must not panic when asked.
    #[test]
    fn a_forged_table_is_refused_or_harmless(
        changes in proptest::collection::vec((12_usize..600, any::<u8>()), 1..6),
    ) {
        let mut bytes = table(&[("a", ListKind::Block, "x.example\ny.example\n")]).to_bytes();
        for (at, value) in changes {
            let len = bytes.len() - 4;
            bytes[at % len] = value;
        }
        let body = bytes.len() - 4;
        let crc = crc32fast::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(&crc.to_le_bytes());
        if let Ok(table) = Table::from_bytes(&bytes, KEY) {
            let filter = filter(table);
            for n in 0..50 {
                let _ = verdict(&filter, &synthetic(n));
            }
            let _ = verdict(&filter, "x.example");
        }
    }
}
