#!/usr/bin/env bash
# What clients see while upstream servers die: one of two, slowly or at once, lying, and all of them.
#
#   sudo benches/upstreams.sh [--seconds 10] [--rate 200]
#
# The server (dns/examples/serve.rs) forwards to two servers of this script's, which take 5 ms. A client
# asks for RATE new names a second; a third of the way the first server goes wrong, and at two thirds
# it is well again. Asked once each, with nothing asked again: what fails is counted, and so is what
# takes longest.
#
#   silent    packets to it are lost
#   gone      nobody is at its port: the system says so at once
#   slow      it takes 1.5 s
#   lying     it answers another question, from the right address with the right id
#   failing   it says SERVFAIL to everything
#
# Then both fall silent: names that have been asked before, whose answers have expired, are asked for; and
# new ones, from the moment on that both are back.
#
# It needs root, python3 and the example serve (cargo build --release -p lanward-dns --example serve), or
# EXAMPLES, in which it is.
set -euo pipefail

seconds=10 rate=200
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=$2; shift 2 ;;
    --rate) rate=$2; shift 2 ;;
    *) sed -n '2,23p' "$0"; exit 2 ;;
  esac
done
if [ -z "${UPSTREAMS_NETNS:-}" ]; then
  exec env UPSTREAMS_NETNS=1 unshare -n "$0" --seconds "$seconds" --rate "$rate"
fi
ip link set lo up
root=$(cd "$(dirname "$0")/.." && pwd)
serve=${EXAMPLES:-$root/target/release/examples}/serve
[ -x "$serve" ] || { echo "$serve is not there"; exit 1; }
exec python3 - "$serve" "$seconds" "$rate" <<'END'
import asyncio, socket, subprocess, sys, time
serve, seconds, rate = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
UPSTREAMS = [("127.0.0.1", 5301), ("127.0.0.2", 5301)]

class Upstream(asyncio.DatagramProtocol):
    """Answers after 5 ms: A 192.0.2.1, for a second where the name begins with `brief`."""
    def __init__(self, addr):
        self.addr, self.mood, self.transport = addr, "well", None
    async def open(self):
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=self.addr)
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, query, client):
        if self.mood == "silent":
            return
        wait = 1.5 if self.mood == "slow" else 0.005
        asyncio.get_running_loop().call_later(wait, self.answer, query, client, self.mood)
    def answer(self, query, client, mood):
        if self.transport.is_closing():
            return
        end = 12
        while query[end]:
            end += 1 + query[end]
        question = query[12:end + 5]
        ttl = 1 if b"brief" in question.lower() else 300
        record = b"\xc0\x0c\0\1\0\1" + ttl.to_bytes(4, "big") + b"\0\4\xc0\0\2\1"
        code = 0x82 if mood == "failing" else 0x80
        if mood == "lying":
            question = b"\x05other" + question
        count = b"\0\0" if mood == "failing" else b"\0\1"
        body = b"" if mood == "failing" else record
        self.transport.sendto(query[:2] + bytes([0x81, code]) + b"\0\1" + count + b"\0\0\0\0" + question + body, client)

class Client(asyncio.DatagramProtocol):
    """Asks over one socket; remembers what each question took and how it ended."""
    def __init__(self):
        self.waiting, self.took, self.failed, self.next, self.transport = {}, [], 0, 0, None
    async def open(self):
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, remote_addr=("127.0.0.1", 5300))
    def connection_made(self, transport):
        self.transport = transport
    def ask(self, name):
        self.next = (self.next + 1) % 65536
        answered = asyncio.get_running_loop().create_future()
        self.waiting[self.next] = (time.monotonic(), answered)
        labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
        self.transport.sendto(self.next.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1")
        return answered
    def datagram_received(self, answer, _):
        began, answered = self.waiting.pop(int.from_bytes(answer[:2], "big"), (None, None))
        if began is None:
            return
        good = answer[3] & 15 == 0 and answer[6:8] == b"\0\1"
        self.took.append(time.monotonic() - began)
        self.failed += not good
        answered.set_result(good)
    def told(self, what):
        took = sorted(self.took)
        at = lambda share: took[min(len(took) - 1, int(len(took) * share))] * 1000
        print("%-9s %5d asked, %d failed, %d unanswered; p50 %.1f ms, p99 %.0f ms, longest %.0f ms"
              % (what, len(took) + len(self.waiting), self.failed, len(self.waiting), at(.5), at(.99), at(1)), flush=True)

async def at_rate(client, name, lasts, began=None):
    began, at = began or time.monotonic(), 0
    while time.monotonic() < began + lasts:
        client.ask(name(at))
        at += 1
        await asyncio.sleep(max(0, began + at / rate - time.monotonic()))

async def main():
    upstreams = [Upstream(addr) for addr in UPSTREAMS]
    for upstream in upstreams:
        await upstream.open()
    command = [serve, "--listen", "127.0.0.1:5300"]
    for host, port in UPSTREAMS:
        command += ["--upstream", "%s:%d" % (host, port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await asyncio.sleep(1)
        first = upstreams[0]
        for mood in ["well", "silent", "gone", "slow", "lying", "failing"]:
            client = Client()
            await client.open()
            asking = asyncio.ensure_future(at_rate(client, lambda n: "n%d.%s.example" % (n, mood), seconds))
            await asyncio.sleep(seconds / 3)
            first.mood = mood
            if mood == "gone":
                first.transport.close()
            await asyncio.sleep(seconds / 3)
            if mood == "gone":
                await first.open()
            first.mood = "well"
            await asking
            await asyncio.sleep(6)
            client.told(mood)
        client = Client()
        await client.open()
        await asyncio.gather(*[client.ask("brief%d.example" % n) for n in range(50)])
        await asyncio.sleep(2)
        client.took.clear()
        for upstream in upstreams:
            upstream.mood = "silent"
        await at_rate(client, lambda n: "brief%d.example" % (n % 50), seconds)
        await asyncio.sleep(6)
        client.told("none left")
        for upstream in upstreams:
            upstream.mood = "well"
        began, tries = time.monotonic(), 0
        while True:
            tries += 1
            answered = client.ask("back%d.example" % tries)
            done, _ = await asyncio.wait([answered], timeout=0.1)
            if done and answered.result():
                break
        print("both back: a new name is answered after %.0f ms" % ((time.monotonic() - began) * 1000))
    finally:
        server.terminate()
        server.wait()
asyncio.run(main())
END
