use std::sync::LazyLock;

use super::*;
use crate::fuzz::house::{House, asker};
use crate::fuzz::{RANDOM, check, mutated, streams};
use crate::server::ConnectionLimits;
use crate::server::gate::Gate;

static HANDLER: LazyLock<Handler> = LazyLock::new(|| {
    let House { shared, pipeline } = House::new();
    // Nobody takes questions out of the queue: each is answered at once.
    let (queue, _) = mpsc::channel(1);
    let waiting = crate::WaitingLimits::default();
    Handler { pipeline: Arc::new(pipeline), clock: shared.clock, shared, queue, waiting }
});

static TALLY: LazyLock<Arc<Tally>> = LazyLock::new(|| HANDLER.shared.tally());

/// What comes over a connection: as many answers at most as there were whole questions, each in a
/// frame, in order.
fn over_a_stream(input: &[u8]) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    let answers = runtime.build().expect("a runtime").block_on(async {
        let gate = Arc::new(Gate::new(ConnectionLimits::default()));
        let asker = asker(4 | 2 << 3);
        let place = gate.enter(asker.source.ip()).expect("room");
        let (client, server) = tokio::io::duplex(1 << 16);
        let (mut from_server, mut to_server) = tokio::io::split(client);
        let serving = serve(server, asker, &place, &HANDLER, &TALLY);
        let sending = async {
            // The other side may have had enough before the end.
            let _ = to_server.write_all(input).await;
            let _ = to_server.shutdown().await;
        };
        let mut answers = Vec::new();
        let receiving = from_server.read_to_end(&mut answers);
        let (_, _, received) = tokio::join!(serving, sending, receiving);
        received.expect("it ends in order");
        answers
    });
    let mut asked = frames(input);
    for answer in frames(&answers) {
        let question = asked.next().expect("no more answers than questions");
        check::reply(question, Transport::Tcp, answer);
    }
    let framed: usize = frames(&answers).map(|answer| 2 + answer.len()).sum();
    assert_eq!(framed, answers.len(), "nothing but whole frames");
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
