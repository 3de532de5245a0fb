use super::*;
use crate::{Restored, StoreId, Write};

/// A document with the store under it.
struct Desk {
    document: AutomergeDocument,
    disk: BTreeMap<String, Vec<u8>>,
    linked: bool,
    unsent: Vec<Vec<u8>>,
}

impl Desk {
    fn new(name: &str, id: u8) -> Desk {
        let document = AutomergeDocument::new(name, StoreId([id; 16]), &Restored::default());
        Desk { document, disk: BTreeMap::new(), linked: false, unsent: Vec::new() }
    }

    fn restart(&mut self, name: &str, id: u8, damaged: &[&str]) {
        let lost = |key: &String| damaged.contains(&key.as_str());
        let restored = Restored {
            entries: self.disk.clone().into_iter().filter(|(key, _)| !lost(key)).collect(),
            damaged: damaged.iter().map(|key| (*key).to_owned()).collect(),
            ..Restored::default()
        };
        self.document = AutomergeDocument::new(name, StoreId([id; 16]), &restored);
        self.linked = false;
    }

    fn put(&mut self, secs: u64, author: &str, id: &str, value: &str) {
        let writes = [(id.to_owned(), Some(value.to_owned()))];
        self.document.edit(Time::from_millis(secs * 1000), author, &writes);
        self.unsent = self.drain();
    }

    /// Makes everything durable; gives what is to be sent.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut sent = std::mem::take(&mut self.unsent);
        while let Some(output) = self.document.poll_output() {
            match output {
                DocumentOutput::Send(message) => sent.push(message),
                DocumentOutput::Store(batch) => {
                    for Write { key, value } in batch.writes {
                        match value {
                            Some(value) => self.disk.insert(key, value),
                            None => self.disk.remove(&key),
                        };
                    }
                    self.document.handle_stored(batch.seq);
                }
                DocumentOutput::Changed => {}
            }
        }
        sent
    }

    fn get(&self, id: &str) -> Option<&str> {
        self.document.records().get(id).map(String::as_str)
    }
}

/// Lets two documents talk until both are quiet.
fn talk(a: &mut Desk, b: &mut Desk) {
    for desk in [&mut *a, &mut *b] {
        if !std::mem::replace(&mut desk.linked, true) {
            desk.document.handle_link_up();
        }
    }
    for _ in 0..50 {
        let (from_a, from_b) = (a.drain(), b.drain());
        if from_a.is_empty() && from_b.is_empty() {
            assert_eq!(a.document.heads(), b.document.heads());
            return;
        }
        from_a.iter().for_each(|message| b.document.handle_message(message).unwrap());
        from_b.iter().for_each(|message| a.document.handle_message(message).unwrap());
    }
    panic!("the documents do not come to rest");
}

fn part(a: &mut Desk, b: &mut Desk) {
    for desk in [a, b] {
        desk.linked = false;
        desk.document.handle_link_down();
    }
}

#[test]
fn an_edit_reaches_the_partner_and_both_are_agreed() {
    let (mut a, mut b) = (Desk::new("pi-a", 1), Desk::new("pi-b", 2));
    a.put(10, "ann", "network/iot", "{}");
    talk(&mut a, &mut b);
    assert_eq!(b.get("network/iot"), Some("{}"));
    assert_eq!(a.document.is_agreed(), Some(true));
    b.put(20, "bob", "network/iot", "{\"vlan\":3}");
    assert_eq!(b.document.is_agreed(), Some(false));
    talk(&mut a, &mut b);
    assert_eq!(a.get("network/iot"), Some("{\"vlan\":3}"));
    let last = a.document.changes(1).remove(0);
    assert_eq!((last.author.as_str(), last.node.as_str()), ("bob", "pi-b"));
    assert_eq!(last.at, Time::from_millis(20_000));
    assert_eq!(last.before.as_deref(), Some("{}"));
    assert_eq!(last.after.as_deref(), Some("{\"vlan\":3}"));
}

#[test]
fn edits_on_both_sides_of_a_break_both_survive() {
    let (mut a, mut b) = (Desk::new("pi-a", 1), Desk::new("pi-b", 2));
    a.put(1, "ann", "setting/domain", "\"home.arpa\"");
    talk(&mut a, &mut b);
    part(&mut a, &mut b);
    a.put(2, "ann", "network/iot", "1");
    b.put(2, "bob", "network/guest", "2");
    talk(&mut a, &mut b);
    for desk in [&a, &b] {
        assert_eq!(desk.get("network/iot"), Some("1"));
        assert_eq!(desk.get("network/guest"), Some("2"));
        assert!(desk.document.collisions().is_empty());
    }
}

