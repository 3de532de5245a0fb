use std::sync::LazyLock;

use super::*;
use crate::fuzz::house::{House, asker};
use crate::fuzz::{RANDOM, check, mutated, streams};
use crate::server::ConnectionLimits;
use crate::server::gate::Gate;

static HANDLER: LazyLock<Handler> = LazyLock::new(handler);

/// A house's.
fn handler() -> Handler {
    let House { shared, pipeline } = House::new();
    // Nobody takes questions out of the queue: each is answered at once.
    let (queue, _) = mpsc::channel(1);
    let waiting = crate::WaitingLimits::default();
    Handler { pipeline: Arc::new(pipeline), clock: shared.clock, shared, queue, waiting }
}

static TALLY: LazyLock<Arc<Tally>> = LazyLock::new(|| HANDLER.shared.tally());

/// What comes over a connection: as many answers at most as there were whole questions, each in a
/// frame, in order.
fn over_a_stream(input: &[u8]) {
    let answers = answers(&HANDLER, asker(4 | 2 << 3), input).0;
    let mut asked = frames(input);
    for answer in frames(&answers) {
        let question = asked.next().expect("no more answers than questions");
        check::reply(question, Transport::Tcp, answer);
    }
    let framed: usize = frames(&answers).map(|answer| 2 + answer.len()).sum();
    assert_eq!(framed, answers.len(), "nothing but whole frames");
}

/// What the client receives until the connection ends, and how long that took, on a clock that goes
/// on only where somebody waits.
fn answers(handler: &Handler, asker: Asker, input: &[u8]) -> (Vec<u8>, Duration) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    runtime.build().expect("a runtime").block_on(async {
        let began = tokio::time::Instant::now();
        let gate = Arc::new(Gate::new(ConnectionLimits::default()));
        let place = gate.enter(asker.source.ip()).expect("room");
        let (client, server) = tokio::io::duplex(1 << 16);
        let (mut from_server, mut to_server) = tokio::io::split(client);
        let serving = serve(server, asker, &place, handler, &TALLY);
        let sending = async {
            // The other side may have had enough before the end.
            let _ = to_server.write_all(input).await;
            let _ = to_server.shutdown().await;
        };
        let mut answers = Vec::new();
        let receiving = from_server.read_to_end(&mut answers);
        let (_, _, received) = tokio::join!(serving, sending, receiving);
        received.expect("it ends in order");
        (answers, began.elapsed())
    })
}

/// The whole frames of a stream.
fn frames(mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = stream.split_first_chunk()?;
        let (frame, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        stream = rest;
        Some(frame)
    })
}

#[test]
fn framing() {
    bolero::check!().with_iterations(RANDOM / 10).for_each(over_a_stream);
    mutated(over_a_stream, streams());
}

#[test]
fn a_client_over_its_limit_waits_for_its_turn_until_it_asks_far_too_much() {
    let handler = handler();
    let rate_limit = Some(crate::RateLimit { per_second: 1, burst: 20 });
    let protection = crate::Protection { rate_limit, ..crate::Protection::default() };
    handler.shared.set_protection(protection);
    let asker = asker(4 | 2 << 3);
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01";
    let asked = |times: usize| answers(&handler, asker, &framed(question).repeat(times));
    let (answers, took) = asked(20);
    assert_eq!((frames(&answers).count(), took), (20, Duration::ZERO), "as many as at once");
    let (answers, took) = asked(10);
    // On the clock of the limit, which is the real one, nearly no time goes by.
    assert!((2..5).contains(&frames(&answers).count()), "{}", frames(&answers).count());
    assert!((1..4).contains(&took.as_secs()), "{took:?}");
    let over = handler.shared.over_limit();
    assert!(over.iter().map(|over| over.refused).sum::<u64>() >= 3);
    let udp = Asker { transport: Transport::Udp, ..asker };
    let mut out = Vec::new();
    let outcome =
        handler.pipeline.handle(&handler.shared, question, udp, handler.clock.now(), &mut out);
    assert!(matches!(outcome, Outcome::Answered(how) if how != crate::Answered::Limited));
}
