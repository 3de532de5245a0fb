//! The connections of one server: opened when somebody asks, shared by all who ask, closed when
//! idle.
//!
//! Whoever asks never waits for room: a request is put into the queue of the connection's task, which
//! first connects and then serves what has gathered. When the connection cannot be made, all who
//! wait are told why; when it breaks, they ask once more over a new one (RFC 7766, 6.2.4).

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::groups::Common;
use super::question::{Question, Shape};
use super::server::{Failed, Tally};
use super::{stream, streams, tls};
use crate::UpstreamTransport;
use crate::cache::FailureKind;
use crate::wire::{Form, Rcode};

/// For a connection to one address to be there, handshakes included.
const CONNECT: Duration = Duration::from_secs(3);

/// What a server replied to a request.
#[derive(Debug)]
pub(super) enum Replied {
    /// Packet and what it says.
    Answer(Vec<u8>, Form),
    Error(Rcode),
    NoEdns,
    /// It is an answer to the question, and of no use.
    Unreadable,
}

/// One question on its way over a connection.
#[derive(Debug)]
pub(super) struct Request {
    question: Question,
    edns: bool,
    tally: Arc<Tally>,
    reply: oneshot::Sender<Result<Replied, Failed>>,
}

impl Request {
    /// Whether nobody waits for the reply any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Ends when nobody waits for the reply any more.
    pub(super) async fn abandoned(&mut self) {
        self.reply.closed().await;
    }

    /// The question with this id; names are not disguised where nobody can forge an answer.
    pub(super) fn message(&self, id: u16, padded: bool) -> Vec<u8> {
        self.question.message(id, None, Shape { edns: self.edns, padded })
    }

    /// Counts a message that looked like an answer.
    pub(super) fn ignored(&self) {
        self.tally.ignored();
    }

    pub(super) fn reply(self, replied: Result<Replied, Failed>) {
        // Whoever asked may have got an answer elsewhere.
        let _ = self.reply.send(replied);
    }
}

/// Where and how to connect.
#[derive(Debug)]
pub(super) struct Endpoint {
    transport: UpstreamTransport,
    addresses: Mutex<Vec<SocketAddr>>,
    /// Index of the address to try first: the last that worked.
    first: AtomicUsize,
    common: Arc<Common>,
}

impl Endpoint {
    pub(super) fn new(
        transport: UpstreamTransport,
        addresses: Vec<SocketAddr>,
        common: Arc<Common>,
    ) -> Self {
        let (addresses, first) = (Mutex::new(addresses), AtomicUsize::new(0));
        Self { transport, addresses, first, common }
    }

    pub(super) fn set_addresses(&self, addresses: Vec<SocketAddr>) {
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// All addresses, the one to ask now first.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let mut all = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.first.load(Ordering::Relaxed) % all.len().max(1);
        all.rotate_left(first);
        all
    }

    /// The address to ask now.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let all = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(self.first.load(Ordering::Relaxed) % all.len().max(1)).copied()
    }

    async fn connect(&self) -> Result<Link, Failed> {
        let mut last = Failed::new(FailureKind::Unreachable, "its address is not known");
        for (step, addr) in self.addresses().into_iter().enumerate() {
            match timeout(CONNECT, self.connect_to(addr)).await {
                Ok(Ok(link)) => {
                    self.first.fetch_add(step, Ordering::Relaxed);
                    return Ok(link);
                }
                Ok(Err(why)) => last = why,
                Err(_) => last = Failed::new(FailureKind::Timeout, "it cannot be connected to"),
            }
        }
        Err(last)
    }

    async fn connect_to(&self, addr: SocketAddr) -> Result<Link, Failed> {
        let tls = || {
            let config = self.common.tls();
            config.ok_or_else(|| Failed::new(FailureKind::Untrusted, "no roots are known to trust"))
        };
        if let UpstreamTransport::Quic { name } = &self.transport {
            let (endpoint, connection) = tls::connect_quic(addr, name, &*tls()?).await?;
            return Ok(Link::Quic(endpoint, connection));
        }
        let stream = TcpStream::connect(addr).await?;
        // Questions are whole messages; waiting to fill a segment only delays them.
        let _ = stream.set_nodelay(true);
        Ok(match &self.transport {
            // Recursion has no connection of its own.
            UpstreamTransport::Plain
            | UpstreamTransport::Recursion
            | UpstreamTransport::Quic { .. } => Link::Tcp(stream),
            UpstreamTransport::Tls { name } => {
                Link::Tls(Box::new(tls::connect(stream, name, &*tls()?, b"dot").await?))
            }
            UpstreamTransport::Https { name, path } => {
                let stream = tls::connect(stream, name, &*tls()?, b"h2").await?;
                let authority = match (name.contains(':'), addr.port()) {
                    (true, port) => format!("[{name}]:{port}"),
                    (false, 443) => name.to_string(),
                    (false, port) => format!("{name}:{port}"),
                };
                let uri = format!("https://{authority}{path}").parse();
                let uri = uri.map_err(|_| tls::unreachable("its path is none".to_owned()))?;
                Link::Https(Box::new(stream), uri)
            }
        })
    }
}

