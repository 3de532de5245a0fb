//! QUIC, by quinn: under DNS over QUIC (RFC 9250) and HTTP/3.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, TransportConfig,
    VarInt,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::accept::HANDSHAKE;
use super::gate::{Gate, Place};
use super::tls::{self, InForce};
use super::{ConnectionLimits, Handler, doq, http3, https};
use crate::counters::Tally;
use crate::{Asker, DropReason, Transport};

/// Handshakes that wait to be looked at, and what may be kept of their data.
const MAX_INCOMING: usize = 128;
const INCOMING_BUFFER: u64 = 16 << 10;

/// What is spoken on an endpoint.
#[derive(Clone)]
pub(super) enum Speaks {
    Doq,
    Http3(https::Site),
}

impl Speaks {
    fn protocol(&self) -> &'static [u8] {
        match self {
            Self::Doq => b"doq",
            Self::Http3(_) => b"h3",
        }
    }
}

/// An endpoint on a bound socket. Needs a tokio runtime.
pub(super) fn endpoint(
    socket: UdpSocket,
    speaks: &Speaks,
    certificate: Arc<InForce>,
    limits: ConnectionLimits,
) -> io::Result<Endpoint> {
    let tls = tls::config(certificate, speaks.protocol(), &[&rustls::version::TLS13]);
    let tls = QuicServerConfig::try_from(tls.map_err(io::Error::other)?);
    let mut config = ServerConfig::with_crypto(Arc::new(tls.map_err(io::Error::other)?));
    let mut transport = TransportConfig::default();
    let streams = u32::try_from(limits.pipelined.max(1)).unwrap_or(u32::MAX);
    // HTTP/3 has a control stream and two of QPACK; DNS over QUIC has none (RFC 9250, 4.2).
    let unidirectional = if matches!(speaks, Speaks::Doq) { 0u8 } else { 8 };
    transport
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(unidirectional.into())
        .stream_receive_window((1u32 << 17).into())
        .receive_window((1u32 << 18).into())
        .send_window(1 << 18)
        .max_idle_timeout(limits.encrypted_idle.try_into().ok())
        .datagram_receive_buffer_size(None);
    config
        .transport_config(Arc::new(transport))
        // The source was judged when the connection began; it stays where it is.
        .migration(false)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(MAX_INCOMING as u64 * INCOMING_BUFFER);
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
}

/// Accepts connections until aborted; the connections end with it.
pub(super) async fn serve(endpoint: Endpoint, speaks: Speaks, gate: Arc<Gate>, handler: Handler) {
    let tally = handler.shared.tally();
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        let source = incoming.remote_address();
        if !handler.serves(source) {
            tally.dropped(DropReason::Source);
            incoming.ignore();
            continue;
        }
        // Anybody can write any source into a datagram: before somebody else's connection has to
        // make room, the client shows that it gets what is sent to it.
        if incoming.may_retry() && gate.is_crowded(source.ip()) {
            let _ = incoming.retry();
            continue;
        }
        let Some(place) = gate.enter(source.ip()) else {
            tally.dropped(DropReason::Connections);
            incoming.refuse();
            continue;
        };
        let (speaks, handler, tally) = (speaks.clone(), handler.clone(), tally.clone());
        connections.spawn(async move {
            tokio::select! {
                () = serve_one(incoming, &speaks, &place, &handler, &tally) => {}
                () = place.told_to_leave() => tally.dropped(DropReason::Connections),
            }
        });
    }
}

async fn serve_one(
    incoming: Incoming,
    speaks: &Speaks,
    place: &Place,
    handler: &Handler,
    tally: &Arc<Tally>,
) {
    let (source, local) = (incoming.remote_address(), incoming.local_ip());
    let Ok(Ok(connection)) = timeout(HANDSHAKE, incoming.into_future()).await else {
        return tally.dropped(DropReason::Handshake);
    };
    // Without PKTINFO there is no telling, and nothing depends on it but discovery.
    let local = local.unwrap_or_else(|| unspecified(source.is_ipv4()));
    let asker = |transport| Asker { source, local, transport };
    match speaks {
        Speaks::Doq => doq::serve(&connection, asker(Transport::Quic), place, handler, tally).await,
        Speaks::Http3(site) => {
            let asker = asker(Transport::Https);
            http3::serve(&connection, asker, site, place, handler, tally).await;
        }
    }
}

/// Ends a connection and says why.
pub(super) fn close(connection: &Connection, code: u32) {
    connection.close(VarInt::from_u32(code), &[]);
}

fn unspecified(v4: bool) -> std::net::IpAddr {
    if v4 { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() }
}
