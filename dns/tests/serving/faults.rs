//! Garbage, and changes under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use lanward_dns::{DropReason, EmptyFilter, Upstreams};

use crate::support::{Ads, House, ask, ask_raw, question};

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_counted_and_does_no_harm() {
    let house = House::start(Upstreams::default()).await;
    let good = question("printer.home.arpa.", RecordType::A).to_vec().expect("encodes");
    let wait = Duration::from_millis(200);
    assert!(ask_raw(house.addr, b"short", wait).await.is_none());
    assert!(ask_raw(house.addr, b"", wait).await.is_none());
    let mut response = good.clone();
    response[2] |= 0x80;
    assert!(ask_raw(house.addr, &response, wait).await.is_none());
    // Every byte of a good question changed in turn, and pseudo-random packets.
    let mut state = 1u32;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        ask_raw(house.addr, &bad, Duration::from_millis(1)).await;
        let noise: Vec<u8> = (0..at * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        ask_raw(house.addr, &noise, Duration::from_millis(1)).await;
    }
    assert_eq!(house.ask("printer.home.arpa.", RecordType::A).await.answers.len(), 1);
    let counters = house.shared.counters();
    assert!(counters.dropped(DropReason::Short) >= 2, "{counters:?}");
    assert!(counters.dropped(DropReason::Response) >= 1, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn swapping_the_filter_loses_no_query() {
    let house = House::start(Upstreams::default()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, addr) = (stop.clone(), house.addr);
            tokio::spawn(async move {
                let query = question("printer.home.arpa.", RecordType::A);
                let mut asked = 0u32;
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(addr, &query).await.expect("lost");
                    assert_eq!(answer.answers.len(), 1);
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    for round in 0..200 {
        if round % 2 == 0 {
            house.shared.set_filter(Arc::new(EmptyFilter));
        } else {
            house.shared.set_filter(Arc::new(Ads));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut asked = 0;
    for client in clients {
        asked += client.await.expect("no query was lost");
    }
    assert!(asked > 100, "{asked}");
    let answer = house.ask("x.ads.example.", RecordType::A).await;
    assert_eq!(answer.answers[0].data.to_string(), "0.0.0.0", "the last one is in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_outside_all_networks_get_nothing() {
    let house = House::start(Upstreams::default()).await;
    let mut policies = crate::support::policies();
    policies.networks.retain(|network| network.subnet.addr().is_ipv6());
    house.shared.set_policies(policies);
    let query = question("printer.home.arpa.", RecordType::A).to_vec().expect("encodes");
    assert!(ask_raw(house.addr, &query, Duration::from_millis(300)).await.is_none());
    assert_eq!(house.shared.counters().dropped(DropReason::Source), 1);
}
