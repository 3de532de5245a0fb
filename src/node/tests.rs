use std::net::Ipv4Addr;

use lanward_ha::{ClusterId, PairState, Partner, SessionKey, StoreId, Times, Write};

use super::*;

const NETWORK: &str = "network/iot";

fn network(subnet: &str) -> String {
    format!(
        "{{\"subnet\":\"{subnet}.0/24\",\"policy\":\"default\",\
         \"dhcp\":{{\"pools\":[\"{subnet}.100-{subnet}.199\"]}}}}"
    )
}

fn config(rank: Rank, paired: bool) -> NodeConfig {
    let node = ["a", "b"][rank.index()].to_owned();
    let partner = Partner { name: "partner".to_owned(), cluster: ClusterId([1; 16]), rank };
    let address = Ipv4Addr::new(192, 0, 2, rank.index() as u8 + 1);
    NodeConfig {
        pair: PairConfig {
            node: node.clone(),
            store: StoreId([rank.index() as u8; 16]),
            partner: paired.then_some(partner),
            times: Times::default(),
        },
        host: HostView { node, addresses: vec![address.into()], ..HostView::default() },
    }
}

/// Nodes whose disks and links are instant, unless a test holds a disk back.
struct Bench {
    now: Time,
    nodes: Vec<Node>,
    holds_disk: bool,
    linked: bool,
    edits: BTreeMap<u64, Result<(), EditError>>,
    hung_up: usize,
    /// What the first node's disk holds.
    stored: BTreeMap<String, Vec<u8>>,
}

impl Bench {
    fn lone() -> Bench {
        Bench::of(vec![config(Rank::Zero, false)])
    }

    fn pair() -> Bench {
        let mut bench = Bench::of(vec![config(Rank::Zero, true), config(Rank::One, true)]);
        bench.link();
        bench
    }

    fn of(configs: Vec<NodeConfig>) -> Bench {
        let now = Time::from_millis(1_700_000_000_000);
        // A node's changes are numbered under its seed: no two may have the same.
        let node = |(n, config)| Node::new(config, &Restored::default(), now, [n; 32]);
        let nodes = (0..).zip(configs).map(node).collect();
        let (edits, holds_disk, linked, hung_up) = (BTreeMap::new(), false, false, 0);
        let stored = BTreeMap::new();
        let mut bench = Bench { now, nodes, holds_disk, linked, edits, hung_up, stored };
        bench.settle();
        bench
    }

    fn link(&mut self) {
        self.linked = true;
        for node in &mut self.nodes {
            node.handle(self.now, Input::LinkUp);
        }
        self.settle();
    }

    fn edit(&mut self, at: usize, id: u64, key: &str, value: Option<String>) {
        let writes = vec![(key.to_owned(), value)];
        let author = "ann".to_owned();
        self.nodes[at].handle(self.now, Input::Edit { id, author, writes });
        self.settle();
    }

    fn undo(&mut self, at: usize, id: u64, change: ChangeId) {
        let author = "bob".to_owned();
        self.nodes[at].handle(self.now, Input::Undo { id, author, change });
        self.settle();
    }

    fn part(&mut self) {
        self.linked = false;
        for node in &mut self.nodes {
            node.handle(self.now, Input::LinkDown { reason: "cut".to_owned() });
        }
        self.settle();
    }

    fn session(&mut self, at: usize, deed: SessionDeed) -> bool {
        let alive = self.nodes[at].session(self.now, deed);
        self.settle();
        alive
    }

