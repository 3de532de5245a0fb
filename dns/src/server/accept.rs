//! Accepting connections: who may come in is decided before anything is read from them, and
//! before the costly handshake of TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::gate::{Gate, Place};
use super::{Handler, http2, https, stream};
use crate::counters::Tally;
use crate::{Asker, DropReason, Transport};

/// Pause when no connection can be accepted, mostly because file descriptors have run out.
const PAUSE: Duration = Duration::from_millis(200);

/// Pause when an idle connection is about to make room, and its file with it.
const SHORT_PAUSE: Duration = Duration::from_millis(5);

/// A handshake takes two round trips and some computing; whoever takes longer only holds a place.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);

/// What is spoken on a listener.
#[derive(Clone)]
pub(super) enum Speaks {
    Tcp,
    Tls(Arc<ServerConfig>),
    Https(Arc<ServerConfig>, https::Site),
}

/// Accepts connections until aborted; the connections end with it.
pub(super) async fn serve(
    listener: TcpListener,
    speaks: Speaks,
    gate: Arc<Gate>,
    handler: Handler,
) {
    let tally = handler.shared.tally();
    let mut connections = JoinSet::new();
    loop {
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting a DNS connection");
                let made_room = gate.make_room();
                sleep(if made_room { SHORT_PAUSE } else { PAUSE }).await;
                continue;
            }
        };
        // Finished ones are let go of here: there are never more than the gate has let in.
        while connections.try_join_next().is_some() {}
        if !handler.serves(source) {
            tally.dropped(DropReason::Source);
            continue;
        }
        let Some(place) = gate.enter(source.ip()) else {
            tally.dropped(DropReason::Connections);
            continue;
        };
        let (speaks, handler, tally) = (speaks.clone(), handler.clone(), tally.clone());
        connections.spawn(async move {
            let connection = serve_one(stream, source, speaks, &place, &handler, &tally);
            tokio::select! {
                () = connection => {}
                () = place.told_to_leave() => tally.dropped(DropReason::Connections),
            }
        });
    }
}

async fn serve_one(
    stream: TcpStream,
    source: SocketAddr,
    speaks: Speaks,
    place: &Place,
    handler: &Handler,
    tally: &Arc<Tally>,
) {
    // Answers are whole messages; waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let asker = |transport| Asker { source, local: local.ip(), transport };
    let (config, site) = match speaks {
        Speaks::Tcp => {
            return stream::serve(stream, asker(Transport::Tcp), place, handler, tally).await;
        }
        Speaks::Tls(config) => (config, None),
        Speaks::Https(config, site) => (config, Some(site)),
    };
    let handshake = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream));
    let Ok(Ok(stream)) = handshake.await else {
        return tally.dropped(DropReason::Handshake);
    };
    match site {
        None => stream::serve(stream, asker(Transport::Tls), place, handler, tally).await,
        Some(site) => {
            http2::serve(stream, asker(Transport::Https), &site, place, handler, tally).await;
        }
    }
}
