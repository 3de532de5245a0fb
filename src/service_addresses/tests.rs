//! Two hosts on a bench: a network and a link that can be cut in each direction, and interfaces
//! that keep an address when the process behind them is gone.

mod faults;
mod moving;

use std::collections::VecDeque;

use super::*;

const STEP: Duration = Duration::from_millis(5);
/// On the way from host to host.
const LATENCY: Duration = Duration::from_millis(5);
/// At home on A, and on B.
const OF_A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 53));
const OF_B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 54));
const BOTH: [IpAddr; 2] = [OF_A, OF_B];
const STRANGER: Mac = [2, 0, 0, 0, 0, 99];
const A: usize = 0;
const B: usize = 1;

fn mac(host: usize) -> Mac {
    [2, 0, 0, 0, 0, host as u8]
}

/// One host: its process and what the system keeps for it.
struct Host {
    process: Option<ServiceAddresses>,
    interface: BTreeSet<IpAddr>,
    dns_works: bool,
    capable: bool,
    reports: Option<ServiceReport>,
    link: bool,
    next_test: Time,
}

struct Bench {
    now: Time,
    hosts: [Host; 2],
    /// Whether what host i sends on the network or the link reaches the other.
    network: [bool; 2],
    link: [bool; 2],
    /// For how long a link goes on in one direction when the other is cut.
    one_way_lasts: Duration,
    cut_since: Option<Time>,
    strangers: BTreeSet<IpAddr>,
    frames: VecDeque<(Time, usize, ServiceReport)>,
    words: VecDeque<(Time, usize, IpAddr, Mac, Word)>,
    announced: Vec<(Time, usize, IpAddr)>,
    /// For how long each address has had two holders, and none.
    twice: BTreeMap<IpAddr, Duration>,
    without: BTreeMap<IpAddr, Duration>,
    worst_twice: Duration,
    worst_without: Duration,
}

impl Bench {
    /// Both processes started, nothing known yet.
    fn new() -> Bench {
        let host = || Host {
            process: None,
            interface: BTreeSet::new(),
            dns_works: true,
            capable: true,
            reports: None,
            link: false,
            next_test: Time::ZERO,
        };
        let mut bench = Bench {
            now: Time::from_millis(1_000_000),
            hosts: [host(), host()],
            network: [true; 2],
            link: [true; 2],
            one_way_lasts: Duration::MAX,
            cut_since: None,
            strangers: BTreeSet::new(),
            frames: VecDeque::new(),
            words: VecDeque::new(),
            announced: Vec::new(),
            twice: BTreeMap::new(),
            without: BTreeMap::new(),
            worst_twice: Duration::ZERO,
            worst_without: Duration::ZERO,
        };
        bench.start(A);
        bench.start(B);
        bench
    }

    /// Both have been up for a while, and nothing has been wrong.
    fn settled() -> Bench {
        let mut bench = Bench::new();
        bench.run(10_000);
        assert_eq!(bench.holders(), [vec![A], vec![B]]);
        bench.forget();
        bench
    }

    fn forget(&mut self) {
        (self.worst_twice, self.worst_without) = (Duration::ZERO, Duration::ZERO);
        self.announced.clear();
    }

    fn start(&mut self, at: usize) {
        let rank = [Rank::Zero, Rank::One];
        let name = ["pi-a", "pi-b"];
        let incapable = (!self.hosts[at].capable).then(|| "CAP_NET_ADMIN is missing".to_owned());
        let mut process = ServiceAddresses::new(name[at], incapable, self.now);
        let wanted = [(OF_A, Rank::Zero), (OF_B, Rank::One)].map(|(addr, home)| Wanted {
            addr,
            home,
            network: "home".into(),
            attached: true,
        });
        let pair = (rank[at], Some(name[1 - at].to_owned()));
        process.set_wanted(self.now, pair, wanted.to_vec(), vec![mac(at)]);
        process.handle_present(self.now, &self.hosts[at].interface);
        self.hosts[at].process = Some(process);
        self.hosts[at].next_test = self.now;
    }

    /// The process dies; what it added stays for as long as nobody removes it.
    fn kill(&mut self, at: usize) {
        self.hosts[at].process = None;
    }