/// An open connection.
enum Link {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Https(Box<TlsStream<TcpStream>>, http::Uri),
    Quic(quinn::Endpoint, quinn::Connection),
}

/// A server's connection, and the way to the next one.
#[derive(Debug)]
pub(super) struct Pool {
    endpoint: Arc<Endpoint>,
    tally: Arc<Tally>,
    queue: Mutex<Option<mpsc::UnboundedSender<Request>>>,
}

impl Pool {
    pub(super) fn new(endpoint: Arc<Endpoint>, tally: Arc<Tally>) -> Self {
        Self { endpoint, tally, queue: Mutex::default() }
    }

    /// Asks over the connection at hand, or with `fresh` over a new one.
    pub(super) async fn ask(
        &self,
        question: &Question,
        edns: bool,
        fresh: bool,
    ) -> Result<Replied, Failed> {
        let (mut reused, mut replied) = self.enqueue(question, edns, fresh);
        loop {
            match replied.await {
                Ok(result) => return result,
                // The server has closed it, as it may at any time.
                Err(_) if reused => (reused, replied) = self.enqueue(question, edns, false),
                Err(_) => {
                    // Perhaps for this question alone.
                    let text = "it closed the connection without an answer";
                    return Err(Failed::new(FailureKind::Strange, text));
                }
            }
        }
    }

    /// Puts a request into a connection's queue; whether that connection was there before.
    fn enqueue(
        &self,
        question: &Question,
        edns: bool,
        fresh: bool,
    ) -> (bool, oneshot::Receiver<Result<Replied, Failed>>) {
        let (reply, replied) = oneshot::channel();
        let (question, tally) = (question.clone(), self.tally.clone());
        let mut request = Request { question, edns, tally, reply };
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !fresh && let Some(open) = &*queue {
            match open.send(request) {
                Ok(()) => return (true, replied),
                Err(mpsc::error::SendError(back)) => request = back,
            }
        }
        let (sender, requests) = mpsc::unbounded_channel();
        // The receiver is at hand, so there is room.
        let _ = sender.send(request);
        // An earlier one ends by itself when its questions are answered.
        *queue = Some(sender);
        tokio::spawn(run(self.endpoint.clone(), requests));
        (false, replied)
    }
}

/// One connection's life.
async fn run(endpoint: Arc<Endpoint>, mut requests: mpsc::UnboundedReceiver<Request>) {
    let link = match endpoint.connect().await {
        Ok(link) => link,
        Err(why) => {
            requests.close();
            while let Some(request) = requests.recv().await {
                request.reply(Err(why.clone()));
            }
            return;
        }
    };
    match link {
        Link::Tcp(stream) => stream::serve(stream, requests, false).await,
        Link::Tls(stream) => stream::serve(*stream, requests, true).await,
        Link::Https(stream, uri) => {
            if let Err(why) = streams::serve_https(*stream, &uri, requests).await {
                tracing::debug!(reason = why.text, "an upstream server does not speak HTTP/2");
            }
        }
        Link::Quic(endpoint, connection) => {
            streams::serve_quic(&connection, requests).await;
            endpoint.wait_idle().await;
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::new(FailureKind::Unreachable, error.to_string())
    }
}
