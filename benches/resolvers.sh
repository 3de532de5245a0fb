#!/usr/bin/env bash
# CPU and memory of resolvers side by side on this machine, under the same questions: Lanward, and
# what of unbound, kresd, dnsmasq and pdns_recursor is installed, beside a bare receive and send loop.
#
#   sudo benches/resolvers.sh [--only "lanward unbound"] [--seconds 4] [--rounds 3] [--rules 1000000]
#                             [--rates "1 100 1000"]
#
# Each resolver has core 0 for itself, dnsperf and the upstream server core 1; all are in a network
# namespace with nothing but loopback. Each forwards to the bare loop, validates nothing, keeps no
# history and blocks RULES names. CPU is the process's own, user and kernel, from schedstat.
#
#   cached   10,000 names asked before, the first of them most
#   blocked  names of the rules
#   mix      70 % names asked before, 20 % blocked, 10 % never seen; the upstream takes 5 ms
#   idle     CPU and wake-ups of 10 s without a question
#   1, ...   CPU a question at so many questions a second, a tenth never seen
#
# Needs root, dnsperf, python3, and: cargo build --release && cargo build --release -p lanward-dns
# --example responder.
set -euo pipefail

only="responder lanward unbound kresd dnsmasq pdns_recursor" seconds=4 rounds=3 rules=1000000
rates="1 100 1000"
while [ $# -gt 0 ]; do
  case "$1" in
    --only) only=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --rules) rules=$2; shift 2 ;;
    --rates) rates=$2; shift 2 ;;
    *) sed -n '2,19p' "$0"; exit 2 ;;
  esac
done

if [ -z "${RESOLVERS_NETNS:-}" ]; then exec env RESOLVERS_NETNS=1 unshare -n "$0" \
  --only "$only" --seconds "$seconds" --rounds "$rounds" --rules "$rules" --rates "$rates"; fi
ip link set lo up

root=$(cd "$(dirname "$0")/.." && pwd)
bin=${LANWARD_TARGET:-$root/target/release}
work=$(mktemp -d)
server='' upstream=''
stop() { for pid in "$@"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done; }
cleanup() { stop $server $upstream; rm -rf "$work"; }
trap cleanup EXIT
mkdir "$work/data"

# Names: the rules, a warm set, and for each run names that nobody has asked before.
python3 - "$work" "$rules" "$rounds" <<'PY'
import random, sys
work, rules, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rnd = random.Random(8)
words = ["ads", "track", "metric", "pixel", "cdn", "beacon", "log", "stat", "click", "tag"]
block = [f"{words[i % 10]}{i}.{words[i * 7 % 10]}{i % 4099}.example.org" for i in range(rules)]
warm = [f"www{i}.site{i % 997}.example.net" for i in range(10000)]
near = lambda names: names[min(int(rnd.paretovariate(0.7)) - 1, len(names) - 1)]
def put(name, lines):
    with open(f"{work}/{name}", "w") as out: out.writelines(f"{line} A\n" for line in lines)
with open(f"{work}/block.txt", "w") as out: out.writelines(f"{name}\n" for name in block)
with open(f"{work}/unbound-block.conf", "w") as out:
    out.write("server:\n"); out.writelines(f'local-zone: "{name}." always_null\n' for name in block)
with open(f"{work}/dnsmasq-block.conf", "w") as out: out.writelines(f"address=/{name}/\n" for name in block)
with open(f"{work}/rpz.zone", "w") as out:
    out.write("$ORIGIN rpz.\n$TTL 60\n@ SOA localhost. root.localhost. 1 60 60 60 60\n@ NS localhost.\n")
    for name in block: out.write(f"{name} CNAME .\n*.{name} CNAME .\n")
put("warm", warm)
put("cached", [near(warm) for _ in range(400000)])
put("blocked", [rnd.choice(block) for _ in range(400000)])
for run in range(rounds + 12):
    lines = []
    for i in range(600000 if run < rounds else 12000):
        draw = rnd.random()
        new = f"n{run}-{i}.new.example.net"
        lines.append(near(warm) if draw < .7 else rnd.choice(block) if draw < .9 else new)
    put(f"mix{run}", lines)
