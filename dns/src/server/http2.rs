//! HTTP/2 for DNS over HTTPS, by hyper.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::Handler;
use super::gate::Place;
use super::https::{self, MAX_BODY, MAX_HEADERS, Question, Site};
use crate::Asker;
use crate::counters::Tally;

/// Answers the requests of one connection until it ends or is idle.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    asker: Asker,
    site: &Site,
    place: &Place,
    handler: &Handler,
    tally: &Arc<Tally>,
) {
    let limits = place.limits();
    let service = service_fn(|request: Request<Incoming>| {
        let busy = place.busy();
        let (site, handler, tally) = (site.clone(), handler.clone(), tally.clone());
        async move {
            let _busy = busy;
            let packet = match timeout(limits.idle, read(request)).await {
                Ok(packet) => packet,
                Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
            };
            let (head, body) = https::answer(packet, asker, &site, &handler, &tally).await;
            Ok::<_, Infallible>(head.map(|()| Full::<Bytes>::new(body)))
        }
    });
    let streams = u32::try_from(limits.pipelined).unwrap_or(u32::MAX);
    let connection = Builder::new(TokioExecutor::new())
        .max_concurrent_streams(streams)
        .max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(MAX_BODY as u32)
        .initial_connection_window_size(4 * MAX_BODY as u32)
        .max_send_buf_size(2 * MAX_BODY)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // Whatever ended it, nobody is left to be told.
        _ = &mut connection => return,
        () = place.idle(limits.encrypted_idle) => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(limits.idle, connection).await;
}

/// The question of a request.
async fn read(request: Request<Incoming>) -> Result<Vec<u8>, StatusCode> {
    match https::question(&request)? {
        Question::Here(packet) => Ok(packet),
        Question::InBody => {
            let (mut body, mut read) = (request.into_body(), BytesMut::new());
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
                if let Some(piece) = frame.data_ref() {
                    https::take(&mut read, piece)?;
                }
            }
            Ok(read.into())
        }
    }
}
