#!/usr/bin/env bash
# What a household sees of its DNS while one device behaves badly: a flood, ten thousand idle
# connections, connections whose TLS handshake never ends.
#
#   sudo benches/dns-rude.sh [--seconds 30] [--rate 50000]
#
# The server (dns/examples/serve.rs, with the limits that the daemon has) and its clients are two
# network namespaces with a wire between them. Beside the rude device eight others ask 100 times a
# second each over UDP, one over TCP and one over TLS: local, blocked and cached names, and none twice
# at once. Answered share and latencies are those of dnsperf, from each question to its answer, of
# the ten together.
#
# With --hostile the server validates, and the rude device asks for names of one kind of hostile zone
# after the other (dns/examples/hostile tells which there are), 200 a second if not told otherwise, which
# is the most that the server takes from one client. What one such question costs is measured before,
# while nobody else asks: all that the server computes, of 30 names one after the other. Three upstream
# servers have the zones, so that a bogus answer is asked for again.
#
# It needs root, python3, openssl, dnsperf, and the examples serve and hostile in
# target/release/examples (cargo build --release -p lanward-dns --example serve --example hostile),
# or EXAMPLES.
set -euo pipefail

seconds="" rate="" hostile="" kinds=""
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=$2; shift 2 ;;
    --rate) rate=$2; shift 2 ;;
    --hostile) hostile=yes; shift ;;
    --kinds) kinds=$2; shift 2 ;;
    *) sed -n '2,24p' "$0"; exit 2 ;;
  esac
done
seconds=${seconds:-${hostile:+10}} seconds=${seconds:-30}
rate=${rate:-${hostile:+200}} rate=${rate:-50000}

root=$(cd "$(dirname "$0")/.." && pwd)
examples=${EXAMPLES:-$root/target/release/examples}
for program in serve ${hostile:+hostile}; do
  [ -x "$examples/$program" ] || { echo "$examples/$program is not there"; exit 1; }
done
work=$(mktemp -d)
ns="rude$$"
# The rude device holds ten thousand connections; the server keeps the limit that it has.
ulimit -Sn "$(ulimit -Hn)"

