//! The TCP listener (RFC 7766).
//!
//! hickory-server's listener accepts connections itself, without a bound in all or for a client,
//! spins when file descriptors run out, and answers the questions of one connection one after the
//! other; it takes the whole listener, so that no guard can stand in front. Framing is two bytes of
//! length, so the listener is our own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Handler, ReplyTo, TcpLimits};
use crate::counters::Tally;
use crate::forward::Job;
use crate::{Asker, DropReason, Outcome, Transport};

/// Pause when no connection can be accepted, mostly because file descriptors have run out.
const PAUSE: Duration = Duration::from_millis(200);

/// Counts connections, in all and of each client.
#[derive(Debug)]
pub(super) struct Gate {
    limits: TcpLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_client: HashMap<IpAddr, usize>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
struct Place {
    gate: Arc<Gate>,
    client: IpAddr,
}

/// Where the answer to one question of a connection goes.
#[derive(Debug)]
pub(crate) struct Slot {
    answers: mpsc::Sender<(Vec<u8>, OwnedSemaphorePermit)>,
    permit: OwnedSemaphorePermit,
}

impl Gate {
    pub(super) fn new(limits: TcpLimits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let client = client_of(source);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.of_client.get(&client).copied().unwrap_or(0);
        if open.all >= self.limits.connections || own >= self.limits.connections_per_client {
            return None;
        }
        open.all += 1;
        open.of_client.insert(client, own + 1);
        Some(Place { gate: self.clone(), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(own) = open.of_client.get_mut(&self.client) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                open.of_client.remove(&self.client);
            }
        }
    }
}

impl Slot {
    pub(crate) fn send(self, answer: &[u8]) -> bool {
        // As many permits as room, so there is room unless the connection has gone.
        self.answers.try_send((framed(answer), self.permit)).is_ok()
    }
}

/// Accepts connections until aborted; the connections end with it.
pub(super) async fn serve(listener: TcpListener, gate: Arc<Gate>, handler: Handler) {
    let tally = handler.shared.tally();
    let mut connections = JoinSet::new();
    loop {
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting a DNS connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        // Finished ones are let go of here: there are never more than the gate has let in.
        while connections.try_join_next().is_some() {}
        if handler.shared.snapshot.load().policies.of(source.ip()).is_none() {
            tally.dropped(DropReason::Source);
            continue;
        }
        let Some(place) = gate.enter(source.ip()) else {
            tally.dropped(DropReason::Connections);
            continue;
        };
        let connection = serve_one(stream, source, gate.limits, handler.clone(), tally.clone());
        connections.spawn(async move {
            let _place = place;
            connection.await;
        });
    }
}

async fn serve_one(
    stream: TcpStream,
    source: SocketAddr,
    limits: TcpLimits,
    handler: Handler,
    tally: Arc<Tally>,
) {
    // Answers are whole messages; waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    let (from_client, to_client) = stream.into_split();
    let (answers, pending) = mpsc::channel(limits.pipelined.max(1));
    let reading = read(from_client, source, limits, handler, answers, &tally);
    let writing = write(to_client, pending, limits.idle);
    tokio::pin!(reading, writing);
    tokio::select! {
        // The client has finished asking, or is idle: what it asked is still answered.
        () = &mut reading => writing.await,
        // It does not take its answers.
        () = &mut writing => tally.dropped(DropReason::Stream),
    }
}

async fn read(
    mut from_client: OwnedReadHalf,
    source: SocketAddr,
    limits: TcpLimits,
    handler: Handler,
    answers: mpsc::Sender<(Vec<u8>, OwnedSemaphorePermit)>,
    tally: &Tally,
) {
    let permits = Arc::new(Semaphore::new(limits.pipelined.max(1)));
    let asker = Asker { source, transport: Transport::Tcp };
    let (mut packet, mut out) = (Vec::new(), Vec::new());
    loop {
        match timeout(limits.idle, read_message(&mut from_client, &mut packet)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return,
            Ok(Err(_)) | Err(_) => return tally.dropped(DropReason::Stream),
        }
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let slot = Slot { answers: answers.clone(), permit };
        let now = handler.clock.now();
        match handler.pipeline.handle(&handler.shared, &packet, asker, now, &mut out) {
            Outcome::Answered(how) => {
                tally.answered(how);
                ReplyTo::Tcp(slot).send(&out, tally);
            }
            Outcome::Dropped(reason) => return tally.dropped(reason),
            Outcome::Miss => {
                let (packet, reply) = (packet.as_slice().into(), ReplyTo::Tcp(slot));
                let job = Job { packet, asker, received: now, reply };
                handler.forward(job, &mut out, tally);
            }
        }
    }
}

/// One message; false when the client has closed its side between two.
async fn read_message(stream: &mut OwnedReadHalf, packet: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut len = [0; 2];
    if stream.read(&mut len[..1]).await? == 0 {
        return Ok(false);
    }
    stream.read_exact(&mut len[1..]).await?;
    packet.resize(usize::from(u16::from_be_bytes(len)), 0);
    stream.read_exact(packet).await?;
    Ok(true)
}

async fn write(
    mut to_client: OwnedWriteHalf,
    mut pending: mpsc::Receiver<(Vec<u8>, OwnedSemaphorePermit)>,
    patience: Duration,
) {
    while let Some((answer, _permit)) = pending.recv().await {
        match timeout(patience, to_client.write_all(&answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn framed(answer: &[u8]) -> Vec<u8> {
    let answer = answer.get(..usize::from(u16::MAX)).unwrap_or(answer);
    let mut framed = Vec::with_capacity(2 + answer.len());
    framed.extend_from_slice(&(answer.len() as u16).to_be_bytes());
    framed.extend_from_slice(answer);
    framed
}

/// What counts as one client: an IPv4 address, or all of an IPv6 network of one LAN.
fn client_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}
