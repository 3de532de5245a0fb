#!/usr/bin/env bash
# CPU, times and memory of resolvers side by side on this machine, under the same questions: Lanward,
# and what of unbound, kresd, dnsmasq, pdns_recursor and hickory-dns is installed, beside a bare
# receive and send loop.
#
#   sudo benches/resolvers.sh [--only "lanward unbound"] [--seconds 4] [--rounds 3] [--rules 1000000]
#                             [--cores 1] [--rates "1 100 1000"]
#
# Each resolver has core 0 for itself, dnsperf and the upstream server core 1; with --cores 2 it has
# two threads, and shares core 1 with them. All are in a network namespace with nothing but loopback.
# Each forwards to the bare loop, validates nothing, keeps no history and blocks RULES names. CPU is
# the process's own, user and kernel, from schedstat.
#
#   cached   10,000 names asked before, the first of them most
#   blocked  names of the rules
#   local    100 names that the resolver is the authority for
#   mix      70 % names asked before, 20 % blocked, 10 % never seen; the upstream takes 5 ms
#   reload   the longest answer of 4 s at 10,000 a second without anything else, then while the list is
#            replaced by another and read again
#   idle     CPU and wake-ups of 10 s without a question
#   1, ...   CPU a question at so many questions a second, a tenth never seen
#
# Of each workload first as much as the resolver can, then half of that for the times.
#
# Needs root, dnsperf, python3, for kresd lua-cqueues, and: cargo build --release && cargo build --release -p lanward-dns
# --example responder.
set -euo pipefail

only="responder lanward unbound kresd dnsmasq pdns_recursor hickory-dns" seconds=4 rounds=3
rules=1000000 cores=1 rates="1 100 1000"
while [ $# -gt 0 ]; do
  case "$1" in
    --only) only=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --rules) rules=$2; shift 2 ;;
    --cores) cores=$2; shift 2 ;;
    --rates) rates=$2; shift 2 ;;
    *) sed -n '2,27p' "$0"; exit 2 ;;
  esac
done

if [ -z "${RESOLVERS_NETNS:-}" ]; then exec env RESOLVERS_NETNS=1 unshare -n "$0" \
  --only "$only" --seconds "$seconds" --rounds "$rounds" --rules "$rules" --cores "$cores" \
  --rates "$rates"; fi
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
local = [(f"h{i}.home.arpa", f"192.0.2.{i}") for i in range(100)]
soa = "@ SOA localhost. root.localhost. 1 60 60 60 60\n@ NS localhost.\n"
def lists(new, block):
    with open(f"{work}/block.txt{new}", "w") as out: out.writelines(f"{name}\n" for name in block)
    with open(f"{work}/unbound-block.conf{new}", "w") as out:
        out.write("server:\n"); out.writelines(f'local-zone: "{name}." always_null\n' for name in block)
    with open(f"{work}/rpz.zone{new}", "w") as out:
        out.write("$ORIGIN rpz.\n$TTL 60\n" + soa.replace(" 1 60", " 2 60" if new else " 1 60"))
        for name in block: out.write(f"{name} CNAME .\n*.{name} CNAME .\n")
lists("", block)
lists(".new", block[1000:] + [f"new{i}.ads.example.org" for i in range(1000)])
with open(f"{work}/dnsmasq-block.conf", "w") as out: out.writelines(f"address=/{name}/\n" for name in block)
with open(f"{work}/local.zone", "w") as out:
    out.write("$ORIGIN home.arpa.\n$TTL 60\n" + soa); out.writelines(f"{name}. A {addr}\n" for name, addr in local)
with open(f"{work}/local.hosts", "w") as out: out.writelines(f"{addr} {name}\n" for name, addr in local)
with open(f"{work}/local.toml", "w") as out:
    for name, addr in local: out.write(f'[[record]]\nname = "{name}"\ntype = "A"\nvalue = "{addr}"\n')
with open(f"{work}/local.unbound", "w") as out:
    out.write('server:\n local-zone: "home.arpa." static\n')
    for name, addr in local: out.write(f' local-data: "{name}. A {addr}"\n')
