#!/usr/bin/env bash
# From exec to the first right answer, with no network: a local name, and a blocked one with a million
# rules on the disk. Each start is a new process; every few milliseconds both are asked.
#
#   sudo benches/dns-start.sh [--starts 10] [--rules 1000000]
#
# The host is a network namespace with one interface, whose other end is down: no route, no upstream,
# no time. It needs root, python3, and target/release/lanward (or LANWARD_BIN). The promise: the local
# name within 300 ms, the blocked one within a second.
set -euo pipefail

starts=10 rules=1000000
while [ $# -gt 0 ]; do
  case "$1" in
    --starts) starts=$2; shift 2 ;;
    --rules) rules=$2; shift 2 ;;
    *) sed -n '2,9p' "$0"; exit 2 ;;
  esac
done

root=$(cd "$(dirname "$0")/.." && pwd)
lanward=${LANWARD_BIN:-$root/target/release/lanward}
[ -x "$lanward" ] || { echo "$lanward is not there: cargo build --release"; exit 1; }
work=$(mktemp -d)
ns="start$$"

# Ends what runs in the namespace of this script, and nothing else.
cleanup() {
  for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
  ip netns del "$ns" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

ip netns add "$ns"
ip -n "$ns" link set lo up
ip -n "$ns" link add home type veth peer name nowhere
ip -n "$ns" addr add 10.77.10.2/24 dev home
ip -n "$ns" link set home up

mkdir "$work/data"
cat > "$work/lanward.toml" <<END
household = "household.toml"

[node]
name = "pi-a"
data_dir = "$work/data"
END
cat > "$work/household.toml" <<END
domain = "home.arpa"
upstreams = ["10.77.10.1"]

[[network]]
id = "home"
subnet = "10.77.10.0/24"
router = "10.77.10.1"

[network.dhcp]
pools = ["10.77.10.50-10.77.10.249"]

[[record]]
name = "nas"
type = "A"
value = "10.77.10.9"
END
seq 1 "$rules" | sed 's/.*/tracker-&.example.net/' > "$work/rules.txt"

cat > "$work/start.py" <<'END'
import json, os, select, signal, socket, statistics, struct, subprocess, sys, time

lanward, work, starts, rules = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
command = [lanward, "--config", work + "/lanward.toml"]

def question(number, name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", number, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"

ASKED = {1: ("nas.home.arpa", bytes([10, 77, 10, 9])),
         2: ("tracker-%d.example.net" % rules, bytes(4))}

def start():
    # Each line of the log could tell as well; only what a client sees counts.
    log = open(work + "/log", "ab")
    begun = time.monotonic()
    daemon = subprocess.Popen(command + ["run"], stdout=log, stderr=log)
    return daemon, begun

def first_answers(begun, limit):
    asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asks.setblocking(False)
    found = {}
    while len(found) < len(ASKED) and time.monotonic() < begun + limit:
        for number, (name, _) in ASKED.items():
            if number not in found:
                try:
                    asks.sendto(question(number, name), ("10.77.10.2", 53))
                except OSError:
                    pass
        until = time.monotonic() + 0.002
        while time.monotonic() < until:
            ready, _, _ = select.select([asks], [], [], max(0, until - time.monotonic()))
            if not ready:
                break
            try:
                answer = asks.recv(4096)
            except OSError:
                continue
            number = struct.unpack(">H", answer[:2])[0]
            right = answer[6:8] == b"\0\1" and answer[-4:] == ASKED[number][1]
            if right and number not in found:
                found[number] = time.monotonic() - begun
    return found

def stop(daemon):
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(20)

daemon, begun = start()
for _ in range(100):
    if subprocess.run(command + ["status"], capture_output=True).returncode == 0:
        break
    time.sleep(0.1)
added = subprocess.run(command + ["lists", "add", work + "/rules.txt", "--id", "big"], capture_output=True, text=True)
if added.returncode:
    sys.exit(added.stdout + added.stderr)
if len(first_answers(begun, 120)) < 2:
    sys.exit("the list is not in force after two minutes: " + open(work + "/log").read()[-2000:])
time.sleep(2)
stop(daemon)
seen = {1: [], 2: []}
for _ in range(starts):
    daemon, begun = start()
    found = first_answers(begun, 20)
    if len(found) < 2:
        sys.exit("no answers: %s\n%s" % (found, open(work + "/log").read()[-2000:]))
    for number, took in found.items():
        seen[number].append(took * 1000)
    memory = open("/proc/%d/status" % daemon.pid).read().split("VmRSS:")[1].split("kB")[0]
    stop(daemon)
for number, what in ((1, "local name"), (2, "blocked name")):
    took = sorted(seen[number])
    print("first %-12s median %.0f ms, longest %.0f ms (%d starts)"
          % (what, statistics.median(took), took[-1], len(took)))
print("memory then: %.1f MiB, with %d rules" % (int(memory) / 1024, rules))
END
ip netns exec "$ns" python3 "$work/start.py" "$lanward" "$work" "$starts" "$rules"
