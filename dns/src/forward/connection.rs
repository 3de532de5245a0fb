//! How hickory's pool reaches a forwarder.
//!
//! hickory's own UDP connection hands each request through a channel of limited room to a
//! background task, and says `Busy` when the channel is full: after a restart, when every device
//! asks at once, questions would fail for no reason of the network's. A UDP "connection" has no
//! state, so here it is called directly; TCP stays with hickory's multiplexer.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, TryFutureExt};
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle, DnsRequestSender};
use hickory_proto::op::{DnsRequest, DnsResponse};
use hickory_resolver::config::{ConnectionConfig, ProtocolConfig};
use hickory_resolver::{ConnectionProvider, PoolContext};

#[derive(Clone, Default)]
pub(super) struct Provider {
    runtime: TokioRuntimeProvider,
}

#[derive(Clone)]
pub(super) enum Connection {
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
        if config.protocol == ProtocolConfig::Udp {
            let remote = SocketAddr::new(ip, config.port);
            let stream = UdpClientStream::builder(remote, self.runtime.clone())
                .with_timeout(Some(cx.options.timeout))
                .build();
            let connection = Connection::Udp(Arc::new(Mutex::new(stream)));
            return Ok(Box::pin(std::future::ready(Ok(connection))));
        }
        let exchange = self.runtime.new_connection(ip, config, cx)?;
        Ok(Box::pin(exchange.map_ok(Connection::Tcp)))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.runtime
    }
}

impl DnsHandle for Connection {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        match self {
            // Only makes the future that sends and waits; each has a socket and port of its own.
            Self::Udp(stream) => {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                Box::pin(stream.send_message(request))
            }
            Self::Tcp(exchange) => Box::pin(exchange.send(request)),
        }
    }
}
