//! Compiles lists and says what it took; with a name, also why it is blocked.
//!
//!     cargo run --release -p lanward-blocklists --example measure -- FILE... [why NAME...]
//!     cargo run --release -p lanward-blocklists --example measure -- synthetic 1000000
//!     ... -- synthetic 1000000 store FILE     and then, for the memory of a restart:
//!     ... -- load FILE
//!
//! Files may be gzipped.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program for people")]

use std::io::Read as _;
use std::time::Instant;

use lanward_blocklists::{
    Action, CompiledFilter, Compiler, FilterParts, HashKey, ListKind, RulePolicies, Scope, Table,
    UserRule, WireName,
};
use lanward_dns::{Filter as _, PolicyId, Verdict};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let names = match arguments.iter().position(|a| a == "why") {
        Some(at) => arguments.split_off(at).split_off(1),
        None => Vec::new(),
    };
    let key = HashKey(*b"measurement key.");
    if let [word, file] = arguments.as_slice()
        && word == "load"
    {
        println!("start        resident {}", resident());
        let started = Instant::now();
        let table = Table::from_bytes(&std::fs::read(file)?, key)?;
        println!("read, load   {:>12.1?} for {} rules", started.elapsed(), table.rules());
        println!("steady       resident {}", resident());
        return Ok(());
    }
    let store = match arguments.iter().position(|a| a == "store") {
        Some(at) => arguments.split_off(at).pop(),
        None => None,
    };
    let texts = match arguments.as_slice() {
        [word, count] if word == "synthetic" => {
            let count: u64 = count.parse()?;
            vec![("synthetic".to_owned(), (0..count).map(synthetic).collect::<String>().into())]
        }
        files => files.iter().map(|f| Ok((f.clone(), read(f)?))).collect::<Result<_, Error>>()?,
    };
    let is_synthetic = arguments.first().is_some_and(|word| word == "synthetic");
    let filter = compile(texts, key)?;
    if is_synthetic {
        let rules = filter.table().rules();
        time_verdicts("hit", &filter, (0..100_000).map(|n| synthetic(n * 61 % rules)))?;
        time_verdicts("miss", &filter, (0..100_000).map(|n| format!("www.{n:x}.shop.example\n")))?;
    }
    if let Some(file) = store {
        std::fs::write(file, filter.table().to_bytes())?;
    }
    for name in names {
        let why = filter.explain(&WireName::parse(&name)?, PolicyId(0));
        println!("\n{why}");
        for found in &why.matches {
            let mark = if found.decided { '*' } else { ' ' };
            println!("  {mark} {}  in {}", found.rule(), found.list_name);
        }
    }
    Ok(())
}

/// The quickest of many short runs: what it takes when nothing else has the processor.
fn time_verdicts(
    what: &str,
    filter: &CompiledFilter,
    names: impl Iterator<Item = String>,
) -> Result<(), Error> {
    let names: Vec<WireName> =
        names.map(|name| WireName::parse(name.trim())).collect::<Result<_, _>>()?;
    let mut best = f64::MAX;
    let mut blocked = 0;
    for batch in names.chunks(500) {
        let started = Instant::now();
        for name in batch {
            let verdict = filter.verdict(name.as_bytes(), PolicyId(0));
            blocked += usize::from(matches!(verdict, Verdict::Blocked(_)));
        }
        best = best.min(started.elapsed().as_nanos() as f64 / batch.len() as f64);
    }
    println!("verdict      {best:>9.0} ns, {what}; {blocked} of {} blocked", names.len());
    Ok(())
}

fn compile(texts: Vec<(String, Vec<u8>)>, key: HashKey) -> Result<CompiledFilter, Error> {
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    let policies = vec![texts.iter().map(|(id, _)| id.clone()).collect()];
    println!("texts        {bytes:>12} bytes; resident {}", resident());
    let started = Instant::now();
    let mut compiler = Compiler::new(key);
    let mut rules = 0;
    for (id, text) in texts {
        let report = compiler.add_list(&id, ListKind::Block, [0; 32], &text)?;
        let format = report.format().map_or("?", |format| format.as_str());
        println!("{id}: {} rules, mostly {format}", report.rules);
        for (kind, count) in report.skipped() {
            println!("    left out: {count} {}", kind.as_str());
        }
        rules += report.rules;
    }
    let parsed = started.elapsed();
    let table = compiler.finish()?;
    let compiled = started.elapsed();
    println!("parse        {parsed:>12.1?}");
    println!("compile      {:>12.1?}", compiled - parsed);
    println!("rules        {rules:>12}, {} distinct", table.rules());
    let memory = table.memory_bytes();
    println!(
        "table        {memory:>12} bytes, {:.2} a rule; resident {}",
        memory as f64 / table.rules().max(1) as f64,
        resident()
    );
    let stored = table.to_bytes();
    drop(table);
    let started = Instant::now();
    let table = Table::from_bytes(&stored, key)?;
    println!("load         {:>12.1?} of {} bytes", started.elapsed(), stored.len());
    drop(stored);
    println!("steady       resident {}", resident());
    let rules = vec![UserRule {
        id: "one".to_owned(),
        name: WireName::parse("one-more.example")?,
        scope: Scope::Subtree,
        action: Action::Block,
        policies: RulePolicies::All,
    }];
    let started = Instant::now();
    let filter = CompiledFilter::new(table, &FilterParts { policies, rules, ..Default::default() });
    println!("one rule more {:>11.1?}", started.elapsed());
    Ok(filter)
}

fn read(path: &str) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(path)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text)?;
    Ok(text)
}

fn synthetic(n: u64) -> String {
    format!("{:x}.track{}.example\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24, n % 50_021)
}

/// Resident memory now and at its peak, as Linux tells it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or("?").to_owned()
    };
    format!("{} kB, peak {} kB", of("VmRSS:"), of("VmHWM:"))
}
