//! How hickory's recursor reaches a name server.
//!
//! Each request is counted against what one question of a client may cost. A server that cannot
//! answer (SERVFAIL, REFUSED and the like) counts as one that cannot be reached: the zone's next
//! server is asked, where hickory would give up.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt, TryFutureExt, stream};
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle, DnsRequestSender};
use hickory_proto::op::{DnsRequest, DnsResponse, ResponseCode};
use hickory_proto::rr::Record;
use hickory_resolver::config::{ConnectionConfig, ProtocolConfig};
use hickory_resolver::{ConnectionProvider, PoolContext};

/// A server that is silent for so long is given up: the zone has others.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Packets of one request, the first included.
const TRIES: u8 = 2;

tokio::task_local! {
    /// Requests that the question at hand may still cost. hickory has no place to carry it; all it
    /// does for a question, it does in that question's task.
    pub(super) static SENDS: AtomicU32;
}

/// Makes connections to name servers.
#[derive(Clone, Default)]
pub(super) struct Provider {
    pub(super) runtime: TokioRuntimeProvider,
    /// Where servers really are; those that are not in it are where their address says.
    pub(super) detours: Arc<HashMap<IpAddr, SocketAddr>>,
    /// Bytes of memory that the answers so far would take, if all were kept.
    pub(super) taken: Arc<AtomicU64>,
}

impl Provider {
    /// Whether answers have come that take more than `most` bytes; the count begins anew then.
    pub(super) fn has_taken(&self, most: u64) -> bool {
        let over = |taken| (taken > most).then_some(0);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, over).is_ok()
    }
}

/// About how many bytes an answer takes in memory: its records, and the data that they point at.
fn weigh(answer: &DnsResponse) -> u64 {
    (answer.all_sections().count() * size_of::<Record>() + 2 * answer.as_buffer().len()) as u64
}

#[derive(Clone)]
pub(super) struct Connection {
    server: Server,
    taken: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Server {
    Udp(Arc<Mutex<UdpClientStream<TokioRuntimeProvider>>>),
    Tcp(DnsExchange<TokioRuntimeProvider>),
}

impl ConnectionProvider for Provider {
    type Conn = Connection;
    type FutureConn = Pin<Box<dyn Future<Output = Result<Connection, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        cx: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let remote = self.detours.get(&ip).copied();
        let remote = remote.unwrap_or_else(|| SocketAddr::new(ip, config.port));
        if config.protocol == ProtocolConfig::Udp {
            // A "connection" without state: each request has a socket and port of its own.
            let stream = UdpClientStream::builder(remote, self.runtime.clone())
                .with_timeout(Some(PATIENCE))
                .with_max_retries(TRIES)
                .build();
            let server = Server::Udp(Arc::new(Mutex::new(stream)));
            let connection = Connection { server, taken: self.taken.clone() };
            return Ok(Box::pin(std::future::ready(Ok(connection))));
        }
        let requests = Some(cx.options.max_active_requests);
        let exchange = hickory_net::tcp::TcpClientStream::exchange(
            remote,
            None,
            PATIENCE,
            requests,
            self.runtime.clone(),
        );
        let taken = self.taken.clone();
        let connected = |exchange| Connection { server: Server::Tcp(exchange), taken };
        Ok(Box::pin(exchange.map_ok(connected)))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.runtime
    }
}

/// Takes one request off what the question may cost. Without a question there is no bound.
fn spend() -> bool {
    let take = |left: u32| left.checked_sub(1);
    let spent = SENDS
        .try_with(|sends| sends.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok());
    spent.unwrap_or(true)
}

impl DnsHandle for Connection {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        if !spend() {
            let over = NetError::from("the question costs too much");
            return Box::pin(stream::once(std::future::ready(Err(over))));
        }
        let answers: Self::Response = match &self.server {
            Server::Udp(stream) => {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                Box::pin(stream.send_message(request))
            }
            Server::Tcp(exchange) => Box::pin(exchange.send(request)),
        };
        let taken = self.taken.clone();
        Box::pin(answers.map(move |answer| {
            let answer = answer?;
            taken.fetch_add(weigh(&answer), Ordering::Relaxed);
            match answer.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
                _ => Err(NetError::NoConnections),
            }
        }))
    }
}