    fn settle(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for at in 0..self.nodes.len() {
                while let Some(output) = self.nodes[at].poll_output() {
                    busy = true;
                    self.obey(at, output);
                }
            }
        }
    }

    fn obey(&mut self, at: usize, output: Output) {
        match output {
            Output::Store(batch) if !self.holds_disk => {
                if at == 0 {
                    for Write { key, value } in batch.writes {
                        match value {
                            Some(value) => self.stored.insert(key, value),
                            None => self.stored.remove(&key),
                        };
                    }
                }
                self.nodes[at].handle(self.now, Input::Stored { seq: batch.seq });
            }
            Output::Send(frame) if self.linked => {
                self.nodes[1 - at].handle(self.now, Input::Frame(&frame));
            }
            Output::CloseLink { .. } => {
                self.hung_up += 1;
                self.linked = false;
                let reason = "the other end hung up".to_owned();
                self.nodes[1 - at].handle(self.now, Input::LinkDown { reason });
            }
            Output::EditDone { id, result } => {
                self.edits.insert(id, result);
            }
            _ => {}
        }
    }
}

#[test]
fn an_edit_is_in_force_on_both_nodes() {
    let mut bench = Bench::pair();
    bench.edit(1, 1, NETWORK, Some(network("10.0.30")));
    assert_eq!(bench.edits[&1], Ok(()));
    for node in &bench.nodes {
        assert_eq!(node.pair().status().state, PairState::Normal);
        assert!(node.effective().dhcp.networks.contains_key("iot"));
    }
    let change = bench.nodes[0].changes(1).remove(0);
    assert_eq!((change.author.as_str(), change.node.as_str()), ("ann", "b"));
    assert_eq!(bench.nodes[0].settings_agreed(), Some(true));
}

#[test]
fn an_edit_that_would_not_be_valid_is_refused_with_its_reason() {
    let mut bench = Bench::lone();
    bench.edit(0, 1, NETWORK, Some(network("10.0.300")));
    let Err(EditError::Invalid(sentences)) = &bench.edits[&1] else {
        panic!("{:?}", bench.edits);
    };
    assert!(sentences.iter().any(|sentence| sentence.contains("10.0.300")), "{sentences:?}");
    assert!(bench.nodes[0].records().is_empty());
}

#[test]
fn an_edit_is_done_when_it_is_on_the_disk() {
    let mut bench = Bench::lone();
    bench.holds_disk = true;
    bench.edit(0, 1, NETWORK, Some(network("10.0.30")));
    assert_eq!(bench.edits.get(&1), None);
    let now = bench.now;
    bench.nodes[0].handle(now, Input::StoreFailed { error: "disk full".to_owned() });
    bench.settle();
    assert_eq!(bench.edits[&1], Err(EditError::NotDurable("disk full".to_owned())));
    bench.edit(0, 2, NETWORK, None);
    assert_eq!(bench.edits[&2], Err(EditError::NotDurable("disk full".to_owned())));
}

#[test]
fn the_nodes_tell_each_other_their_hosts_addresses() {
    let mut bench = Bench::pair();
    let moved = HostView {
        node: "a".to_owned(),
        addresses: vec![Ipv4Addr::new(192, 0, 2, 77).into()],
        ..HostView::default()
    };
    let now = bench.now;
    bench.nodes[0].handle(now, Input::Host(moved));
    bench.settle();
    let told = bench.nodes[1].pair().partner_addresses();
    assert_eq!(told, [std::net::IpAddr::from([192, 0, 2, 77])]);
}

#[test]
fn a_store_that_is_not_whole_waits_by_the_households_own_lead_time() {
    let mut bench = Bench::pair();
    bench.edit(0, 1, "setting/mclt", Some("\"5s\"".to_owned()));
    while !bench.linked {
        assert!(bench.hung_up < 4, "the two do not agree");
        bench.link();
    }
    let entries = bench.stored.clone().into_iter().collect();
    let restored = Restored { entries, rolled_back: true, ..Restored::default() };
    let now = bench.now + Duration::from_secs(10);
    let node = Node::new(config(Rank::Zero, true), &restored, now, [9; 32]);
    bench.nodes[0] = node;
    bench.now = now;
    bench.linked = false;
    let lost = Input::LinkDown { reason: "it restarted".to_owned() };
    bench.nodes[1].handle(now, lost);
    bench.settle();
    bench.link();
    let status = bench.nodes[0].pair().status();
    assert_eq!(status.state, PairState::RecoverWait);
    let until = status.wait_until.expect("an end");
    assert!(until < now + Duration::from_secs(120), "not the hour of the default: {until:?}");
}

