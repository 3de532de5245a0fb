//! A third host on the network that forges answers in the upstream resolver's name while the house
//! waits for the true ones.
//!
//! The resolver is a machine of its own here, so that the forger can have its address: it sends from
//! it, and hears nothing of what comes to it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lanward_tests::lab::{Lab, Netns, Place, Side, Story, Vlan, dig, secs};

const RESOLVER: Ipv4Addr = Vlan::Home.address(8);
const TRUE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FORGED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

/// How long the resolver takes: the forger's time.
const WINDOW: Duration = Duration::from_millis(300);

/// Names asked for of each kind.
const NAMES: usize = 8;

/// An answer to `query` with one address.
fn answer(query: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let labels = query[12..].iter().position(|byte| *byte == 0).expect("a name");
    let question = &query[12..12 + labels + 5];
    let mut out = [&query[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], question].concat();
    out.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    out.extend_from_slice(&address.octets());
    out
}

/// A question as a forger knows it: the name, but not the case of its letters.
fn guessed(name: &str) -> Vec<u8> {
    let mut out = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).expect("a short label"));
        out.extend_from_slice(label.as_bytes());
    }
    out.extend_from_slice(&[0, 0, 1, 0, 1]);
    out
}

/// What the resolver was asked, and from which port: told to the forger where it is to know.
type Seen = (Vec<u8>, SocketAddr);

fn lock(seen: &Mutex<Receiver<Seen>>) -> MutexGuard<'_, Receiver<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The resolver: it takes its time over UDP, and none over TCP.
struct Resolver {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Resolver {
    fn start(netns: &Netns) -> Self {
        netns.enter(|| {
            let udp = UdpSocket::bind((RESOLVER, 53)).expect("port 53");
            udp.set_read_timeout(Some(Duration::from_millis(50))).expect("a limit");
            let tcp = TcpListener::bind((RESOLVER, 53)).expect("port 53");
            tcp.set_nonblocking(true).expect("it does not wait");
            Self { udp, tcp }
        })
    }

    fn run(&self, stop: &AtomicBool, seen: &Sender<Seen>) {
        let (mut packet, mut late) = ([0; 1500], Vec::<(Instant, Vec<u8>, SocketAddr)>::new());
        while !stop.load(Ordering::Relaxed) {
            if let Ok((len, from)) = self.udp.recv_from(&mut packet) {
                let query = packet[..len].to_vec();
                let _ = seen.send((query.clone(), from));
                late.push((Instant::now() + WINDOW, answer(&query, TRUE), from));
            }
            late.retain(|(due, answer, to)| {
                let waits = *due > Instant::now();
                if !waits {
                    self.udp.send_to(answer, to).expect("sends");
                }
                waits
            });
            if let Ok((mut stream, _)) = self.tcp.accept() {
                stream.set_nonblocking(false).expect("it waits");
                std::thread::spawn(move || {
                    let mut len = [0; 2];
                    while stream.read_exact(&mut len).is_ok() {
                        let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
                        stream.read_exact(&mut query).expect("the rest");
                        let answer = answer(&query, TRUE);
                        let len = (answer.len() as u16).to_be_bytes();
                        stream.write_all(&[&len[..], &answer].concat()).expect("writes");
                    }
                });
            }
        }
    }
}

/// What the forger knows of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knows {
    /// Only that it is asked.
    Name,
    /// Its port as well; it tries all ids, with the letters as they are usually written.
    Port,
    /// Its port, id and letters, but it answers another question.
    AllButTheQuestion,
    /// Its port, id and letters, but it cannot send from the resolver's port.
    AllButItsOwnPort,
    /// Everything: what the others must not know.
    All,
}

/// Forges answers until the true one has come; how many.
fn forge(
    sockets: &[UdpSocket; 2],
    knows: Knows,
    name: &str,
    seen: &Mutex<Receiver<Seen>>,
    done: &AtomicBool,
) -> u64 {
    let house = Vlan::Home.host(Side::A);
    let [resolver, elsewhere] = sockets;
    let known = match knows {
        Knows::Name => None,
        _ => lock(seen).recv_timeout(secs(2)).ok(),
    };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut sent, mut packet) = (0, answer(&guessed(name), FORGED));
    while !done.load(Ordering::Relaxed) && sent < 100_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (socket, port) = match (&known, knows) {
            (Some((_, from)), Knows::Port) => {
                packet[..2].copy_from_slice(&(sent as u16).to_be_bytes());
                (resolver, from.port())
            }
            (Some((query, from)), _) => {
                packet = answer(query, FORGED);
                if knows == Knows::AllButTheQuestion {
                    packet[14] ^= 1;
                }
                let own = knows == Knows::AllButItsOwnPort;
                (if own { elsewhere } else { resolver }, from.port())
            }
            (None, _) => {
                packet[..2].copy_from_slice(&(random as u16).to_be_bytes());
                (resolver, 10_240 + ((random >> 16) % 55_296) as u16)
            }
        };
        // A host that has nobody at a port says so, and the socket hears of it.
        let _ = socket.send_to(&packet, (house, port));
        sent += 1;
        if knows == Knows::All && sent > 20 {
            break;
        }
    }
    sent
}