# Ends what runs in the namespaces of this script, and nothing else.
cleanup() {
  for host in server clients; do
    for pid in $(ip netns pids "$ns-$host" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
    ip netns del "$ns-$host" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT

ip netns add "$ns-server"
ip netns add "$ns-clients"
ip -n "$ns-server" link add eth0 type veth peer name eth0 netns "$ns-clients"
ip -n "$ns-server" addr add 10.9.0.1/24 dev eth0
for last in $(seq 2 20); do ip -n "$ns-clients" addr add "10.9.0.$last/24" dev eth0; done
for host in server clients; do
  ip -n "$ns-$host" link set lo up
  ip -n "$ns-$host" link set eth0 up
done
on() { local host=$1; shift; ip netns exec "$ns-$host" "$@"; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=dns.home.arpa \
  -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
echo ads.example > "$work/list"
server_pid() {
  ip netns pids "$ns-server" | while read -r pid; do
    if [ "$(cat "/proc/$pid/comm")" = serve ]; then echo "$pid"; break; fi
  done
}
serving=""
# The server with these options beside the usual ones.
start_server() {
  on server "$examples/serve" --listen 10.9.0.1:53 --list "$work/list" --cert "$work/cert.pem" \
    --key "$work/key.pem" --tls 10.9.0.1:853 "$@" > "$work/serve.log" 2>&1 &
  serving=$!
  for _ in $(seq 100); do
    grep -qs encrypted "$work/serve.log" && return
    sleep 0.1
  done
  cat "$work/serve.log"
  exit 1
}

# The upstream: one address for every name.
cat > "$work/upstream.py" <<'END'
import socket
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asks.bind(("127.0.0.1", 5301))
while True:
    query, client = asks.recvfrom(4096)
    end = 12
    while query[end]:
        end += 1 + query[end]
    question = query[12:end + 5]
    asks.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question
                + b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4\xc0\0\2\1", client)
END
{
  for at in $(seq 1 200); do echo "www$at.example A"; echo "x$at.ads.example A"; done
  for at in $(seq 1 200); do echo "printer.home.arpa A"; done
} > "$work/names"

# The ten good ones; what they saw.
household() {
  local pids=() last mode
  for last in $(seq 10 19); do
    mode=udp
    [ "$last" = 18 ] && mode=tcp
    [ "$last" = 19 ] && mode=dot
    on clients dnsperf -m "$mode" -s 10.9.0.1 -a "10.9.0.$last" -d "$work/names" -c 1 -T 1 -Q 100 \
      -l "$seconds" -t 3 -v > "$work/out-$last" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || true; done
  python3 - "$1" "$work" <<'END'
import re, sys
sent = completed = 0
took = []
for last in range(10, 20):
    text = open("%s/out-%d" % (sys.argv[2], last)).read()
    sent += int(re.search(r"Queries sent:\s+(\d+)", text).group(1))
    completed += int(re.search(r"Queries completed:\s+(\d+)", text).group(1))
    took += [float(line.split()[-1]) for line in text.splitlines() if line.startswith("> ") and " T " not in line[:4]]
took.sort()
at = lambda share: took[min(len(took) - 1, int(len(took) * share))] * 1000
print("%-34s %7d asked, %7d answered (%.3f %%), p50 %.2f ms, p99 %.2f ms, longest %.1f ms"
      % (sys.argv[1], sent, completed, 100 * completed / sent, at(.5), at(.99), at(1)))
END
}

# What the server has computed so far, in ms.
server_cpu() {
  awk '{ all += $1 } END { printf "%.2f\n", all / 1e6 }' "/proc/$(server_pid)/task/"*/schedstat
}

if [ -n "$hostile" ]; then
  on server "$examples/hostile" --listen 127.0.0.1:5311 --listen 127.0.0.2:5311 \
    --listen 127.0.0.3:5311 > "$work/hostile.log" 2>&1 &
  disown
  for _ in $(seq 100); do
    grep -qs "listening on 127.0.0.3" "$work/hostile.log" && break
    sleep 0.1
  done
  start_server --upstream 127.0.0.1:5311 --upstream 127.0.0.2:5311 --upstream 127.0.0.3:5311 \
    --trust-anchor "$(sed -n 's/^trust anchor: //p' "$work/hostile.log")"
  cat > "$work/ask.py" <<'END'
import socket, sys
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asks.bind(("10.9.0.4", 0))
asks.settimeout(6)
for line in sys.stdin:
    name = b"".join(bytes([len(label)]) + label.encode() for label in line.split()[0].strip(".").split("."))
    asks.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + b"\0\0\1\0\1", ("10.9.0.1", 53))
    asks.recv(4096)
END
  # So many names of a kind that nobody has asked for yet. Long ones where each label is hashed.
  fresh=0
  names_of() {
    local kind=$1 count=$2 deep=""
    case "$kind" in hashed-*) deep=$(printf 'a.%.0s' $(seq 100)) ;; esac
    for at in $(seq "$((fresh + 1))" "$((fresh + count))"); do echo "n$at.$deep$kind.hostile A"; done
  }
  on clients dnsperf -s 10.9.0.1 -a 10.9.0.5 -d "$work/names" -n 1 -l 5 > /dev/null
  uptime
  before=$(server_cpu)
  household "nobody is rude"
  quiet=$(echo "$before $(server_cpu) $seconds" | awk '{ print ($2 - $1) / $3 / 10 }')
  echo "    server: $quiet % of a core"
  for kind in ${kinds:-$(sed -n 's/^kinds: //p' "$work/hostile.log")}; do
    names_of "$kind" 1 | on clients python3 "$work/ask.py"
    fresh=$((fresh + 1))
    before=$(server_cpu)
    names_of "$kind" 30 | on clients python3 "$work/ask.py"
    fresh=$((fresh + 30))
    each=$(echo "$before $(server_cpu)" | awk '{ printf "%.2f", ($2 - $1) / 30 }')
    names_of "$kind" "$((rate * (seconds + 3)))" > "$work/hostile-names"
    fresh=$((fresh + rate * (seconds + 3)))
    on clients dnsperf -s 10.9.0.1 -a 10.9.0.2 -d "$work/hostile-names" -c 4 -T 1 -q 60000 -Q "$rate" \
      -n 1 -l "$((seconds + 2))" -t 5 > "$work/rude" 2>&1 &
    rude=$!
    sleep 1
    before=$(server_cpu)
    household "one asks for $kind"
    busy=$(echo "$before $(server_cpu) $seconds" | awk '{ print ($2 - $1) / $3 / 10 }')
    wait $rude || true
    echo "    one question: $each ms of CPU; server: $busy % of a core;" \
      "$(awk '/Queries completed/ { done = $3 } /Response codes/ { $1 = $2 = ""; codes = $0 } END {
        print "the rude one: " done " answered," codes }' "$work/rude")"
  done
  uptime
  kill -TERM "$(server_pid)"
  wait "$serving" || true
  grep -E "queries|dropped" "$work/serve.log" | sed 's/^/    /'
  exit 0