#[test]
fn another_lead_time_is_agreed_on_over_a_new_link() {
    let mut bench = Bench::pair();
    bench.edit(0, 1, "setting/mclt", Some("\"2h\"".to_owned()));
    assert!(bench.hung_up > 0, "what was promised under the old one is settled first");
    // The first link carries the setting to the other node, the next one is in step.
    while !bench.linked {
        assert!(bench.hung_up < 4, "the two do not agree");
        bench.link();
    }
    for node in &bench.nodes {
        assert_eq!(node.effective().mclt, Duration::from_secs(7200));
        assert_eq!(node.pair().status().state, PairState::Normal);
    }
}

#[test]
fn the_node_that_joins_takes_over_the_settings_of_the_other() {
    let alone = vec![config(Rank::Zero, false), config(Rank::One, false)];
    let mut bench = Bench::of(alone);
    bench.edit(0, 1, NETWORK, Some(network("10.0.30")));
    bench.edit(1, 2, "network/old", Some(network("10.0.99")));
    let now = bench.now;
    for (at, rank) in [(0, Rank::Zero), (1, Rank::One)] {
        bench.nodes[at].handle(now, Input::Paired(config(rank, true).pair));
    }
    bench.link();
    for node in &bench.nodes {
        assert_eq!(node.records().keys().collect::<Vec<_>>(), [NETWORK]);
        assert_eq!(node.pair().status().state, PairState::Normal);
    }
}

#[test]
fn a_node_that_joined_asks_nobody_before_it_knows_whom_the_household_asks() {
    let servers = |bench: &Bench| bench.nodes[1].effective().upstreams.groups.len();
    let alone = || Bench::of(vec![config(Rank::Zero, false), config(Rank::One, false)]);
    for settings in [&["setting/upstreams"][..], &[]] {
        let mut bench = alone();
        for key in settings {
            bench.edit(0, 1, key, Some("[\"192.0.2.53\"]".to_owned()));
        }
        assert_eq!(servers(&bench), 1, "a fresh lone host answers by the built-in settings");
        let now = bench.now;
        for (at, rank) in [(0, Rank::Zero), (1, Rank::One)] {
            bench.nodes[at].handle(now, Input::Paired(config(rank, true).pair));
        }
        bench.settle();
        assert_eq!(servers(&bench), 0);
        let problems = &bench.nodes[1].effective().problems;
        assert!(problems[0].message.contains("have not come"), "{problems:?}");
        // Nor after a start meanwhile, unless its own file names servers.
        bench.nodes[1] = Node::new(config(Rank::One, true), &Restored::default(), now, [8; 32]);
        bench.settle();
        assert_eq!(servers(&bench), 0);
        bench.link();
        let [a, b] = &bench.nodes[..] else { panic!("two nodes") };
        assert_eq!(a.effective().upstreams, b.effective().upstreams);
        assert_eq!((servers(&bench), &b.effective().problems), (1, &Vec::new()));
        bench.part();
        assert_eq!(servers(&bench), 1);
    }
}

#[test]
fn a_node_that_joined_asks_the_servers_that_its_own_file_names() {
    let mut bench = Bench::of(vec![config(Rank::One, true)]);
    bench.edit(0, 1, "setting/upstreams", Some("[\"192.0.2.53\"]".to_owned()));
    assert_eq!(bench.nodes[0].effective().upstreams.groups.len(), 1);
}

#[test]
fn a_node_that_is_removed_before_the_settings_came_answers_by_the_built_in_ones() {
    let mut bench = Bench::of(vec![config(Rank::One, true)]);
    assert_eq!(bench.nodes[0].effective().upstreams.groups.len(), 0);
    let now = bench.now;
    bench.nodes[0].handle(now, Input::Unpaired(config(Rank::One, false).pair));
    bench.settle();
    assert_eq!(bench.nodes[0].effective().upstreams.groups.len(), 1);
}