PY

start_upstream() {
  stop $upstream
  taskset -c 1 "$bin/examples/responder" --listen 127.0.0.1:5301 --delay-ms "$1" >/dev/null & upstream=$!
}

start() {
  cd "$work"
  case "$1" in
    responder) set -- "$bin/examples/responder" --listen 127.0.0.1:5353 ;;
    lanward)
      printf '%s\n' 'version = 1' 'household = "household.toml"' '[node]' 'name = "bench"' \
        "data_dir = \"$work/data\"" '[dns]' 'listen = ["127.0.0.1:5353"]' 'workers = 1' \
        'tls_listen = []' 'https_listen = []' '[dhcp]' 'enabled = false' '[web]' \
        'listen = ["127.0.0.1:18053"]' '[pair]' 'listen = "127.0.0.1:1647"' > lanward.toml
      printf '%s\n' 'version = 1' 'upstreams = ["127.0.0.1:5301"]' 'rate_limit = 0' \
        'dnssec = "off"' '[history]' "level = \"${HISTORY:-off}\"" '[[network]]' 'id = "lo"' \
        'subnet = "127.0.0.0/8"' 'policy = "all"' '[[policy]]' 'id = "all"' 'lists = ["big"]' \
        '[[list]]' 'id = "big"' "file = \"$work/block.txt\"" > household.toml
      set -- "$bin/lanward" --config lanward.toml run ;;
    unbound)
      printf '%s\n' 'server:' ' interface: 127.0.0.1@5353' ' num-threads: 1' ' do-daemonize: no' \
        ' username: ""' ' chroot: ""' " directory: \"$work\"" ' pidfile: ""' ' use-syslog: no' \
        ' do-not-query-localhost: no' ' module-config: "iterator"' ' so-rcvbuf: 1m' \
        ' access-control: 127.0.0.0/8 allow' 'forward-zone:' ' name: "."' \
        ' forward-addr: 127.0.0.1@5301' "include: \"$work/unbound-block.conf\"" > unbound.conf
      set -- unbound -d -c unbound.conf ;;
    kresd)
      printf '%s\n' "net.listen('127.0.0.1', 5353)" "modules = { 'policy' }" \
        "trust_anchors.remove('.')" 'cache.size = 100*MB' \
        "policy.add(policy.rpz(policy.DENY, '$work/rpz.zone'))" \
        "policy.add(policy.all(policy.FORWARD('127.0.0.1@5301')))" > kresd.conf
      mkdir -p kresd; set -- kresd -n -c "$work/kresd.conf" "$work/kresd" ;;
    dnsmasq)
      set -- dnsmasq -k --conf-file="$work/dnsmasq-block.conf" --port 5353 --no-resolv --no-hosts \
        --listen-address=127.0.0.1 --bind-interfaces --server=127.0.0.1#5301 --cache-size=10000 \
        --dns-forward-max=10000 --user=root --pid-file="$work/dnsmasq.pid" ;;
    pdns_recursor)
      printf 'rpzFile("%s/rpz.zone", {policyName="block"})\n' "$work" > rec.lua
      set -- pdns_recursor --config-dir="$work" --socket-dir="$work" --local-address=127.0.0.1:5353 \
        --threads=1 --dnssec=off --forward-zones-recurse=.=127.0.0.1:5301 --daemon=no \
        --allow-from=127.0.0.0/8 --dont-query= --quiet --lua-config-file="$work/rec.lua" --write-pid=no ;;
  esac
  began=$(date +%s%N)
  taskset -c 0 "$@" > "$work/log" 2>&1 & server=$!
  cd "$root"
}

