//! Many questions over one connection, answered in any order (RFC 7766, 6.2.1.1).

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::connection::{Replied, Request};
use super::question::Dice;
use crate::wire::{Reading, read};

/// A connection over which nothing has come for so long is closed.
const IDLE: Duration = Duration::from_secs(15);

/// Bytes written at once, at most, when many questions wait.
const BATCH: usize = 16 << 10;

/// Questions without an answer after which those that nobody waits for any more are looked for.
const CROWDED: usize = 1024;

type Waiting = Mutex<HashMap<u16, (Vec<u8>, Request)>>;

/// Serves requests over `stream` until it closes, breaks or is idle. Requests that are dropped
/// without a reply may be asked again elsewhere.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(
    stream: S,
    mut requests: mpsc::UnboundedReceiver<Request>,
    padded: bool,
) {
    let (from_server, to_server) = tokio::io::split(stream);
    let waiting = Waiting::default();
    let reading = receive(from_server, &waiting);
    let writing = send(to_server, &mut requests, &waiting, padded);
    tokio::pin!(reading, writing);
    let ended = tokio::select! {
        ended = &mut reading => ended,
        // Nobody will ask any more: whoever waits still gets an answer.
        ended = &mut writing => match ended {
            Ok(()) => reading.await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to an upstream server has broken");
    }
}

async fn send(
    mut to_server: impl AsyncWrite + Unpin,
    requests: &mut mpsc::UnboundedReceiver<Request>,
    waiting: &Waiting,
    padded: bool,
) -> io::Result<()> {
    let mut out = Vec::new();
    while let Some(first) = requests.recv().await {
        out.clear();
        let mut next = Some(first);
        while let Some(request) = next {
            enter(request, waiting, padded, &mut out);
            next = if out.len() < BATCH { requests.try_recv().ok() } else { None };
        }
        if to_server.write_all(&out).await.is_err() || to_server.flush().await.is_err() {
            // The reading side will see it too, and knows what the server had to say before.
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

/// Notes who waits and writes the framed question.
fn enter(request: Request, waiting: &Waiting, padded: bool, out: &mut Vec<u8>) {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    if waiting.len() >= CROWDED {
        waiting.retain(|_, (_, request)| !request.is_abandoned());
    }
    if request.is_abandoned() || waiting.len() > usize::from(u16::MAX) / 2 {
        return;
    }
    let mut id = Dice::throw().id();
    while waiting.contains_key(&id) {
        id = id.wrapping_add(1);
    }
    let message = request.message(id, padded);
    out.extend_from_slice(&(message.len() as u16).to_be_bytes());
    out.extend_from_slice(&message);
    waiting.insert(id, (message, request));
}

async fn receive(mut from_server: impl AsyncRead + Unpin, waiting: &Waiting) -> io::Result<()> {
    let mut message = Vec::new();
    loop {
        let mut len = [0; 2];
        match timeout(IDLE, from_server.read_exact(&mut len)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(()),
        }
        message.resize(usize::from(u16::from_be_bytes(len)), 0);
        timeout(IDLE, from_server.read_exact(&mut message)).await??;
        deliver(&message, waiting);
    }
}

fn deliver(message: &[u8], waiting: &Waiting) {
    let Some(id) = crate::wire::u16_at(message, 0) else { return };
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((sent, _)) = waiting.get(&id) else { return };
    let reading = read(sent, message);
    let (replied, request) = match reading {
        // The id of an answer to something else may be another's: the true one may come yet.
        Reading::NotOurs => {
            return waiting.get(&id).map_or((), |(_, request)| request.ignored());
        }
        // Nobody else can say anything here: there will be no better one.
        Reading::Unreadable | Reading::OtherCase | Reading::Truncated => {
            (Replied::Unreadable, waiting.remove(&id))
        }
        Reading::NoEdns => (Replied::NoEdns, waiting.remove(&id)),
        Reading::Error(rcode) => (Replied::Error(rcode), waiting.remove(&id)),
        Reading::Answer(form) => (Replied::Answer(message.into(), form), waiting.remove(&id)),
    };
    if let Some((_, request)) = request {
        request.reply(Ok(replied));
    }
}