#[test]
fn a_release_by_hand_without_a_lease_says_so() {
    let mut bench = Bench::lone();
    let now = bench.now;
    let addr = Ipv4Addr::new(10, 0, 30, 100);
    bench.nodes[0].handle(now, Input::Release { id: 5, addr });
    let outputs: Vec<_> = std::iter::from_fn(|| bench.nodes[0].poll_output()).collect();
    assert!(outputs.contains(&Output::ReleaseDone { id: 5, released: false }));
}

#[test]
fn a_change_is_taken_back_on_the_other_node_by_a_change_of_its_own() {
    let mut bench = Bench::pair();
    bench.edit(0, 1, NETWORK, Some(network("10.0.30")));
    bench.edit(0, 2, NETWORK, Some(network("10.0.31")));
    let change = bench.nodes[1].changes(1).remove(0).change;
    bench.undo(1, 3, change);
    assert_eq!(bench.edits[&3], Ok(()));
    for node in &mut bench.nodes {
        assert_eq!(node.records()[NETWORK], network("10.0.30"));
        let last = node.changes(1).remove(0);
        assert_eq!((last.author.as_str(), last.node.as_str()), ("bob", "b"));
        assert_eq!(last.undoes, Some(change));
    }
}

#[test]
fn an_undo_is_refused_when_the_record_was_changed_since() {
    let mut bench = Bench::lone();
    bench.edit(0, 1, NETWORK, Some(network("10.0.30")));
    let change = bench.nodes[0].changes(1).remove(0).change;
    bench.edit(0, 2, NETWORK, Some(network("10.0.31")));
    bench.undo(0, 3, change);
    let refusal = UndoRefusal::ChangedSince(NETWORK.to_owned());
    assert_eq!(bench.edits[&3], Err(EditError::Undo(refusal)));
    bench.undo(0, 4, ChangeId([7; 32]));
    assert_eq!(bench.edits[&4], Err(EditError::Undo(UndoRefusal::Unknown)));
    assert_eq!(bench.nodes[0].records()[NETWORK], network("10.0.31"));
}

#[test]
fn an_undo_that_would_break_another_record_is_refused_with_its_reason() {
    let mut bench = Bench::lone();
    bench.edit(0, 1, NETWORK, Some(network("10.0.30")));
    let change = bench.nodes[0].changes(1).remove(0).change;
    let reservation = "{\"network\":\"iot\",\"mac\":\"02:00:5e:10:00:01\",\
                       \"address\":\"10.0.30.20\"}";
    bench.edit(0, 2, "reservation/camera", Some(reservation.to_owned()));
    assert_eq!(bench.edits[&2], Ok(()));
    bench.undo(0, 3, change);
    let Err(EditError::Invalid(sentences)) = &bench.edits[&3] else {
        panic!("{:?}", bench.edits[&3]);
    };
    assert!(sentences.iter().any(|sentence| sentence.contains("iot")), "{sentences:?}");
    assert!(bench.nodes[0].records().contains_key(NETWORK));
}

#[test]
fn a_declared_record_and_an_old_password_are_not_set_back() {
    let mut bench = Bench::lone();
    bench.edit(0, 1, NETWORK, Some(network("10.0.30")));
    let change = bench.nodes[0].changes(1).remove(0).change;
    bench.edit(0, 2, "declared/a", Some(format!("[\"{NETWORK}\"]")));
    bench.undo(0, 3, change);
    let declared = UndoRefusal::Declared { record: NETWORK.to_owned(), node: "a".to_owned() };
    assert_eq!(bench.edits[&3], Err(EditError::Undo(declared)));
    bench.edit(0, 4, OWNER, Some("{}".to_owned()));
    let change = bench.nodes[0].changes(1).remove(0).change;
    bench.undo(0, 5, change);
    assert_eq!(bench.edits[&5], Err(EditError::Undo(UndoRefusal::ForGood(OWNER.to_owned()))));
}

