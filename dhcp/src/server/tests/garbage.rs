//! Whatever comes in: no panic, and at most one reply to one packet.

use std::net::{Ipv4Addr, SocketAddrV4};

use proptest::prelude::*;

use super::bench::*;
use crate::{Output, ProbeResult, Received};

/// Feeds one packet, lets everything it set off end, and counts the replies.
fn replies(bench: &mut Bench, from: Option<&str>, dst: Ipv4Addr, payload: &[u8]) -> usize {
    let src = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let rx = Received { network: from.map(Into::into), src, dst, payload };
    bench.server.handle_packet(at(0), &mut bench.book, &rx);
    let (mut replies, mut probes) = (0, Vec::new());
    loop {
        while let Some(output) = bench.server.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    replies += 1;
                    assert!((300..=4200).contains(&transmit.payload.len()));
                }
                Output::Probe(probe) => probes.push(probe),
                Output::Dropped(_) | Output::Event(_) => {}
            }
        }
        if let Some(probe) = probes.pop() {
            let result = ProbeResult::Silent;
            bench.server.handle_probe(at(0), &mut bench.book, probe.id, result);
        } else if !bench.book.proposed.is_empty() {
            let (ticket, outcome) = bench.book.settle(at(0));
            bench.server.handle_outcome(at(0), ticket, outcome);
        } else {
            return replies;
        }
    }
}

fn bench() -> Bench {
    Bench::with(|config| {
        for network in config.networks.values_mut() {
            network.probe = true;
        }
    })
}

fn message() -> impl Strategy<Value = Msg> {
    let addr = prop_oneof![
        Just(Ipv4Addr::UNSPECIFIED),
        (99u8..130).prop_map(home),
        any::<u32>().prop_map(Ipv4Addr::from),
    ];
    let option = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40));
    let options = prop::collection::vec(option, 0..12);
    (0u8..=9, addr.clone(), addr.clone(), addr, options, any::<u16>(), any::<bool>()).prop_map(
        |(kind, ciaddr, asked, server, options, flags, relayed)| {
            let mut msg = Msg::new(kind, 1);
            msg.ciaddr = ciaddr;
            msg.flags = flags;
            msg = if relayed { msg.relayed(SHED_RELAY) } else { msg };
            msg.options.extend(options);
            msg.select(server, asked)
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(replies(&mut bench(), Some(HOME), Ipv4Addr::BROADCAST, &bytes), 0);
    }

    #[test]
    fn arbitrary_options_get_one_reply_at_most(
        options in prop::collection::vec(any::<u8>(), 0..600),
        kind in 0u8..=9,
    ) {
        let mut bytes = Msg::new(kind, 1).bytes();
        bytes.pop();
        bytes.extend_from_slice(&options);
        prop_assert!(replies(&mut bench(), Some(HOME), Ipv4Addr::BROADCAST, &bytes) <= 1);
    }

    #[test]
    fn mutated_messages_get_one_reply_at_most(
        msgs in prop::collection::vec(
            (message(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)),
            1..8,
        ),
    ) {
        let mut bench = bench();
        for (msg, changes) in msgs {
            let mut bytes = msg.bytes();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            prop_assert!(replies(&mut bench, msg.from.as_deref(), msg.dst, &bytes) <= 1);
        }
    }
}
