//! DNS over HTTPS (RFC 8484): what a request asks and what it is answered, for HTTP/2 and HTTP/3
//! alike.

use bytes::{Bytes, BytesMut};
use data_encoding::BASE64URL_NOPAD;
use http::header::{ALLOW, ALT_SVC, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use super::Handler;
use crate::Asker;
use crate::counters::Tally;
use crate::wire::least_ttl;

/// The only path there is.
pub(super) const PATH: &str = "/dns-query";

const MESSAGE: &str = "application/dns-message";

/// The largest message.
pub(super) const MAX_BODY: usize = u16::MAX as usize;

/// The most that the headers of a request may take. A question in the path of a GET fits.
pub(super) const MAX_HEADERS: u32 = 16 << 10;

/// What is said of the site in every answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    /// Where HTTP/3 is spoken (RFC 7838).
    pub(super) alt_svc: Option<HeaderValue>,
}

/// Where a request has its question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    Here(Vec<u8>),
    InBody,
}

/// Reads the head of a request.
pub(super) fn question<B>(request: &Request<B>) -> Result<Question, StatusCode> {
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::POST => {
            let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
            match kind.eq_ignore_ascii_case(MESSAGE) {
                true => Ok(Question::InBody),
                false => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            }
        }
        Method::GET => {
            let query = request.uri().query().unwrap_or_default();
            let dns = query.split('&').find_map(|pair| pair.strip_prefix("dns="));
            let dns = dns.ok_or(StatusCode::BAD_REQUEST)?;
            // Some clients pad although RFC 8484, 4.1, says not to.
            let packet = BASE64URL_NOPAD.decode(dns.trim_end_matches('=').as_bytes());
            Ok(Question::Here(packet.map_err(|_| StatusCode::BAD_REQUEST)?))
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Takes one more piece of a body; it must not become larger than a message can be.
pub(super) fn take(body: &mut BytesMut, piece: &[u8]) -> Result<(), StatusCode> {
    if body.len() + piece.len() > MAX_BODY {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    body.extend_from_slice(piece);
    Ok(())
}

/// Answers a question, or says what is wrong with the request.
pub(super) async fn answer(
    packet: Result<Vec<u8>, StatusCode>,
    asker: Asker,
    site: &Site,
    handler: &Handler,
    tally: &Tally,
) -> (Response<()>, Bytes) {
    let answered = match packet {
        Ok(packet) => handler.answer(&packet, asker, tally).await.map_err(|reason| {
            tally.dropped(reason);
            match reason {
                crate::DropReason::Source | crate::DropReason::SourcePort => StatusCode::FORBIDDEN,
                crate::DropReason::RateLimit => StatusCode::TOO_MANY_REQUESTS,
                crate::DropReason::Send => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            }
        }),
        Err(status) => Err(status),
    };
    let mut response = Response::new(());
    if let Some(alt_svc) = &site.alt_svc {
        response.headers_mut().insert(ALT_SVC, alt_svc.clone());
    }
    let (kind, body) = match answered {
        Ok(answer) => {
            let age = format!("max-age={}", least_ttl(&answer));
            if let Ok(age) = HeaderValue::try_from(age) {
                response.headers_mut().insert(CACHE_CONTROL, age);
            }
            (MESSAGE, Bytes::from(answer))
        }
        Err(status) => {
            *response.status_mut() = status;
            if status == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
            }
            ("text/plain", Bytes::from(format!("{status}\n")))
        }
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    (response, body)
}

#[cfg(test)]
mod tests;
