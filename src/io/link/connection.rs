//! One connection with a partner that has proved its key: frames in, frames out, and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

use super::{LinkEvent, MAX_FRAME_BYTES, Shared};
use crate::identity::Fingerprint;

/// Bytes that may wait to be sent. A partner that lets more pile up is not keeping up: the link
/// ends, and the two start over from what each has on its disk.
const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;
/// What was sent before the close has this long to go out.
const FLUSH: Duration = Duration::from_secs(1);

/// u32 length, big-endian, then the frame.
pub(super) fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME_BYTES).new_codec()
}

/// No waiting for more data, and word within seconds of a host that vanished.
pub(super) fn tune(socket: &TcpStream, unanswered: Duration) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(unanswered))
}

/// Sends on one connection.
#[derive(Clone, Debug)]
pub struct LinkSender {
    queue: mpsc::UnboundedSender<Bytes>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    waiting_bytes: AtomicUsize,
    closing: CancellationToken,
    reason: Mutex<Option<String>>,
}

impl LinkSender {
    /// Queues a frame of 1 to [`MAX_FRAME_BYTES`] bytes. It arrives whole, once and in order, or
    /// the connection ends, and [`LinkEvent::Down`] says why: also when the frame is too long or
    /// the partner does not keep up.
    pub fn send(&self, frame: Vec<u8>) {
        if self.state.closing.is_cancelled() || frame.is_empty() {
            return;
        }
        if frame.len() > MAX_FRAME_BYTES {
            return self.close(&format!(
                "this node wanted to send a frame of {} bytes; the limit is {MAX_FRAME_BYTES}",
                frame.len()
            ));
        }
        let waiting = self.state.waiting_bytes.fetch_add(frame.len(), Ordering::AcqRel);
        if waiting + frame.len() > MAX_WAITING_BYTES {
            return self.close("the partner does not read as fast as this node sends");
        }
        // A connection that has ended on its own says so with Down.
        drop(self.queue.send(Bytes::from(frame)));
    }

    /// Ends the connection after what was sent before has gone out, for at most a second. The
    /// first reason counts.
    pub fn close(&self, reason: &str) {
        let mut kept = self.state.reason.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| reason.to_owned());
        drop(kept);
        self.state.closing.cancel();
    }
}

/// Runs one connection from its `Up` to its `Down`, or to the end of whoever listens for events.
/// `who` is the partner's name.
pub(super) struct Connection<S> {
    pub(super) stream: S,
    pub(super) peer_addr: SocketAddr,
    pub(super) who: String,
    pub(super) events: mpsc::Sender<LinkEvent>,
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    /// The connection as a future, and the handle by which it is closed.
    pub(super) fn split(self) -> (LinkSender, impl Future<Output = ()>) {
        let (queue, waiting) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            waiting_bytes: AtomicUsize::new(0),
            closing: CancellationToken::new(),
            reason: Mutex::new(None),
        });
        let sender = LinkSender { queue, state };
        (sender.clone(), self.run(sender, waiting))
    }

    async fn run(self, sender: LinkSender, waiting: mpsc::UnboundedReceiver<Bytes>) {
        let Connection { stream, peer_addr, who, events } = self;
        let state = Arc::clone(&sender.state);
        if events.send(LinkEvent::Up { peer_addr, sender }).await.is_err() {
            return;
        }
        let (reader, writer) = tokio::io::split(stream);
        let closing = state.closing.clone();
        let flushed_or_late = async {
            closing.cancelled().await;
            tokio::time::sleep(FLUSH).await;
        };
        let ended = tokio::select! {
            ended = read(reader, &events, &state) => ended,
            ended = write(writer, waiting, &state) => ended,
            () = flushed_or_late => Ended::Closed,
        };
        let given = state.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reason = given.unwrap_or_else(|| ended.sentence(&who));
        drop(events.send(LinkEvent::Down { reason }).await);
    }
}

/// How a connection ends on its own.
enum Ended {
    Closed,
    NobodyListens,
    Error(io::Error),
}

impl Ended {
    fn sentence(&self, who: &str) -> String {
        match self {
            Ended::Closed => format!("{who} closed the link"),
            Ended::NobodyListens => "this node stopped".to_owned(),
            Ended::Error(error) => why(who, error),
        }
    }
}

/// What an error on an established connection means, for people.
fn why(who: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("{who} is gone without a word: its process ended"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("the connection to {who} was reset: its process or its host ended")
        }
        io::ErrorKind::TimedOut => {
            format!("{who} does not answer: its host or the network between is down")
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("the network to {who} is down")
        }
        _ => format!("the link to {who} broke: {error}"),
    }
}

async fn read<S: AsyncRead>(
    reader: ReadHalf<S>,
    events: &mpsc::Sender<LinkEvent>,
    state: &State,
) -> Ended {
    let mut frames = FramedRead::new(reader, codec());
    loop {
        match frames.next().await {
            None => return Ended::Closed,
            Some(Err(error)) => return Ended::Error(error),
            // An empty frame carries nothing: the listening end sends one to say that it has
            // accepted our key.
            Some(Ok(frame)) if frame.is_empty() => {}
            Some(Ok(_)) if state.closing.is_cancelled() => {}
            Some(Ok(frame)) => {
                if events.send(LinkEvent::Frame(frame.to_vec())).await.is_err() {
                    return Ended::NobodyListens;
                }
            }
        }
    }
}

async fn write<S: AsyncWrite>(
    writer: WriteHalf<S>,
    mut waiting: mpsc::UnboundedReceiver<Bytes>,
    state: &State,
) -> Ended {
    let mut writer = BufWriter::new(writer);
    loop {
        let next = tokio::select! {
            biased;
            next = waiting.recv() => next,
            () = state.closing.cancelled() => None,
        };
        let Some(first) = next else { break };
        if let Err(error) = write_waiting(&mut writer, first, &mut waiting, state).await {
            return Ended::Error(error);
        }
    }
    match writer.shutdown().await {
        Ok(()) => Ended::Closed,
        Err(error) => Ended::Error(error),
    }
}

/// Writes all frames there are, then flushes once.
async fn write_waiting(
    writer: &mut (impl AsyncWrite + Unpin),
    first: Bytes,
    waiting: &mut mpsc::UnboundedReceiver<Bytes>,
    state: &State,
) -> io::Result<()> {
    let mut next = Some(first);
    while let Some(frame) = next {
        write_frame(writer, &frame).await?;
        state.waiting_bytes.fetch_sub(frame.len(), Ordering::AcqRel);
        next = waiting.try_recv().ok();
    }
    writer.flush().await
}

/// Writes one frame, without flushing.
pub(super) async fn write_frame(
    writer: &mut (impl AsyncWrite + Unpin),
    frame: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    writer.write_u32(length).await?;
    writer.write_all(frame).await
}

/// Runs a connection until it ends, this node stops, or its key is no longer the partner's.
pub(super) async fn watch(
    sender: LinkSender,
    running: impl Future<Output = ()>,
    key: Fingerprint,
    shared: &Shared,
) {
    let mut running = std::pin::pin!(running);
    let mut partner = shared.partner.clone();
    let removed = partner.wait_for(|peer| peer.as_ref().is_none_or(|peer| peer.key != key));
    tokio::select! {
        () = &mut running => return,
        () = shared.stop.cancelled() => sender.close("this node stops"),
        _ = removed => sender.close("the partner was changed or removed"),
    }
    running.await;
}
