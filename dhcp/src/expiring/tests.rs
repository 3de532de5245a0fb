use super::*;

fn at(secs: u64) -> Time {
    Time::from_millis(secs * 1000)
}

#[test]
fn an_entry_is_gone_at_its_end() {
    let mut map = Expiring::new(8);
    map.insert("a", 1, at(10));
    assert_eq!(map.get(at(9), &"a"), Some(&1));
    assert_eq!(map.get(at(10), &"a"), None);
    assert_eq!(map.next_end(), Some(at(10)));
    assert_eq!(map.pop_ended(at(9)), None);
    assert_eq!(map.pop_ended(at(10)), Some(("a", 1)));
    assert_eq!(map.next_end(), None);
}

#[test]
fn a_full_map_gives_up_the_entry_that_ends_first() {
    let mut map = Expiring::new(2);
    map.insert("late", 1, at(30));
    map.insert("early", 2, at(20));
    assert!(map.is_full());
    map.insert("new", 3, at(40));
    assert_eq!(map.get(at(1), &"early"), None);
    assert_eq!(map.get(at(1), &"late"), Some(&1));
    assert_eq!(map.get(at(1), &"new"), Some(&3));
}

#[test]
fn setting_an_entry_again_moves_its_end() {
    let mut map = Expiring::new(2);
    map.insert("a", 1, at(10));
    map.insert("a", 2, at(50));
    assert_eq!(map.pop_ended(at(20)), None);
    assert_eq!(map.get(at(20), &"a"), Some(&2));
    assert_eq!(map.remove(&"a"), Some(2));
    assert_eq!(map.next_end(), None);
}
