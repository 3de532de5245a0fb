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

#[test]
fn addresses_of_one_ipv6_network_are_one_client() {
    let of = |text: &str| client_of(text.parse().expect(text));
    assert_eq!(of("fd00::1"), of("fd00::2"));
    assert_ne!(of("fd00::1"), of("fd00:0:0:1::1"));
    assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
}
