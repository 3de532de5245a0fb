#!/usr/bin/env bash
# Leases a second: a Lanward pair and a Kea hot-standby pair, one after the other, on this machine,
# with the same wires and the same perfdhcp command.
#
#   sudo benches/dora.sh [--rates "1000 3000 5000"] [--seconds 10] [--only lanward|kea]
#                        [--ahead] [--dir DIR]
#
# Two hosts and the clients' host are network namespaces on one switch. perfdhcp speaks for a relay
# agent that forwards every message to all servers: it broadcasts, with giaddr set. Every exchange
# is a client never seen before. The latencies are those of perfdhcp's own clock, from each message
# to its answer, for every exchange that was completed. DIR is on the disk that is measured; both
# hosts of a pair share it, so it syncs twice as often as a host's own would. What the bare disk
# takes is measured before each row. With --ahead the servers and perfdhcp come before other work of
# the machine, whose use of the disk counts all the same. Never let perfdhcp run under a realtime
# policy: it spins, and a server's thread on its core gets 50 ms of each second.
#
# It needs root, perfdhcp and Kea with its ha and lease_cmds hooks, and target/release/lanward
# (or LANWARD_BIN).
set -euo pipefail

rates="1000 3000 5000" seconds=10 only="lanward kea" dir="" ahead=""
while [ $# -gt 0 ]; do
  case "$1" in
    --rates) rates=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    --dir) dir=$2; shift 2 ;;
    --ahead) ahead=yes; shift ;;
    *) sed -n '2,18p' "$0"; exit 2 ;;
  esac
done

root=$(cd "$(dirname "$0")/.." && pwd)
lanward=${LANWARD_BIN:-$root/target/release/lanward}
[ -x "$lanward" ] || [ "$only" = kea ] || { echo "$lanward is not there: cargo build --release"; exit 1; }
work=$(mktemp -d "${dir:-$root/target}/dora-XXXXXX")
ns="dora$$"
hooks=$(dirname "$(find /usr/lib /usr/local/lib -name libdhcp_ha.so -print -quit 2>/dev/null)")

say() { printf '%s\n' "$*"; }

