//! Connections that give each question a stream of its own: HTTP/2 (RFC 8484) and QUIC (RFC 9250).

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::client::SendRequest;
use http::{Method, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::connection::{Replied, Request};
use super::server::Failed;
use super::tls::unreachable;
use crate::cache::FailureKind;
use crate::wire::{Reading, grow_older, read};

/// A connection over which nobody has asked for so long is closed.
const IDLE: Duration = Duration::from_secs(15);

/// The longest message there is.
const LONGEST: usize = 65_535;

/// The media type of a DNS message (RFC 8484, 6).
const MESSAGE: &str = "application/dns-message";

/// What became of one question.
enum Exchange {
    /// The connection has carried it.
    Done(Result<Replied, Failed>),
    /// The connection takes no more questions: it must be asked over another.
    Refused,
}

/// Serves requests over HTTP/2 until the connection closes or is idle. Requests that are dropped
/// without a reply may be asked again elsewhere.
pub(super) async fn serve_https<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    uri: &http::Uri,
    mut requests: mpsc::UnboundedReceiver<Request>,
) -> Result<(), Failed> {
    let (sender, connection) = h2::client::Builder::new()
        .enable_push(false)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| unreachable(format!("it does not speak HTTP/2: {error}")))?;
    let closed = async {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an upstream server has broken");
        }
    };
    serve(&mut requests, closed, |message| post(sender.clone(), uri, message)).await;
    Ok(())
}

/// The same over QUIC.
pub(super) async fn serve_quic(
    connection: &quinn::Connection,
    mut requests: mpsc::UnboundedReceiver<Request>,
) {
    let closed = async {
        connection.closed().await;
    };
    serve(&mut requests, closed, |message| stream(connection, message)).await;
    connection.close(0u32.into(), b"");
}

async fn serve<E: Future<Output = Exchange>>(
    requests: &mut mpsc::UnboundedReceiver<Request>,
    closed: impl Future<Output = ()>,
    exchange: impl Fn(Vec<u8>) -> E,
) {
    let mut running = FuturesUnordered::new();
    let mut open = true;
    let mut closed = std::pin::pin!(closed);
    while open || !running.is_empty() {
        tokio::select! {
            request = requests.recv(), if open => match request {
                Some(request) => running.push(ask(request, &exchange)),
                None => open = false,
            },
            Some(carried) = running.next() => {
                if !carried {
                    // Whoever is in the queue asks elsewhere, those on their way go on.
                    open = false;
                    requests.close();
                    while requests.try_recv().is_ok() {}
                }
            }
            () = &mut closed => return,
            () = sleep(IDLE), if running.is_empty() => return,
        }
    }
}

/// False when the connection takes no more questions.
async fn ask<E: Future<Output = Exchange>>(
    mut request: Request,
    exchange: impl Fn(Vec<u8>) -> E,
) -> bool {
    // The stream tells questions apart; an id would only keep caches from seeing that two are one.
    let message = request.message(0, true);
    let exchanged = tokio::select! {
        exchanged = exchange(message) => exchanged,
        () = request.abandoned() => return true,
    };
    match exchanged {
        Exchange::Done(replied) => request.reply(replied),
        Exchange::Refused => return false,
    }
    true
}

/// What `received` says to `sent`.
fn replied(sent: &[u8], received: &[u8]) -> Exchange {
    Exchange::Done(match read(sent, received) {
        Reading::Answer(form) => Ok(Replied::Answer(received.into(), form)),
        Reading::Error(rcode) => Ok(Replied::Error(rcode)),
        Reading::NoEdns => Ok(Replied::NoEdns),
        Reading::Unreadable | Reading::OtherCase | Reading::Truncated => Ok(Replied::Unreadable),
        Reading::NotOurs => {
            Err(Failed::new(FailureKind::Strange, "its answer does not fit the question"))
        }
    })
}

async fn post(sender: SendRequest<Bytes>, uri: &http::Uri, message: Vec<u8>) -> Exchange {
    // Waits while as many streams are open as the server allows.
    let Ok(mut sender) = sender.ready().await else { return Exchange::Refused };
    let request = http::Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, MESSAGE)
        .header(header::ACCEPT, MESSAGE)
        .header(header::CONTENT_LENGTH, message.len())
        .body(());
    let Ok(request) = request else { return Exchange::Refused };
    let sent = Bytes::from(message);
    let Ok((response, mut body)) = sender.send_request(request, false) else {
        return Exchange::Refused;
    };
    match post_body(&sent, response, &mut body).await {
        Ok(exchange) => exchange,
        // Not processed, says the server (RFC 9113, 8.7).
        Err(error) if error.reason() == Some(h2::Reason::REFUSED_STREAM) => Exchange::Refused,
        Err(error) => broke_off(error),
    }
}

/// The end of a stream without an answer, perhaps for its question alone.
fn broke_off(why: impl Display) -> Exchange {
    Exchange::Done(Err(Failed::new(FailureKind::Strange, format!("it broke off: {why}"))))
}

async fn post_body(
    sent: &Bytes,
    response: h2::client::ResponseFuture,
    body: &mut h2::SendStream<Bytes>,
) -> Result<Exchange, h2::Error> {
    body.send_data(sent.clone(), true)?;
    let response = response.await?;
    if response.status() != StatusCode::OK {
        let text = format!("it answered with HTTP status {}", response.status().as_u16());
        return Ok(Exchange::Done(Err(Failed::new(FailureKind::Strange, text))));
    }
    let age = response.headers().get(header::AGE).and_then(|age| age.to_str().ok()?.parse().ok());
    let mut stream = response.into_body();
    let mut received = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        received.extend_from_slice(&chunk);
        if received.len() > LONGEST {
            break;
        }
    }
    if let Some(age) = age {
        // RFC 8484, 5.1: for so long it was kept on the way.
        grow_older(&mut received, age);
    }
    Ok(replied(sent, &received))
}

async fn stream(connection: &quinn::Connection, message: Vec<u8>) -> Exchange {
    // Waits while as many streams are open as the server allows.
    let Ok((mut to_server, mut from_server)) = connection.open_bi().await else {
        return Exchange::Refused;
    };
    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    if to_server.write_all(&framed).await.is_err() || to_server.finish().is_err() {
        return Exchange::Refused;
    }
    match from_server.read_to_end(2 + LONGEST).await {
        Ok(received) => match received.split_first_chunk::<2>() {
            Some((len, body)) if usize::from(u16::from_be_bytes(*len)) == body.len() => {
                replied(&message, body)
            }
            _ => broke_off("its answer is not whole"),
        },
        Err(error) => broke_off(error),
    }
}