fi

on server python3 "$work/upstream.py" &
disown
start_server --upstream 127.0.0.1:5301
household "nobody is rude"

# It only sends: dnsperf, which reads its answers in between, would take the processor from the others.
cat > "$work/flood.py" <<'END'
import itertools, socket, sys, time
rate, seconds = float(sys.argv[2]), float(sys.argv[3])
def question(name):
    labels = name.split(".")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels)
    return b"\0\1\1\0\0\1\0\0\0\0\0\0" + name + b"\0\0\1\0\1"
questions = itertools.cycle([question(line.split()[0]) for line in open(sys.argv[1])])
sockets = []
for _ in range(16):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.9.0.2", 0))
    s.connect(("10.9.0.1", 53))
    s.setblocking(False)
    sockets.append(s)
began, sent = time.monotonic(), 0
while time.monotonic() < began + seconds:
    for sent in range(sent + 1, int((time.monotonic() - began) * rate) + 1):
        try:
            sockets[sent % 16].send(next(questions))
        except OSError:
            pass
    time.sleep(0.001)
print("    the flood: %d questions in %d s" % (sent, seconds))
END
busy=$(server_cpu)
on clients python3 "$work/flood.py" "$work/names" "$rate" "$((seconds + 2))" > "$work/flood" 2>&1 &
flood=$!
sleep 1
household "one asks as fast as it can"
wait $flood || true
cat "$work/flood"
echo "$busy $(server_cpu) $seconds" | awk '{ printf "    server: %.1f %% of a core\n", ($2 - $1) / ($3 + 2) / 10 }'

cat > "$work/idle.py" <<'END'
import socket, sys, time
port, count, hello, seconds = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "hello", float(sys.argv[4])
held, until, opened = [], time.monotonic() + seconds, 0
# The beginning of a handshake that is never finished.
BEGINNING = bytes.fromhex("16030102000100")
while time.monotonic() < until:
    s = socket.socket()
    s.setblocking(False)
    s.bind(("10.9.0.3", 0))
    try:
        s.connect(("10.9.0.1", port))
    except BlockingIOError:
        pass
    held.append(s)
    opened += 1
    if hello and len(held) > 1:
        try:
            held[-2].send(BEGINNING)
        except OSError:
            pass
    if len(held) > count:
        held.pop(0).close()
    time.sleep(0.0005)
print("    it opened %d connections and held up to %d" % (opened, len(held)))
END
for rude in "53 10000 silent:one opens 10,000 idle connections" "853 1000 hello:one never ends its TLS handshakes"; do
  # shellcheck disable=SC2086
  on clients python3 "$work/idle.py" ${rude%%:*} "$((seconds + 2))" > "$work/idle" 2>&1 &
  idle=$!
  sleep 1
  household "${rude#*:}"
  wait $idle || true
  cat "$work/idle"
done
echo "memory at the end: $(awk '/VmRSS/ {print $2 / 1024 " MiB"}' "/proc/$(server_pid)/status")"
kill -TERM "$(server_pid)"
wait "$serving" || true
grep -E "queries|dropped" "$work/serve.log" | sed 's/^/    /'