    /// The host loses its power.
    fn power_off(&mut self, at: usize) {
        self.kill(at);
        self.hosts[at].interface.clear();
        // The other hears nothing, not even that the link broke.
        self.link = [false; 2];
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            self.now = self.now + STEP;
            self.link_up_or_down();
            self.deliver();
            for at in [A, B] {
                self.wake(at);
            }
            self.count();
        }
    }

    /// The link is up while both processes live and both directions carry; a killed process
    /// breaks it at once, a cut only after three seconds, and a host without power never says.
    fn link_up_or_down(&mut self) {
        let cut = [self.link, self.network].concat().contains(&false);
        self.cut_since = cut.then(|| self.cut_since.unwrap_or(self.now));
        let alive = self.hosts.iter().all(|host| host.process.is_some());
        let carries = self.link == [true; 2] && self.network == [true; 2];
        for at in [A, B] {
            let host = &mut self.hosts[at];
            let Some(process) = &mut host.process else {
                host.link = false;
                continue;
            };
            let silent = self.now.since(process.partner.heard) > Duration::from_secs(3);
            if !host.link && alive && carries {
                host.link = true;
                host.reports = None;
                process.handle_link_up(self.now);
            } else if host.link && ((!alive && carries) || (silent && !carries)) {
                host.link = false;
                host.reports = None;
                process.handle_link_down(self.now);
            }
        }
    }

    fn deliver(&mut self) {
        while self.frames.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, to, report)) = self.frames.pop_front() else { break };
            let host = &mut self.hosts[to];
            if host.link {
                host.reports = Some(report);
                if let Some(process) = &mut host.process {
                    process.handle_heard(self.now, host.reports.as_ref());
                }
            }
        }
        while self.words.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, to, addr, from, word)) = self.words.pop_front() else { break };
            if let Some(process) = &mut self.hosts[to].process {
                process.handle_word(self.now, addr, from, word);
            }
        }
    }

    fn wake(&mut self, at: usize) {
        let now = self.now;
        let host = &mut self.hosts[at];
        let Some(process) = &mut host.process else { return };
        if host.next_test <= now {
            host.next_test = now + Duration::from_millis(500);
            process.handle_self_test(now, host.dns_works);
        }
        if process.poll_timeout().is_some_and(|wake| wake <= now) {
            process.handle_timeout(now);
            let again = process.poll_timeout();
            assert!(again.is_none_or(|wake| wake > now), "it wakes up for nothing");
        }
        self.drain(at);
    }

    fn drain(&mut self, at: usize) {
        let (other, soon) = (1 - at, self.now + LATENCY);
        while let Some(process) = &mut self.hosts[at].process
            && let Some(output) = process.poll_output()
        {
            match output {
                Output::Add(addr) => {
                    self.hosts[at].interface.insert(addr);
                    process.handle_added(self.now, addr, Ok(()));
                }
                Output::Remove(addr) => {
                    self.hosts[at].interface.remove(&addr);
                }
                Output::Announce(addr) => {
                    self.announced.push((self.now, at, addr));
                    self.say(at, addr, Word::Announces);
                }
                Output::Probe(addr) => {
                    self.say(at, addr, Word::Probes);
                    if self.strangers.contains(&addr) {
                        self.words.push_back((soon, at, addr, STRANGER, Word::Has));
                    }
                    let answers = self.hosts[other].interface.contains(&addr);
                    if answers && self.network == [true; 2] {
                        self.words.push_back((soon, at, addr, mac(other), Word::Has));
                    }
                }
                Output::Tell(report) => {
                    let cut = self.cut_since.map(|since| self.now.since(since));
                    let lasts = cut.is_none_or(|cut| cut <= self.one_way_lasts);
                    if lasts && self.link[at] && self.network[at] && self.hosts[at].link {
                        self.frames.push_back((soon, other, report));
                    }
                }
                Output::Note(_) => {}
            }
        }
    }

    fn say(&mut self, from: usize, addr: IpAddr, word: Word) {
        if self.network[from] {
            let soon = self.now + LATENCY;
            self.words.push_back((soon, 1 - from, addr, mac(from), word));
        }
    }

    fn count(&mut self) {
        for addr in BOTH {
            let holders = self.hosts.iter().filter(|host| host.interface.contains(&addr)).count();
            let served = self.hosts.iter().any(|host| {
                host.process.is_some() && host.interface.contains(&addr) && host.dns_works
            });
            let twice = self.twice.entry(addr).or_default();
            *twice = if holders == 2 { *twice + STEP } else { Duration::ZERO };
            let without = self.without.entry(addr).or_default();
            *without = if served { Duration::ZERO } else { *without + STEP };
            self.worst_twice = self.worst_twice.max(*twice);
            self.worst_without = self.worst_without.max(*without);
        }
    }

    /// Who has each address on its interface.
    fn holders(&self) -> [Vec<usize>; 2] {
        BOTH.map(|addr| {
            [A, B].into_iter().filter(|at| self.hosts[*at].interface.contains(&addr)).collect()
        })
    }

    fn why(&self, at: usize, addr: IpAddr) -> String {
        let shown = self.hosts[at].process.as_ref().map(|process| process.shown(self.now));
        let shown = shown.unwrap_or_default().into_iter().find(|shown| shown.addr == addr);
        shown.map(|shown| shown.why).unwrap_or_default()
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