#[test]
fn edits_of_one_record_collide_readably_until_settled() {
    let (mut a, mut b) = (Desk::new("pi-a", 1), Desk::new("pi-b", 2));
    a.put(1, "ann", "network/iot", "old");
    talk(&mut a, &mut b);
    part(&mut a, &mut b);
    a.put(2, "ann", "network/iot", "from a");
    b.put(2, "bob", "network/iot", "from b");
    talk(&mut a, &mut b);
    assert_eq!(a.get("network/iot"), b.get("network/iot"));
    let values = a.document.collisions()["network/iot"].clone();
    assert_eq!(values.len(), 2);
    assert_eq!(Some(values[0].as_str()), a.get("network/iot"));
    assert_eq!(a.document.collisions(), b.document.collisions());
    let winner = values[0].clone();
    b.put(3, "bob", "network/iot", &winner);
    talk(&mut a, &mut b);
    assert!(a.document.collisions().is_empty());
    assert_eq!(a.get("network/iot"), Some(winner.as_str()));
}

#[test]
fn a_restart_keeps_everything_and_old_pieces_are_folded() {
    let mut a = Desk::new("pi-a", 1);
    for n in 0..100 {
        a.put(n, "ann", &format!("rule/{n}"), "deny");
    }
    assert!(a.disk.len() <= 33, "{} pieces", a.disk.len());
    a.restart("pi-a", 1, &[]);
    assert_eq!(a.document.records().len(), 100);
    a.put(200, "ann", "rule/0", "allow");
    a.restart("pi-a", 1, &[]);
    assert_eq!(a.get("rule/0"), Some("allow"));
    let b = &mut Desk::new("pi-b", 2);
    talk(&mut a, b);
    assert_eq!(b.document.records().len(), 100);
}

#[test]
fn a_damaged_piece_is_refilled_from_the_partner() {
    let (mut a, mut b) = (Desk::new("pi-a", 1), Desk::new("pi-b", 2));
    for n in 0..5 {
        a.put(n, "ann", &format!("rule/{n}"), "deny");
    }
    talk(&mut a, &mut b);
    a.restart("pi-a", 1, &["doc/00000003"]);
    assert!(a.document.records().len() < 5);
    a.put(10, "ann", "rule/new", "deny");
    talk(&mut a, &mut b);
    assert_eq!(a.document.records().len(), 6);
    assert_eq!(b.document.records().len(), 6);
}

#[test]
fn nothing_is_sent_before_it_is_stored() {
    let mut a = Desk::new("pi-a", 1);
    a.document.handle_link_up();
    while a.document.poll_output().is_some() {}
    a.document.edit(Time::ZERO, "ann", &[("rule/1".to_owned(), Some("deny".to_owned()))]);
    let mut outputs = Vec::new();
    while let Some(output) = a.document.poll_output() {
        outputs.push(output);
    }
    assert!(!outputs.iter().any(|output| matches!(output, DocumentOutput::Send(_))));
}

#[test]
fn garbage_from_the_partner_is_an_error_and_no_panic() {
    let mut a = Desk::new("pi-a", 1);
    a.document.handle_link_up();
    assert!(a.document.handle_message(b"garbage").is_err());
    assert!(a.document.handle_message(&[]).is_err());
}

#[test]
fn colliding_values_name_their_authors_and_hosts() {
    let (mut a, mut b) = (Desk::new("pi-a", 1), Desk::new("pi-b", 2));
    a.put(1, "ann", "network/iot", "old");
    talk(&mut a, &mut b);
    part(&mut a, &mut b);
    a.put(2, "ann", "network/iot", "from a");
    b.put(3, "bob", "network/iot", "from b");
    talk(&mut a, &mut b);
    let values = a.document.colliding("network/iot");
    assert_eq!(values, b.document.colliding("network/iot"));
    let mut said: Vec<_> = values
        .iter()
        .map(|v| {
            let by = v.by.as_ref().expect("the document knows who wrote it");
            (v.value.as_str(), by.author.as_str(), by.node.as_str(), by.at.as_millis())
        })
        .collect();
    said.sort_unstable();
    assert_eq!(said, [("from a", "ann", "pi-a", 2000), ("from b", "bob", "pi-b", 3000)]);
    assert!(a.document.colliding("network/other").is_empty());
}

#[test]
fn a_change_of_several_records_is_one_change_and_an_undo_names_it() {
    let mut a = Desk::new("pi-a", 1);
    let write = |id: &str, value: &str| (id.to_owned(), Some(value.to_owned()));
    a.put(1, "ann", "list/ads", "1");
    let both = [write("list/ads", "2"), write("policy/default", "ads")];
    a.document.edit(Time::from_millis(2000), "ann", &both);
    let latest = a.document.changes(1);
    assert_eq!(latest.len(), 2, "both records of the latest change");
    let id = latest[0].change;
    assert_eq!(latest[1].change, id);
    assert_eq!(a.document.change(id), latest);
    assert_eq!(a.document.changes(9).len(), 3);

    let back = [write("list/ads", "1"), ("policy/default".to_owned(), None)];
    a.document.undo(Time::from_millis(3000), "bob", id, &back);
    let undone = a.document.changes(1);
    assert_eq!(undone[0].undoes, Some(id));
    assert_eq!(a.get("list/ads"), Some("1"));
    assert_eq!(a.get("policy/default"), None);
    assert!(a.document.change(ChangeId([0; 32])).is_empty());
}