/// The third host: it has the resolver's address, but only to send from.
fn third_host(lab: &mut Lab) -> Netns {
    let forger = lab.household.plug_in("forger", Vlan::Home, Place::Middle);
    forger.ip(&format!("addr add {}/24 dev eth0", Vlan::Home.address(66)));
    // Nobody must think that the resolver is here.
    forger.sh("echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore");
    forger.sh("echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce");
    forger.ip(&format!("addr add {RESOLVER}/32 dev lo"));
    let house = Vlan::Home.host(Side::A);
    let out = lab.household.host(Side::A).run(secs(2), &["cat", "/sys/class/net/home/address"]);
    let mac = String::from_utf8(out.expect("it has a home interface").stdout).expect("text");
    forger.ip(&format!("neigh replace {house} lladdr {} dev eth0 nud permanent", mac.trim()));
    forger
}

#[test]
fn a_forger_off_the_path_has_nothing_accepted() {
    let Some(story) = Story::begin("a third host forges answers") else { return };
    let mut lab = Lab::build("forger");
    let resolver = lab.household.plug_in("resolver", Vlan::Home, Place::Middle);
    resolver.ip(&format!("addr add {RESOLVER}/24 dev eth0"));
    let household = lab.daemon(Side::A).read("household.toml");
    let router = format!("upstreams = [\"{}\"]", Vlan::Home.router());
    let household = household.replace(&router, &format!("upstreams = [\"{RESOLVER}\"]"));
    assert!(household.contains(&RESOLVER.to_string()), "{household}");
    // The resolver signs nothing, which is none of this scenario's business.
    lab.daemon(Side::A).write("household.toml", &format!("dnssec = \"off\"\n{household}"));
    let forger = third_host(&mut lab);
    let (stop, (told, seen)) = (AtomicBool::new(false), channel());
    let seen = Mutex::new(seen);
    let serving = Resolver::start(&resolver);
    let sockets = forger.enter(|| {
        [53, 5353].map(|port| UdpSocket::bind((RESOLVER, port)).expect("the resolver's address"))
    });
    std::thread::scope(|scope| {
        scope.spawn(|| serving.run(&stop, &told));
        let stopping = StopAtEnd(&stop);
        lab.start(Side::A);
        // The cold start has its own questions.
        dig::ask_for(secs(6), &lab.desk, Vlan::Home.host(Side::A), "first.example", "A");
        for knows in [
            Knows::Name,
            Knows::Port,
            Knows::AllButTheQuestion,
            Knows::AllButItsOwnPort,
            Knows::All,
        ] {
            attack(&lab, &sockets, knows, &seen, &story);
        }
        drop(stopping);
    });
}

/// Stops the resolver, also when an assertion fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn attack(
    lab: &Lab,
    sockets: &[UdpSocket; 2],
    knows: Knows,
    seen: &Mutex<Receiver<Seen>>,
    story: &Story,
) {
    let (mut accepted, forged) = (0, AtomicU64::new(0));
    let host = Vlan::Home.host(Side::A);
    for number in 0..NAMES {
        // Twenty letters: twenty more bits to guess.
        let name = format!("name-with-twenty-letters-{number}.{knows:?}.example").to_lowercase();
        let done = AtomicBool::new(false);
        while lock(seen).try_recv().is_ok() {}
        let asked = std::thread::scope(|scope| {
            scope.spawn(|| {
                forged.fetch_add(forge(sockets, knows, &name, seen, &done), Ordering::Relaxed);
            });
            let asked = dig::ask_for(secs(3), &lab.desk, host, &name, "A");
            done.store(true, Ordering::Relaxed);
            asked
        });
        // What the cache says afterwards counts as well.
        for answer in [asked, dig::ask_for(secs(3), &lab.desk, host, &name, "A")] {
            let values = answer.expect("an answer").values;
            let is_forged = values == [FORGED.to_string()];
            assert!(is_forged || values == [TRUE.to_string()], "{knows:?}: {values:?}");
            accepted += usize::from(is_forged);
        }
    }
    let forged = forged.into_inner();
    story.step(&format!(
        "{knows:?}: {forged} forged answers to {NAMES} questions, {accepted} accepted"
    ));
    match knows {
        // Else nothing here would have been tested.
        Knows::All => assert!(accepted > NAMES, "who knows everything is believed: {accepted}"),
        _ => assert_eq!(accepted, 0, "{knows:?}"),
    }
    assert!(forged > 50, "the forger was at work");
}
