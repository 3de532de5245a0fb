#!/usr/bin/env bash
# Looks for inputs of a fuzz target of the DNS crate (dns/src/fuzz.rs) that reach new code, with
# libFuzzer, and stops at the first that breaks a rule:
#
#   benches/fuzz.sh fuzz::targets::pipeline 600       # seconds
#   benches/fuzz.sh server::stream::tests::framing 600
#
# It does what `cargo bolero test` does, which cannot be used here: that instruments every test
# program of the crate and links the fuzzer only to those that have targets. Needs a C++ compiler.
# New inputs go to FUZZ_DIR (target/fuzz), not into the committed corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1 seconds=${2:-60} dir=${FUZZ_DIR:-target/fuzz}
flags="--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module"
for flag in inline-8bit-counters level=4 pc-table trace-compares stack-depth; do
  flags+=" -Cllvm-args=-sanitizer-coverage-$flag"
done
# Flags that stable compilers keep for nightly ones.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags RUSTDOCFLAGS=$flags BOLERO_FUZZER=libfuzzer
host=$(rustc -vV | sed -n 's/^host: //p')
program=$(cargo test --locked -p lanward-dns --lib --no-run --profile fuzz --target "$host" \
  --target-dir "$dir" --message-format json | sed -n 's/.*"executable":"\([^"]*lanward_dns-[^"]*\)".*/\1/p')
corpus=$dir/corpus/$target crashes=$dir/crashes/$target
mkdir -p "$corpus" "$crashes"
committed=$(find dns/src -path "*__fuzz__/${target//::/__}/corpus" -type d)
BOLERO_TEST_NAME=$target BOLERO_LIBTEST_HARNESS=1 \
BOLERO_LIBFUZZER_ARGS="$corpus $committed $crashes -artifact_prefix=$crashes/ -max_total_time=$seconds" \
  exec "$program" "$target" --exact --nocapture --quiet --test-threads 1
