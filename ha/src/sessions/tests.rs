use super::*;

const STAMP: Stamp = Stamp([9; 32]);

fn key(n: u16) -> SessionKey {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    SessionKey(bytes)
}

fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// Any time: nodes' clocks need not agree.
fn start(days: u64) -> Time {
    Time::from_millis(days * 86_400_000)
}

/// A table with the store under it.
struct Desk {
    sessions: Sessions,
    disk: BTreeMap<String, Vec<u8>>,
}

impl Desk {
    fn new() -> Desk {
        Desk { sessions: Sessions::default(), disk: BTreeMap::new() }
    }

    /// Writes what is to be written; gives what is to be sent.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        while let Some(output) = self.sessions.poll_output() {
            match output {
                SessionsOutput::Send(message) => sent.push(message),
                SessionsOutput::Store(writes) => {
                    for Write { key, value } in writes {
                        match value {
                            Some(value) => self.disk.insert(key, value),
                            None => self.disk.remove(&key),
                        };
                    }
                }
            }
        }
        sent
    }

    fn restart(&mut self) {
        self.drain();
        let entries = self.disk.clone().into_iter().collect();
        self.sessions = Sessions::new(&Restored { entries, ..Restored::default() });
    }
}

/// Carries messages both ways until both are quiet.
fn talk(a: &mut Desk, at_a: Time, b: &mut Desk, at_b: Time) {
    for _ in 0..10 {
        let (from_a, from_b) = (a.drain(), b.drain());
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        from_a.iter().for_each(|message| b.sessions.handle_message(at_b, message).unwrap());
        from_b.iter().for_each(|message| a.sessions.handle_message(at_a, message).unwrap());
    }
    panic!("the tables do not come to rest");
}

#[test]
fn a_login_on_one_node_is_good_on_the_other_and_so_is_a_logout() {
    let (mut a, mut b) = (Desk::new(), Desk::new());
    // The nodes' times are a year apart.
    let (at_a, at_b) = (start(20_000), start(20_365));
    a.sessions.handle_link_up(at_a);
    b.sessions.handle_link_up(at_b);
    a.sessions.begin(at_a, key(1), STAMP);
    talk(&mut a, at_a, &mut b, at_b);
    assert!(b.sessions.is_alive(at_b, key(1), STAMP, true));
    b.sessions.end(at_b, key(1));
    talk(&mut a, at_a, &mut b, at_b);
    for (desk, at) in [(&mut a, at_a), (&mut b, at_b)] {
        assert!(!desk.sessions.is_alive(at, key(1), STAMP, true));
    }
}

#[test]
fn a_logout_while_the_partner_is_away_reaches_it_when_it_is_back() {
    let (mut a, mut b) = (Desk::new(), Desk::new());
    let at = start(20_000);
    a.sessions.begin(at, key(1), STAMP);
    a.sessions.handle_link_up(at);
    b.sessions.handle_link_up(at);
    talk(&mut a, at, &mut b, at);
    a.sessions.handle_link_down();
    b.sessions.handle_link_down();
    a.sessions.end(at, key(1));
    // The one that knows of the end is started anew, and the other one used it meanwhile.
    a.restart();
    let later = at + hours(1);
    assert!(b.sessions.is_alive(later, key(1), STAMP, true));
    a.sessions.handle_link_up(later);
    b.sessions.handle_link_up(later);
    talk(&mut a, later, &mut b, later);
    assert!(!a.sessions.is_alive(later, key(1), STAMP, true));
    assert!(!b.sessions.is_alive(later, key(1), STAMP, true));
}

#[test]
fn a_session_ends_idle_and_after_thirty_days_in_any_case() {
    let mut a = Desk::new();
    let t0 = start(20_000);
    a.sessions.begin(t0, key(1), STAMP);
    a.sessions.begin(t0, key(2), STAMP);
    assert!(a.sessions.is_alive(t0 + hours(11), key(2), STAMP, false), "an open tab is no use");
    assert!(!a.sessions.is_alive(t0 + hours(12), key(2), STAMP, true), "idle");
    let mut now = t0;
    while now.since(t0) + hours(11) < ABSOLUTE {
        now = now + hours(11);
        assert!(a.sessions.is_alive(now, key(1), STAMP, true), "in use");
    }
    assert!(!a.sessions.is_alive(t0 + ABSOLUTE, key(1), STAMP, true), "absolute");
    a.sessions.begin(t0 + ABSOLUTE, key(3), STAMP);
    a.drain();
    assert_eq!(a.disk.len(), 1, "what is over leaves no trace");
}

#[test]
fn another_password_ends_every_session_of_before() {
    let mut a = Desk::new();
    let at = start(20_000);
    a.sessions.begin(at, key(1), STAMP);
    let changed = Stamp([8; 32]);
    assert!(!a.sessions.is_alive(at, key(1), changed, true));
    a.sessions.begin(at, key(2), changed);
    assert!(a.sessions.is_alive(at, key(2), changed, true));
}

#[test]
fn use_is_told_now_and_then_and_survives_a_restart() {
    let mut a = Desk::new();
    let t0 = start(20_000);
    a.sessions.handle_link_up(t0);
    a.sessions.begin(t0, key(1), STAMP);
    a.drain();
    for secs in 0..599 {
        assert!(a.sessions.is_alive(t0 + Duration::from_secs(secs), key(1), STAMP, true));
    }
    assert!(a.drain().is_empty(), "not a write for each page");
    assert!(a.sessions.is_alive(t0 + hours(11), key(1), STAMP, true));
    assert_eq!(a.drain().len(), 1);
    a.restart();
    assert!(a.sessions.is_alive(t0 + hours(20), key(1), STAMP, true));
}

#[test]
fn the_thousand_and_first_login_works() {
    let mut a = Desk::new();
    let t0 = start(20_000);
    for n in 0..=1000 {
        a.sessions.begin(t0 + Duration::from_secs(n), key(n as u16), STAMP);
    }
    let now = t0 + hours(1);
    assert_eq!(a.sessions.len(), MOST);
    assert!(!a.sessions.is_alive(now, key(0), STAMP, true), "unused for longest, it made room");
    assert!(a.sessions.is_alive(now, key(1000), STAMP, true));
    a.drain();
    assert_eq!(a.disk.len(), MOST);
    // A thousand more from the partner do not grow the table.
    let mut b = Desk::new();
    for n in 2000..3000 {
        b.sessions.begin(now, key(n), STAMP);
    }
    b.drain();
    b.sessions.handle_link_up(now);
    a.sessions.handle_link_up(now);
    talk(&mut a, now, &mut b, now);
    assert_eq!((a.sessions.len(), b.sessions.len()), (MOST, MOST));
}

#[test]
fn garbage_from_the_partner_or_the_disk_is_no_session() {
    let mut a = Desk::new();
    let at = start(20_000);
    assert!(a.sessions.handle_message(at, b"garbage").is_err());
    let short = Told { sessions: vec![ToldSession { key: vec![1], ..ToldSession::default() }] };
    assert!(a.sessions.handle_message(at, &short.encode_to_vec()).is_err());
    assert!(a.sessions.is_empty());
    a.disk.insert("session/00".to_owned(), b"garbage".to_vec());
    a.restart();
    a.drain();
    assert!(a.sessions.is_empty() && a.disk.is_empty());
}
