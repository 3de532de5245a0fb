//! HTTP/3 for DNS over HTTPS, by h3.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use h3::error::StreamError;
use h3::server::{RequestResolver, RequestStream};
use h3_quinn::BidiStream;
use http::{Request, StatusCode};
use quinn::Connection;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Handler;
use super::gate::Place;
use super::https::{self, MAX_HEADERS, Question, Site};
use super::quic::close;
use crate::counters::Tally;
use crate::{Asker, DropReason};

/// H3_NO_ERROR (RFC 9114, 8.1).
const NO_ERROR: u32 = 0x100;

type Resolver = RequestResolver<h3_quinn::Connection, Bytes>;
type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

/// Answers the requests of one connection until it ends or is idle.
pub(super) async fn serve(
    quic: &Connection,
    asker: Asker,
    site: &Site,
    place: &Place,
    handler: &Handler,
    tally: &Arc<Tally>,
) {
    let limits = place.limits();
    let mut builder = h3::server::builder();
    builder.max_field_section_size(u64::from(MAX_HEADERS));
    let Ok(mut connection) = builder.build(h3_quinn::Connection::new(quic.clone())).await else {
        return tally.dropped(DropReason::Stream);
    };
    let mut requests = JoinSet::new();
    let mut idle = std::pin::pin!(place.idle(limits.encrypted_idle));
    loop {
        let resolver: Resolver = tokio::select! {
            request = connection.accept() => match request {
                Ok(Some(resolver)) => resolver,
                // The client has gone, or broke the protocol and was told so.
                Ok(None) | Err(_) => return,
            },
            () = &mut idle => return close(quic, NO_ERROR),
        };
        // No more than the transport lets a client open.
        while requests.try_join_next().is_some() {}
        let busy = place.busy();
        let (site, handler, tally) = (site.clone(), handler.clone(), tally.clone());
        requests.spawn(async move {
            let _busy = busy;
            let Ok(Ok((request, mut stream))) =
                timeout(limits.idle, resolver.resolve_request()).await
            else {
                return tally.dropped(DropReason::Stream);
            };
            let packet = match timeout(limits.idle, read(&request, &mut stream)).await {
                Ok(packet) => packet,
                Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
            };
            let (head, body) = https::answer(packet, asker, &site, &handler, &tally).await;
            let sent = async {
                stream.send_response(head).await?;
                stream.send_data(body).await?;
                stream.finish().await?;
                Ok::<(), StreamError>(())
            };
            if !matches!(timeout(limits.idle, sent).await, Ok(Ok(()))) {
                tally.dropped(DropReason::Send);
            }
        });
    }
}

/// The question of a request.
async fn read(request: &Request<()>, stream: &mut Stream) -> Result<Vec<u8>, StatusCode> {
    match https::question(request)? {
        Question::Here(packet) => Ok(packet),
        Question::InBody => {
            let mut read = BytesMut::new();
            while let Some(mut piece) =
                stream.recv_data().await.map_err(|_| StatusCode::BAD_REQUEST)?
            {
                while piece.has_remaining() {
                    let chunk = piece.chunk();
                    https::take(&mut read, chunk)?;
                    let len = chunk.len();
                    piece.advance(len);
                }
            }
            Ok(read.into())
        }
    }
}
