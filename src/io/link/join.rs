//! A new node's question whether it may join: one request, one answer, over the same port.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};
use tracing::debug;

use super::connection::{tune, write_frame};
use super::{LinkTimes, tls};
use crate::identity::{Fingerprint, Identity};

/// The longest request or answer, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// How long the answer may take: the inviting node writes to its disk before it answers.
const ANSWER: Duration = Duration::from_secs(10);

/// Who answers new nodes.
pub trait JoinDesk: Send + Sync {
    /// Whether anybody may ask now. While not, unknown keys are refused before they can say
    /// anything.
    fn is_open(&self) -> bool;

    /// The answer to a request from a node that has proved this key. May block on the disk.
    fn answer(&self, from: SocketAddr, key: Fingerprint, request: &[u8]) -> Vec<u8>;
}

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing there.
    #[error("cannot reach {addr}: {error}")]
    Unreachable {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// Something else is there.
    #[error("what answers at {addr} is not the node that made the invite (its key is {key})")]
    WrongKey {
        /// The address.
        addr: SocketAddr,
        /// The key it showed.
        key: Fingerprint,
    },
    /// It would not hear the question.
    #[error("{addr} takes no join requests now")]
    NotOpen {
        /// The address.
        addr: SocketAddr,
    },
    /// It is no Lanward node, or the connection broke.
    #[error("{addr} gave no usable answer: {error}")]
    Broken {
        /// The address.
        addr: SocketAddr,
        /// What happened.
        error: io::Error,
    },
}

/// Asks the node with the key `inviter` at `addr`. The connection is pinned to that key from the
/// first byte, and shows this node's.
pub async fn ask_to_join(
    identity: &Identity,
    inviter: Fingerprint,
    addr: SocketAddr,
    request: Vec<u8>,
    times: LinkTimes,
) -> Result<Vec<u8>, AskError> {
    let unreachable = |error| AskError::Unreachable { addr, error };
    let broken = |error| AskError::Broken { addr, error };
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let socket = timeout(times.connect, TcpStream::connect(addr)).await;
    let socket = socket.unwrap_or_else(|_| Err(late())).map_err(unreachable)?;
    tune(&socket, times.unanswered).map_err(unreachable)?;
    let config = tls::client(identity, inviter, tls::JOIN).map_err(io::Error::other);
    let connector = TlsConnector::from(config.map_err(broken)?);
    let stream = timeout(times.handshake, connector.connect(tls::server_name(), socket)).await;
    let stream = stream.unwrap_or_else(|_| Err(late())).map_err(|error| judge(addr, error))?;
    let mut frames = FramedRead::new(stream, codec());
    let asked = async {
        write_frame(frames.get_mut(), &request).await?;
        frames.get_mut().flush().await?;
        frames.next().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    };
    let answer = timeout(times.handshake + ANSWER, asked).await;
    let answer = answer.unwrap_or_else(|_| Err(late())).map_err(|error| judge(addr, error))?;
    Ok(answer.to_vec())
}

fn judge(addr: SocketAddr, error: io::Error) -> AskError {
    if let Some(key) = tls::wrong_key(&error) {
        return AskError::WrongKey { addr, key };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => AskError::NotOpen { addr },
        _ => AskError::Broken { addr, error },
    }
}

/// One request and its answer, at the other end.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    from: SocketAddr,
    key: Fingerprint,
    desk: Arc<dyn JoinDesk>,
    patience: Duration,
) {
    let mut frames = FramedRead::new(stream, codec());
    let Ok(Some(Ok(request))) = timeout(patience, frames.next()).await else {
        return debug!("{from} asked nothing");
    };
    let answer = tokio::task::spawn_blocking(move || desk.answer(from, key, &request)).await;
    let Ok(answer) = answer else { return };
    let answered = async {
        write_frame(frames.get_mut(), &answer).await?;
        frames.get_mut().shutdown().await
    };
    if !matches!(timeout(patience, answered).await, Ok(Ok(()))) {
        debug!("{from} did not wait for the answer");
    }
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MAX_BYTES).new_codec()
}