#[test]
fn changes_are_dated_by_the_wall_clock() {
    let mut bench = Bench::lone();
    let wall = Time::from_millis(1_800_000_000_000);
    let now = bench.now;
    bench.nodes[0].handle(now, Input::Date(wall));
    bench.edit(0, 1, NETWORK, Some(network("10.0.30")));
    assert_eq!(bench.nodes[0].changes(1)[0].at, wall);
    bench.nodes[0].handle(now, Input::Date(Time::from_millis(5000)));
    bench.edit(0, 2, NETWORK, None);
    assert_eq!(bench.nodes[0].changes(1)[0].at, Time::from_millis(5000));
}

#[test]
fn edits_of_one_record_apart_wait_for_a_choice_and_a_write_settles_them() {
    let mut bench = Bench::pair();
    bench.part();
    bench.edit(0, 1, NETWORK, Some(network("10.0.30")));
    bench.edit(1, 2, NETWORK, Some(network("10.0.31")));
    bench.link();
    assert_eq!(bench.nodes[0].records(), bench.nodes[1].records());
    let values = bench.nodes[0].colliding(NETWORK);
    assert_eq!(values.len(), 2);
    let nodes: Vec<_> = values.iter().filter_map(|v| v.by.as_ref()).map(|by| &by.node).collect();
    assert!(nodes.contains(&&"a".to_owned()) && nodes.contains(&&"b".to_owned()), "{nodes:?}");
    let other = values[1].value.clone();
    bench.edit(1, 3, NETWORK, Some(other.clone()));
    for node in &bench.nodes {
        assert!(node.collisions().is_empty());
        assert_eq!(node.records()[NETWORK], other);
    }
}

#[test]
fn a_login_is_good_on_both_nodes_until_the_password_changes() {
    let mut bench = Bench::pair();
    let key = SessionKey([1; 32]);
    let ask = SessionDeed::Ask { key, touch: true };
    assert!(!bench.session(0, SessionDeed::Begin(key)), "nobody owns this household yet");
    bench.edit(0, 1, OWNER, Some("{\"password\":\"one\"}".to_owned()));
    assert!(bench.session(0, SessionDeed::Begin(key)));
    assert!(bench.session(1, ask));
    // A break, and another password on the other side.
    bench.part();
    assert!(bench.session(0, ask));
    bench.edit(1, 2, OWNER, Some("{\"password\":\"two\"}".to_owned()));
    assert!(!bench.session(1, ask));
    bench.link();
    assert!(!bench.session(0, ask));
    // A logout on one node is one on both.
    let key = SessionKey([2; 32]);
    let ask = SessionDeed::Ask { key, touch: true };
    assert!(bench.session(1, SessionDeed::Begin(key)));
    assert!(bench.session(0, ask));
    bench.session(0, SessionDeed::End(key));
    assert!(!bench.session(1, ask));
}

#[test]
fn pauses_reach_both_nodes_and_of_two_made_apart_one_is_in_force() {
    let mut bench = Bench::pair();
    let pause = |minutes: u8| {
        format!(
            "{{\"from\":\"2026-11-20T18:00:00Z\",\"until\":\"2026-11-20T18:{minutes:02}:00Z\"}}"
        )
    };
    bench.edit(0, 1, "pause/all", Some(pause(5)));
    bench.part();
    bench.edit(0, 2, "pause/all", Some(pause(10)));
    bench.edit(1, 3, "pause/all", Some(pause(30)));
    bench.link();
    assert_eq!(bench.nodes[0].effective().pauses.len(), 1);
    assert_eq!(bench.nodes[0].effective().pauses, bench.nodes[1].effective().pauses);
    bench.edit(1, 4, "pause/everybody", Some(pause(5)));
    assert!(matches!(bench.edits[&4], Err(EditError::Invalid(_))), "{:?}", bench.edits[&4]);
    bench.edit(1, 5, "pause/all", None);
    assert!(bench.nodes.iter().all(|node| node.effective().pauses.is_empty()));
}
