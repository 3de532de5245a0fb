//! DNS over a stream of bytes: TCP (RFC 7766), and TLS on top of it (RFC 7858).
//!
//! hickory-server's listener accepts connections itself, without a bound in all or for a client,
//! spins when file descriptors run out, and answers the questions of one connection one after the
//! other; it takes the whole listener, so that no guard can stand in front. Framing is two bytes of
//! length, so the listener is our own.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::gate::{Busy, Place};
use super::options::Wants;
use super::{Handler, ReplyTo};
use crate::counters::Tally;
use crate::forward::Job;
use crate::{Asker, DropReason, Outcome, Transport};

/// Where the answer to one question of a connection goes.
#[derive(Debug)]
pub(crate) struct Slot {
    answers: mpsc::Sender<Answer>,
    turn: Turn,
    wants: Wants,
    idle: Duration,
}

/// An answer with its length in front, and what it held.
type Answer = (Vec<u8>, Turn);

/// One of the questions that a connection may have answered at the same time.
#[derive(Debug)]
struct Turn {
    _permit: OwnedSemaphorePermit,
    _busy: Busy,
}

impl Slot {
    pub(crate) fn send(self, answer: &[u8]) -> bool {
        let mut answer = answer.to_vec();
        self.wants.add_to(&mut answer, self.idle);
        // As many permits as room, so there is room unless the connection has gone.
        self.answers.try_send((framed(&answer), self.turn)).is_ok()
    }
}

/// Answers what comes over one connection until it ends or is idle.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(
    stream: S,
    asker: Asker,
    place: &Place,
    handler: &Handler,
    tally: &Tally,
) {
    let (from_client, to_client) = tokio::io::split(stream);
    let limits = place.limits();
    let idle = if asker.transport == Transport::Tcp { limits.idle } else { limits.encrypted_idle };
    let (answers, pending) = mpsc::channel(limits.pipelined.max(1));
    let reading = read(from_client, asker, idle, place, handler, answers, tally);
    let writing = write(to_client, pending, limits.idle);
    tokio::pin!(reading, writing);
    tokio::select! {
        // The client has finished asking, or is idle: what it asked is still answered.
        () = &mut reading => writing.await,
        // It does not take its answers.
        () = &mut writing => tally.dropped(DropReason::Stream),
    }
}

async fn read<S: AsyncRead>(
    mut from_client: ReadHalf<S>,
    asker: Asker,
    idle: Duration,
    place: &Place,
    handler: &Handler,
    answers: mpsc::Sender<Answer>,
    tally: &Tally,
) {
    let permits = Arc::new(Semaphore::new(place.limits().pipelined.max(1)));
    let (mut packet, mut out) = (Vec::new(), Vec::new());
    loop {
        let slowest = place.limits().idle;
        match read_message(&mut from_client, &mut packet, idle, slowest).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => return tally.dropped(DropReason::Stream),
        }
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let turn = Turn { _permit: permit, _busy: place.busy() };
        let wants = Wants::of(&packet, asker.transport);
        let slot = Slot { answers: answers.clone(), turn, wants, idle };
        let now = match handler.turn(asker).await {
            Ok(now) => now,
            Err(reason) => return tally.dropped(reason),
        };
        match handler.pipeline.handle(&handler.shared, &packet, asker, now, &mut out) {
            outcome @ (Outcome::Answered(how) | Outcome::Aging(how)) => {
                tally.answered(how);
                ReplyTo::Stream(slot).send(&out, tally);
                if matches!(outcome, Outcome::Aging(_)) {
                    handler.refresh(&packet, asker, now);
                }
            }
            Outcome::Dropped(reason) => return tally.dropped(reason),
            Outcome::Miss => {
                let reply = ReplyTo::Stream(slot);
                let packet = packet.as_slice().into();
                let job = Job { packet, asker, received: now, reply, waits: None };
                handler.forward(job, &mut out, tally);
            }
        }
    }
}

/// One message, which begins within `idle` and then takes no longer than `slowest`; false when the
/// client has closed its side between two.
async fn read_message<S: AsyncRead>(
    stream: &mut ReadHalf<S>,
    packet: &mut Vec<u8>,
    idle: Duration,
    slowest: Duration,
) -> std::io::Result<bool> {
    let mut len = [0; 2];
    if timeout(idle, stream.read(&mut len[..1])).await?? == 0 {
        return Ok(false);
    }
    let rest = async {
        stream.read_exact(&mut len[1..]).await?;
        packet.resize(usize::from(u16::from_be_bytes(len)), 0);
        stream.read_exact(packet).await
    };
    timeout(slowest, rest).await??;
    Ok(true)
}

async fn write<S: AsyncWrite>(
    mut to_client: WriteHalf<S>,
    mut pending: mpsc::Receiver<Answer>,
    patience: Duration,
) {
    while let Some((answer, _turn)) = pending.recv().await {
        let sent = async {
            to_client.write_all(&answer).await?;
            to_client.flush().await
        };
        match timeout(patience, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    // Says goodbye where TLS wants that; a client that has gone does not need to hear it.
    let _ = timeout(patience, to_client.shutdown()).await;
}

fn framed(answer: &[u8]) -> Vec<u8> {
    let answer = answer.get(..usize::from(u16::MAX)).unwrap_or(answer);
    let mut framed = Vec::with_capacity(2 + answer.len());
    framed.extend_from_slice(&(answer.len() as u16).to_be_bytes());
    framed.extend_from_slice(answer);
    framed
}

#[cfg(test)]
mod tests;