# Ends what runs in the namespaces of this script, and nothing else.
cleanup() {
  for host in a b clients switch; do
    for pid in $(ip netns pids "$ns-$host" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
    ip netns del "$ns-$host" 2>/dev/null || true
  done
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

wires() {
  ip netns add "$ns-switch"
  ip -n "$ns-switch" link add br0 type bridge forward_delay 0 mcast_snooping 0
  ip -n "$ns-switch" link set br0 up
  local last=1
  for host in a b clients; do
    last=$((last + 1))
    ip netns add "$ns-$host"
    ip -n "$ns-switch" link add "p-$host" type veth peer name eth0 netns "$ns-$host"
    ip -n "$ns-switch" link set "p-$host" master br0 up
    ip -n "$ns-$host" link set lo up
    ip -n "$ns-$host" link set eth0 up
    ip -n "$ns-$host" addr add "10.99.0.$last/16" broadcast 10.99.255.255 dev eth0
  done
}

on() { local host=$1; shift; ip netns exec "$ns-$host" "$@"; }

# Runs a server on a host, as a session of its own that comes before others if --ahead says so.
serve() { # host, command...
  local host=$1; shift
  setsid bash -c '[ -z "$0" ] || echo -19 > /proc/self/autogroup 2>/dev/null || true; exec "$@"' \
    "$ahead" ip netns exec "$ns-$host" "$@"
}

until_true() { # seconds, command...
  local limit=$1; shift
  for _ in $(seq $((limit * 10))); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  say "not within $limit s: $*"; exit 1
}

# --- Lanward ---------------------------------------------------------------------------------

start_lanward() {
  local dir=$1 host
  for host in a b; do
    mkdir -p "$dir/$host/data"
    { [ $host = a ] && say 'household = "household.toml"'
      say "[node]"; say "name = \"pi-$host\""; say 'data_dir = "data"'
    } > "$dir/$host/lanward.toml"
  done
  cat > "$dir/a/household.toml" <<'TOML'
domain = "home.arpa"
upstreams = ["10.99.0.1"]
[[network]]
id = "home"
subnet = "10.99.0.0/16"
router = "10.99.0.1"
[network.dhcp]
pools = ["10.99.1.0-10.99.255.250"]
lease_time = "24h"
probe = false
TOML
  for host in a b; do
    serve $host "$lanward" --config "$dir/$host/lanward.toml" run > "$dir/$host/log" 2>&1 &
    disown
    until_true 20 "$lanward" --config "$dir/$host/lanward.toml" status --json
  done
  local invite
  invite=$("$lanward" --config "$dir/a/lanward.toml" pair invite --json | sed -n 's/.*"invite": *"\([^"]*\)".*/\1/p')
  "$lanward" --config "$dir/b/lanward.toml" pair join "$invite" > /dev/null
  until_true 30 lanward_normal "$dir/a"
  until_true 30 lanward_normal "$dir/b"
}

lanward_normal() {
  "$lanward" --config "$1/lanward.toml" status --json 2>/dev/null | tr -d ' \n' |
    grep -q '"own":{[^}]*"state":"NORMAL"'
}

stop_all() {
  local host pid
  for host in a b; do
    for pid in $(ip netns pids "$ns-$host"); do kill "$pid" 2>/dev/null || true; done
  done
  for host in a b; do
    for _ in $(seq 100); do [ -z "$(ip netns pids "$ns-$host")" ] && break; sleep 0.1; done
    for pid in $(ip netns pids "$ns-$host"); do kill -9 "$pid" 2>/dev/null || true; done
  done
}

# --- Kea -------------------------------------------------------------------------------------

start_kea() {
  local dir=$1 host last=1
  for host in a b; do
    last=$((last + 1))
    mkdir -p "$dir/$host"
    cat > "$dir/$host/kea.json" <<JSON
{ "Dhcp4": {
  "interfaces-config": { "interfaces": ["eth0"], "dhcp-socket-type": "raw" },
  "control-socket": { "socket-type": "unix", "socket-name": "$dir/$host/socket" },
  "lease-database": { "type": "memfile", "persist": true, "name": "$dir/$host/leases.csv", "lfc-interval": 0 },
  "multi-threading": { "enable-multi-threading": true, "thread-pool-size": 2, "packet-queue-size": 64 },
  "valid-lifetime": 86400,
  "subnet4": [ { "id": 1, "subnet": "10.99.0.0/16", "pools": [ { "pool": "10.99.1.0 - 10.99.255.250" } ],
    "option-data": [ { "name": "routers", "data": "10.99.0.1" } ] } ],
  "hooks-libraries": [
    { "library": "$hooks/libdhcp_lease_cmds.so" },
    { "library": "$hooks/libdhcp_ha.so", "parameters": { "high-availability": [ {
      "this-server-name": "$host", "mode": "hot-standby",
      "send-lease-updates": true, "sync-leases": true, "wait-backup-ack": false,
      "max-response-delay": 60000, "max-ack-delay": 10000, "max-unacked-clients": 0,
      "multi-threading": { "enable-multi-threading": true, "http-dedicated-listener": true,
        "http-listener-threads": 2, "http-client-threads": 2 },
      "peers": [
        { "name": "a", "url": "http://10.99.0.2:8000/", "role": "primary" },
        { "name": "b", "url": "http://10.99.0.3:8000/", "role": "standby" } ] } ] } } ],
  "loggers": [ { "name": "kea-dhcp4", "severity": "WARN", "output_options": [ { "output": "$dir/$host/kea.log" } ] } ]
} }
JSON
    serve $host env KEA_PIDFILE_DIR="$dir/$host" KEA_LOCKFILE_DIR="$dir/$host" \
      kea-dhcp4 -c "$dir/$host/kea.json" > "$dir/$host/log" 2>&1 &
    disown
  done
  until_true 60 kea_is "$dir/a" hot-standby
  until_true 60 kea_is "$dir/b" hot-standby
}

kea_is() { # folder, state
  python3 - "$1/socket" "$2" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect(sys.argv[1])
s.sendall(b'{"command": "status-get"}')
text = b''
while part := s.recv(65536): text += part
servers = json.loads(text)["arguments"]["high-availability"][0]["ha-servers"]
sys.exit(servers["local"]["state"] != sys.argv[2])
PY
}

# --- the load --------------------------------------------------------------------------------

# CPU seconds used so far by the daemons of the two hosts.
cpu() {
  local host pid total=0
  for host in a b; do
    for pid in $(ip netns pids "$ns-$host"); do
      total=$((total + $(awk '{print $14 + $15}' "/proc/$pid/stat")))
    done
  done
  awk -v t="$total" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", t / hz }'
}

# What perfdhcp -x t printed, in short. It prints a section for each kind of exchange, and in it a
# line for each one that was answered: when the message left and when its answer came, in seconds.
summary() { # file
  python3 - "$1" <<'PY'
import re, sys
sent, answered, kind = {}, {}, None
for line in open(sys.argv[1], errors="replace"):
    if m := re.match(r"\*\*\*(?:Statistics for|Timestamps for packets): (\S+?)\*\*\*", line):
        kind = m.group(1)
    elif m := re.match(r"sent packets: (\d+)", line):
        sent[kind] = int(m.group(1))
    elif m := re.match(r"sent / received: ([0-9.]+) / ([0-9.]+)", line):
        answered.setdefault(kind, []).append((float(m.group(1)), float(m.group(2))))
for kind, total in sent.items():
    pairs = answered.get(kind, [])
    if not pairs:
        print(f"   {kind}: {total} sent, none answered")
        continue
    took = max(r for _, r in pairs) - min(s for s, _ in pairs)
    ms = sorted(1000 * (r - s) for s, r in pairs)
    at = lambda p: ms[min(len(ms) - 1, int(p * len(ms)))]
    print(f"   {kind}: {total} sent, {len(pairs)} answered, {len(pairs) / took:.0f} a second; "
          f"ms p50 {at(.5):.1f} p95 {at(.95):.1f} p99 {at(.99):.1f} max {ms[-1]:.1f}")
PY
}

measure() { # who, rate
  local who=$1 rate=$2 out="$work/$1-$2.perfdhcp" before after
  before=$(cpu)
  # A namespace of clients never seen before for each rate.
  local base; base=$(printf 'mac=02:%02x:%02x:00:00:00' $((rate / 256 % 256)) $((rate % 256)))
  serve clients perfdhcp -4 -B -l eth0 -r "$rate" -R 1000000 -b "$base" -p "$seconds" -d 3 -W 1000000 -x t \
    255.255.255.255 > "$out" 2>&1 || true
  after=$(cpu)
  say "$who, $rate new clients a second asked for, $seconds s:"
  summary "$out"
  local host full=""
  for host in a b clients; do
    full="$full $host $(on $host awk '/^Udp: [0-9]/ { print $6 }' /proc/net/snmp)"
  done
  say "   packets lost to full socket buffers so far:$full"
  awk -v a="$before" -v b="$after" -v s="$seconds" 'BEGIN {
    printf "   CPU of both servers: %.1f s, %.2f of a core\n", b - a, (b - a) / s }'
}

# What the disk alone allows: two programs at once, as the two hosts are, that do nothing but write
# 4 KiB to a file of their own and flush it. An ACK waits for two flushes, one after the other.
disk() {
  python3 - "$work" <<'PY'
import os, random, sys, threading, time
times = []
def flush(name):
    fd = os.open(f"{sys.argv[1]}/{name}", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, bytes(1 << 20), 0); os.fdatasync(fd)
    for _ in range(500):
        os.pwrite(fd, os.urandom(4096), 4096 * random.randrange(256))
        began = time.monotonic(); os.fdatasync(fd); times.append(1000 * (time.monotonic() - began))
    os.close(fd); os.unlink(f"{sys.argv[1]}/{name}")
both = [threading.Thread(target=flush, args=(name,)) for name in ("disk-a", "disk-b")]
[one.start() for one in both]; [one.join() for one in both]
times.sort(); at = lambda p: times[int(p * len(times))]
print(f"the bare disk, two files at once, fdatasync of 4 KiB: ms p50 {at(.5):.2f} p95 {at(.95):.2f} "
      f"p99 {at(.99):.2f} max {times[-1]:.2f}; load {os.getloadavg()[0]:.1f}")
PY
}

say "$(uname -srm), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg), $(findmnt -no FSTYPE -T "$work") on $(findmnt -no SOURCE -T "$work")"
wires
for who in $only; do
  for rate in $rates; do
    mkdir -p "$work/$who-$rate"
    "start_$who" "$work/$who-$rate"
    disk
    measure "$who" "$rate"
    stop_all
  done
done