put("warm", warm)
put("local", [rnd.choice(local)[0] for _ in range(400000)])
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
  rm -rf data; mkdir data
  for list in block.txt unbound-block.conf rpz.zone; do cp "$list" "live-$list"; done
  case "$1" in
    responder) set -- "$bin/examples/responder" --listen 127.0.0.1:5353 --threads "$cores" ;;
    lanward)
      printf '%s\n' 'version = 1' 'household = "household.toml"' '[node]' 'name = "bench"' \
        "data_dir = \"$work/data\"" '[dns]' 'listen = ["127.0.0.1:5353"]' "workers = $cores" \
        'tls_listen = []' 'https_listen = []' '[dhcp]' 'enabled = false' '[web]' \
        'listen = ["127.0.0.1:18053"]' '[pair]' 'listen = "127.0.0.1:1647"' > lanward.toml
      printf '%s\n' 'version = 1' 'upstreams = ["127.0.0.1:5301"]' 'rate_limit = 0' \
        'dnssec = "off"' '[history]' "level = \"${HISTORY:-off}\"" '[[network]]' 'id = "lo"' \
        'subnet = "127.0.0.0/8"' 'policy = "all"' '[[policy]]' 'id = "all"' 'lists = ["big"]' \
        '[[list]]' 'id = "big"' "file = \"$work/live-block.txt\"" | cat - local.toml > household.toml
      set -- "$bin/lanward" --config lanward.toml run ;;
    unbound)
      printf '%s\n' 'server:' ' interface: 127.0.0.1@5353' " num-threads: $cores" ' do-daemonize: no' \
        ' username: ""' ' chroot: ""' " directory: \"$work\"" ' pidfile: ""' ' use-syslog: no' \
        ' do-not-query-localhost: no' ' module-config: "iterator"' ' so-rcvbuf: 1m' \
        ' access-control: 127.0.0.0/8 allow' 'remote-control:' ' control-enable: yes' \
        ' control-use-cert: no' " control-interface: $work/unbound.ctl" 'forward-zone:' ' name: "."' \
        ' forward-addr: 127.0.0.1@5301' "include: \"$work/live-unbound-block.conf\"" \
        "include: \"$work/local.unbound\"" > unbound.conf
      set -- unbound -d -c unbound.conf ;;
    kresd)
      printf '%s\n' "net.listen('127.0.0.1', 5353)" "modules = { 'policy', 'hints > iterate' }" \
        "trust_anchors.remove('.')" 'cache.size = 100*MB' "hints.add_hosts('$work/local.hosts')" \
        "policy.add(policy.rpz(policy.DENY, '$work/live-rpz.zone', true))" \
        "policy.add(policy.all(policy.FORWARD('127.0.0.1@5301')))" > kresd.conf
      mkdir -p kresd; set -- kresd -n -c "$work/kresd.conf" "$work/kresd" ;;
    dnsmasq)
      set -- dnsmasq -k --conf-file="$work/dnsmasq-block.conf" --port 5353 --no-resolv --no-hosts \
        --addn-hosts="$work/local.hosts" --listen-address=127.0.0.1 --bind-interfaces \
        --server=127.0.0.1#5301 --cache-size=10000 --dns-forward-max=10000 --user=root \
        --pid-file="$work/dnsmasq.pid" ;;
    pdns_recursor)
      printf 'rpzFile("%s/live-rpz.zone", {policyName="block"})\n' "$work" > rec.lua
      set -- pdns_recursor --config-dir="$work" --socket-dir="$work" --local-address=127.0.0.1:5353 \
        --threads="$cores" --dnssec=off --forward-zones-recurse=.=127.0.0.1:5301 --daemon=no \
        --auth-zones=home.arpa="$work/local.zone" --allow-from=127.0.0.0/8 --dont-query= --quiet \
        --lua-config-file="$work/rec.lua" --write-pid=no ;;
    hickory-dns)
      printf '%s\n' 'listen_addrs_ipv4 = ["127.0.0.1"]' 'listen_port = 5353' \
        'drop_privileges = false' '[udp_socket]' "sockets = $cores" '[[zones]]' \
        'zone = "home.arpa"' 'zone_type = "Primary"' 'file = "local.zone"' '[[zones]]' 'zone = "."' \
        'zone_type = "External"' '[[zones.stores]]' 'type = "blocklist"' 'wildcard_match = true' \
        'lists = ["live-block.txt"]' 'log_clients = false' '[[zones.stores]]' 'type = "forward"' \
        '[[zones.stores.name_servers]]' 'ip = "127.0.0.1"' 'trust_negative_responses = true' \
        'connections = [ { port = 5301, protocol = { type = "udp" } } ]' '[zones.stores.options]' \
        'cache_size = 50000' > hickory.toml
      set -- hickory-dns -q --workers "$cores" -c "$work/hickory.toml" -z "$work" ;;
  esac
  began=$(date +%s%N)
  local on=0
  [ "$cores" = 1 ] || on=0,1
  # shellcheck disable=SC2086
  taskset -c $on "$@" > "$work/log" 2>&1 & server=$!
  # A kresd process has one thread: a second one shares its port.
  if [ "$1" = kresd ] && [ "$cores" = 2 ]; then
    taskset -c $on "$@" > "$work/log2" 2>&1 & server="$server $!"
  fi
  cd "$root"
}

