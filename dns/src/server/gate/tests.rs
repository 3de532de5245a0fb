use super::*;

fn gate(connections: usize, connections_per_client: usize) -> Arc<Gate> {
    let limits = ConnectionLimits { connections, connections_per_client, ..Default::default() };
    Arc::new(Gate::new(limits))
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 30, last])
}

async fn leaves(place: &Place) -> bool {
    tokio::time::timeout(Duration::from_millis(1), place.told_to_leave()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_client_at_its_cap_closes_its_own_oldest_idle_connection() {
    let gate = gate(8, 2);
    let other = gate.enter(address(2)).expect("room");
    tokio::time::advance(Duration::from_secs(1)).await;
    let first = gate.enter(address(1)).expect("room");
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = gate.enter(address(1)).expect("room");
    tokio::time::advance(Duration::from_secs(1)).await;
    drop(first.busy());
    let third = gate.enter(address(1)).expect("the second makes room");
    assert!(leaves(&second).await, "unused for longest of this client's");
    assert!(!leaves(&first).await && !leaves(&third).await && !leaves(&other).await);
}

#[tokio::test(start_paused = true)]
async fn a_full_house_closes_the_oldest_idle_connection_of_all() {
    let gate = gate(2, 2);
    let first = gate.enter(address(1)).expect("room");
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = gate.enter(address(2)).expect("room");
    let _third = gate.enter(address(3)).expect("the first makes room");
    assert!(leaves(&first).await && !leaves(&second).await);
    // Its place was given away already; giving it back changes nothing.
    drop(first);
    assert_eq!(gate.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn connections_at_work_make_no_room() {
    let gate = gate(2, 2);
    let places = [address(1), address(2)].map(|from| gate.enter(from).expect("room"));
    let busy = places.each_ref().map(Place::busy);
    assert!(gate.enter(address(3)).is_none());
    drop(busy);
    assert!(gate.enter(address(3)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_idle_when_its_last_answer_is_old() {
    let gate = gate(2, 2);
    let place = gate.enter(address(1)).expect("room");
    let limit = Duration::from_secs(10);
    tokio::time::advance(Duration::from_secs(6)).await;
    let busy = place.busy();
    tokio::time::advance(Duration::from_secs(60)).await;
    let idle = |wait| tokio::time::timeout(wait, place.idle(limit));
    assert!(idle(Duration::from_secs(30)).await.is_err(), "a question is at work");
    drop(busy);
    assert!(idle(Duration::from_secs(9)).await.is_err());
    assert!(idle(Duration::from_secs(2)).await.is_ok());
}

fn neighbour(last: u16) -> IpAddr {
    IpAddr::from([0xfd00, 0x30, 0, 0, 0, 0, 0, last])
}

#[tokio::test(start_paused = true)]
async fn devices_of_one_ipv6_network_have_places_of_their_own() {
    let gate = gate(256, 16);
    let mut held = Vec::new();
    for device in 1..=8 {
        held.extend((0..16).map(|_| gate.enter(neighbour(device)).expect("room")));
    }
    assert_eq!(held.len(), 128, "eight devices with as many as one may have");
    for place in &held {
        assert!(!leaves(place).await);
    }
    let mapped = Origin::of("::ffff:10.0.0.1".parse().expect("an address"));
    assert_eq!(mapped, Origin::of("10.0.0.1".parse().expect("an address")));
}

#[tokio::test(start_paused = true)]
async fn a_device_with_ten_thousand_ipv6_addresses_leaves_other_networks_untouched() {
    let gate = gate(256, 16);
    let others: Vec<Place> =
        (1..100).map(|last| gate.enter(address(last)).expect("room")).collect();
    let elsewhere = gate.enter("fd00:40::1".parse().expect("an address")).expect("room");
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut held = std::collections::VecDeque::new();
    for last in 0..10_000 {
        held.push_back(gate.enter(neighbour(last)).expect("the oldest of them makes room"));
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert_eq!(gate.lock().len(), 99 + 1 + 128);
    for place in others.iter().chain([&elsewhere]) {
        assert!(!leaves(place).await);
    }
    // A neighbour finds a place, too: whoever has been idle for longest makes room.
    let _neighbour = gate.enter(neighbour(60_000)).expect("room");
}

#[test]
fn a_crowded_network_makes_no_other_one_prove_itself() {
    let gate = gate(1024, 16);
    let _held: Vec<_> = (0..64).map(|last| gate.enter(neighbour(last)).expect("room")).collect();
    assert!(gate.is_crowded(neighbour(100)));
    assert!(!gate.is_crowded("fd00:40::1".parse().expect("an address")));
    assert!(!gate.is_crowded(address(1)));
}

#[test]
fn with_few_files_a_network_has_half_of_what_is_left() {
    let limits = ConnectionLimits { connections: 10, ..Default::default() };
    assert_eq!(Gate::new(limits).limits.connections_per_network, 5);
}