ask() { python3 - "$1" <<'PY'
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(.1); s.connect(("127.0.0.1", 5353))
q = b"\0\7\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0\0\1\0\1"
try:
    s.send(q); r = s.recv(4096)
    # Blocked: NXDOMAIN, no records, or 0.0.0.0.
    sys.exit(0 if r[3] & 15 == 3 or r[6:8] == b"\0\0" or r.endswith(b"\0\0\0\0") else 1)
except OSError: sys.exit(2)
PY
}

cpu() { cat /proc/"$server"/task/*/schedstat | awk '{s += $1; n += $3} END {printf "%.6f %d\n", s / 1e9, n}'; }
# Hundredths of a second, those of threads that have ended among them.
ticks() { awk '{print $14 + $15}' /proc/"$server"/stat; }
rss() { awk '/VmRSS/ {printf "%d", $2 / 1024}' /proc/"$server"/status; }

# load FILE SECONDS QPS (0: as many as it can): CPU s a million questions, questions a second, lost,
# wake-ups a question
load() {
  local before after out rate=''
  [ "$3" = 0 ] || rate="-Q $3"
  before=$(cpu)
  out=$(taskset -c 1 dnsperf -s 127.0.0.1 -p 5353 -d "$work/$1" -l "$2" -c 8 -q 100 -t 2 $rate 2>/dev/null)
  after=$(cpu)
  awk -v b="$before" -v a="$after" '
    /Queries completed/ {done = $3} /Queries per second/ {qps = $4} /Queries lost/ {lost = $3}
    END {split(b, x, " "); split(a, y, " "); printf "%.2f %d %d %.2f\n", (y[1] - x[1]) / done * 1e6, qps, lost, (y[2] - x[2]) / done}' <<< "$out"
}

middle() { sort -n | awk '{v[NR] = $0} END {print v[int((NR + 1) / 2)]}'; }

row() { # NAME WORKLOAD
  local results=() run file
  for run in $(seq 0 $((rounds - 1))); do
    file=$2; [ "$2" != mix ] || file=mix$run
    results+=("$(load "$file" "$seconds" 0)")
  done
  set -- "$1" "$2" $(printf '%s\n' "${results[@]}" | middle)
  printf '%-14s %-8s %6s CPU s a million, %7s a second, %s lost, %s MB\n' "$1" "$2" "$3" "$4" "$5" "$(rss)"
}

rule=$(sed -n 4711p "$work/block.txt" || true)
for name in $only; do
  [ "$name" = responder ] || [ "$name" = lanward ] || command -v "$name" >/dev/null || { echo "$name is not installed"; continue; }
  start_upstream 0
  start "$name"
  if [ "$name" = responder ]; then
    sleep 1
    row responder cached
    stop $server; server=''
    continue
  fi
  for _ in $(seq 1200); do ask "$rule" && break; sleep 0.05; done
  ask "$rule" || { echo "$name does not block: $(tail -3 "$work/log")"; stop $server; server=''; continue; }
  printf '%-14s blocks %s ms after its start, %s MB\n' "$name" $((($(date +%s%N) - began) / 1000000)) "$(rss)"
  load warm 2 5000 >/dev/null
  row "$name" cached
  row "$name" blocked
  start_upstream 5; sleep 0.3
  row "$name" mix
  # Threads that read the list have ended by then, and are not counted half.
  sleep 12
  t0=$(ticks) n0=$(cpu); sleep 10; t1=$(ticks) n1=$(cpu)
  awk -v n="$name" -v t="$t0 $t1" -v w="$n0 $n1" 'BEGIN {split(t, v, " "); split(w, x, " "); printf "%-14s idle     %.1f %% of a core, %.1f wake-ups a second\n", n, (v[2] - v[1]) / 10, (x[4] - x[2]) / 10}'
  run=$rounds
  for rate in $rates; do
    lasts=10; [ "$rate" -lt 1000 ] || lasts=5
    set -- $(load "mix$run" "$lasts" "$rate"); run=$((run + 1))
    printf '%-14s %5s/s  %6s us CPU a question, %s wake-ups\n' "$name" "$rate" "$1" "$4"
  done
  stop $server; server=''
  rm -rf "$work/data"; mkdir "$work/data"
done