# Has a resolver read another list; fails where it can only be started anew.
reload() {
  local list
  for list in block.txt unbound-block.conf rpz.zone; do
    cp "$work/$list.new" "$work/incoming" && mv "$work/incoming" "$work/live-$list"
  done
  case "$1" in
    lanward) kill -HUP $server ;;
    unbound) unbound-control -c "$work/unbound.conf" reload >/dev/null 2>&1 & ;;
    pdns_recursor)
      rec_control --config-dir="$work" --socket-dir="$work" --timeout=60 reload-lua-config >/dev/null 2>&1 & ;;
    kresd) ;; # It watches the file.
    *) return 1 ;;
  esac
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

cpu() { for pid in $server; do cat /proc/"$pid"/task/*/schedstat; done | awk '{s += $1; n += $3} END {printf "%.6f %d\n", s / 1e9, n}'; }
# Hundredths of a second, those of threads that have ended among them.
ticks() { for pid in $server; do cat /proc/"$pid"/stat; done | awk '{s += $14 + $15} END {print s}'; }
# VmRSS or VmHWM, in MB.
memory() { for pid in $server; do cat /proc/"$pid"/status; done | awk -v what="$1:" '$1 == what {s += $2} END {printf "%d", s / 1024}'; }

# load FILE SECONDS QPS (0: as many as it can): CPU s a million questions, questions a second, lost,
# wake-ups a question
load() {
  local before after out rate=''
  [ "$3" = 0 ] || rate="-Q $3"
  before=$(cpu)
  # shellcheck disable=SC2086
  out=$(taskset -c 1 dnsperf -s 127.0.0.1 -p 5353 -d "$work/$1" -l "$2" -c 8 -q 100 -t 2 $rate 2>/dev/null)
  after=$(cpu)
  awk -v b="$before" -v a="$after" '
    /Queries completed/ {done = $3} /Queries per second/ {qps = $4} /Queries lost/ {lost = $3}
    END {split(b, x, " "); split(a, y, " "); printf "%.2f %d %d %.2f\n", (y[1] - x[1]) / done * 1e6, qps, lost, (y[2] - x[2]) / done}' <<< "$out"
}

# times FILE SECONDS QPS: microseconds, median, 99th percentile and longest, and questions lost
times() {
  taskset -c 1 dnsperf -s 127.0.0.1 -p 5353 -d "$work/$1" -l "$2" -c 8 -q 1000 -t 2 -Q "$3" -v > "$work/times" 2>/dev/null
  awk '/^> / && $2 != "T" {print int($5 * 1e6)}' "$work/times" | sort -n > "$work/sorted"
  awk -v lost="$(awk '/Queries lost/ {print $3}' "$work/times")" \
    '{v[NR] = $0} END {print v[int((NR + 1) / 2)], v[int(NR * .99)], v[NR], lost}' "$work/sorted"
}

middle() { sort -n | awk '{v[NR] = $0} END {print v[int((NR + 1) / 2)]}'; }

row() { # NAME WORKLOAD
  local name=$1 workload=$2 results=() run file
  for run in $(seq 0 $((rounds - 1))); do
    file=$workload; [ "$workload" != mix ] || file=mix$run
    results+=("$(load "$file" "$seconds" 0)")
  done
  # shellcheck disable=SC2046
  set -- $(printf '%s\n' "${results[@]}" | middle)
  [ "$workload" != mix ] || file=mix$rounds
  # shellcheck disable=SC2046
  set -- "$@" $(times "$file" "$seconds" $(($2 / 2)))
  printf '%-14s %-8s %6s CPU s a million, %7s a second, %s lost; at half of it %s us, p99 %s us, longest %s us; %s MB\n' \
    "$name" "$workload" "$1" "$2" "$3" "$5" "$6" "$7" "$(memory VmRSS)"
}

rule=$(sed -n "$((rules / 2 + 1))p" "$work/block.txt")
for name in $only; do
  [ "$name" = responder ] || [ "$name" = lanward ] || command -v "$name" >/dev/null || { echo "$name is not installed"; continue; }
  if [ "$name" = dnsmasq ] && [ "$cores" = 2 ]; then echo "dnsmasq has one thread"; continue; fi
  start_upstream 0
  start "$name"
  if [ "$name" = responder ]; then
    sleep 1
    row responder cached
    stop $server; server=''
    continue
  fi
  for _ in $(seq 1200); do ask "$rule" && break; kill -0 $server 2>/dev/null || break; sleep 0.005; done
  ask "$rule" || { echo "$name does not block: $(tail -5 "$work/log")"; stop $server; server=''; continue; }
  printf '%-14s blocks %s ms after its start, %s MB\n' "$name" $((($(date +%s%N) - began) / 1000000)) "$(memory VmRSS)"
  load warm 2 5000 >/dev/null
  row "$name" cached
  row "$name" blocked
  row "$name" local
  start_upstream 5; sleep 0.3
  row "$name" mix
  # Threads that read the list have ended by then, and are not counted half.
  sleep 12
  if [ "$cores" = 1 ]; then
    t0=$(ticks) n0=$(cpu); sleep 10; t1=$(ticks) n1=$(cpu)
    awk -v n="$name" -v t="$t0 $t1" -v w="$n0 $n1" 'BEGIN {split(t, v, " "); split(w, x, " "); printf "%-14s idle     %.1f %% of a core, %.1f wake-ups a second\n", n, (v[2] - v[1]) / 10, (x[4] - x[2]) / 10}'
    run=$((rounds + 1))
    for rate in $rates; do
      lasts=10; [ "$rate" -lt 1000 ] || lasts=5
      # shellcheck disable=SC2046
      set -- $(load "mix$run" "$lasts" "$rate"); run=$((run + 1))
      printf '%-14s %5s/s  %6s us CPU a question, %s wake-ups\n' "$name" "$rate" "$1" "$4"
    done
  fi
  quiet=$(times cached 4 10000)
  (sleep 1; reload "$name") & reloading=$!
  busy=$(times cached 4 10000)
  if wait $reloading; then
    for _ in $(seq 100); do ask new7.ads.example.org && break; sleep 0.005; done
    ask new7.ads.example.org || echo "$name has not read its list again"
    printf '%-14s reload   longest answer %s us, without %s us; %s lost; %s MB at most\n' "$name" \
      "$(cut -d' ' -f3 <<< "$busy")" "$(cut -d' ' -f3 <<< "$quiet")" "$(cut -d' ' -f4 <<< "$busy")" "$(memory VmHWM)"
  else
    printf '%-14s reads its list when it is started, and only then\n' "$name"
  fi
  stop $server; server=''
done
