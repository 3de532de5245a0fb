//! The admin socket: the daemon's side, and the command line's.
//!
//! The file is created with mode 0660; a file left behind by a daemon that died is replaced, one
//! that a living daemon listens on is not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::admin::{LINE_MAX, Refusal, RefusalKind, Reply, Request};

/// Connections served at once; more wait.
const CONNECTIONS: usize = 16;
/// A request is short: names, addresses, at most a household's records.
const REQUEST_MAX: usize = 1 << 20;
/// A connection without a complete request for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// How long the command line waits for a reply: joining a pair copies the lease table.
const PATIENCE: Duration = Duration::from_secs(120);

/// A request with the way back.
pub type Asked = (Request, oneshot::Sender<Reply>);

/// The daemon's socket. Dropping it removes the file.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon has it.
    #[error("another Lanward runs here: it listens on {0}; stop it, or use another data_dir")]
    Taken(PathBuf),
    /// Something else is in the way.
    #[error("{0} is in the way of the admin socket, and it is no socket; move it away")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("the admin socket {path} cannot be made: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl AdminSocket {
    /// Makes the socket at `path`; its folder must exist. Needs a tokio runtime.
    pub fn bind(path: &Path) -> Result<AdminSocket, BindError> {
        let failed = |error| BindError::Io { path: path.to_owned(), error };
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(BindError::NotASocket(path.to_owned()));
            }
            Ok(_) if BlockingStream::connect(path).is_ok() => {
                return Err(BindError::Taken(path.to_owned()));
            }
            Ok(_) => std::fs::remove_file(path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let socket = AdminSocket { listener, path: path.to_owned() };
        let mode = std::fs::Permissions::from_mode(0o660);
        std::fs::set_permissions(path, mode).map_err(failed)?;
        Ok(socket)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands every request to whoever holds the other end of `requests`, and its reply back;
    /// ends when that end is gone.
    pub async fn serve(self, requests: mpsc::Sender<Asked>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = requests.closed() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others need the time to close theirs.
                    tracing::warn!(%error, "the admin socket cannot accept");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let requests = requests.clone();
            tokio::spawn(async move {
                if let Err(error) = converse(stream, &requests).await {
                    tracing::debug!(%error, "an admin connection ended");
                }
                drop(slot);
            });
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // The daemon that comes next copes with a file left behind.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One connection: line in, line out, until the other side closes.
async fn converse(stream: UnixStream, requests: &mpsc::Sender<Asked>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = tokio::io::BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(REQUEST_MAX as u64 + 1);
        let read = tokio::time::timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        let too_long = line.len() > REQUEST_MAX;
        let reply = match serde_json::from_slice::<Request>(&line) {
            _ if too_long => Reply::Refused(Refusal::new(
                RefusalKind::Unknown,
                format!("A request has at most {REQUEST_MAX} bytes."),
            )),
            Ok(request) => ask_daemon(request, requests).await,
            Err(error) => Reply::Refused(Refusal::new(
                RefusalKind::Unknown,
                format!("This is no request that this version knows: {error}."),
            )),
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        tokio::time::timeout(IDLE, writer.write_all(&text)).await??;
        if too_long {
            // The rest of the line is still coming; there is no next request to be found in it.
            return Ok(());
        }
    }
}

async fn ask_daemon(request: Request, requests: &mpsc::Sender<Asked>) -> Reply {
    let (reply, answered) = oneshot::channel();
    let stopping =
        || Reply::Refused(Refusal::new(RefusalKind::Unavailable, "Lanward is about to stop."));
    if requests.send((request, reply)).await.is_err() {
        return stopping();
    }
    answered.await.unwrap_or_else(|_| stopping())
}

/// Why the command line got no reply.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no Lanward runs here ({0} does not answer)")]
    NotRunning(PathBuf),
    /// The socket is somebody else's.
    #[error("you may not talk to the Lanward that runs here ({0} is closed to you)")]
    Denied(PathBuf),
    /// The conversation broke.
    #[error("Lanward did not answer: {0}")]
    Io(#[from] io::Error),
    /// The reply is none.
    #[error("Lanward gave an answer that this version does not know: {0}")]
    Garbled(String),
}

/// Asks the daemon behind the socket at `path`, and waits for its reply. Blocks.
pub fn ask(path: &Path, request: &Request) -> Result<Reply, AskError> {
    let mut stream = BlockingStream::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            AskError::NotRunning(path.to_owned())
        }
        io::ErrorKind::PermissionDenied => AskError::Denied(path.to_owned()),
        _ => AskError::Io(error),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_vec(request).map_err(io::Error::from)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = Vec::new();
    BufReader::new(stream).take(LINE_MAX as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(AskError::Garbled("it closed the connection".to_owned()));
    }
    serde_json::from_slice(&line).map_err(|error| AskError::Garbled(error.to_string()))
}

#[cfg(test)]
mod tests;
