//! What every request passes: the host check against DNS rebinding, the origin check against
//! forged requests, and the headers of every answer.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::Shared;
use crate::refusal::Refusal;
use crate::serve::Connection;
use crate::visit::Visit;

/// The policy of every answer: nothing but what this host serves itself, and no inline code.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'";

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// The names and addresses this host answers to. Anything else is a page of somebody else's
/// that made a browser ask us: a resolver's own pages are the classic aim of DNS rebinding.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedHosts {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl AllowedHosts {
    pub(crate) fn new(names: &[String], addresses: &[IpAddr]) -> AllowedHosts {
        let names = names.iter().map(|n| n.trim_end_matches('.').to_ascii_lowercase()).collect();
        AllowedHosts { names, addresses: addresses.iter().map(IpAddr::to_canonical).collect() }
    }

    /// Whether a `Host` header names this host. Loopback does so always: no page of somebody
    /// else's has a loopback name. So does the address the connection came in by.
    fn allow(&self, host: &str, local: Option<IpAddr>) -> bool {
        let name = without_port(host);
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(addr) = literal.parse::<IpAddr>() {
            let addr = addr.to_canonical();
            return addr.is_loopback()
                || self.addresses.contains(&addr)
                || local.is_some_and(|l| l.to_canonical() == addr);
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        name == "localhost" || self.names.contains(&name)
    }
}

/// `host:port` or `[::1]:port` without the port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            if name.contains(':') && !name.starts_with('[') {
                host
            } else {
                name
            }
        }
        _ => host,
    }
}

/// The middleware around all routes.
pub(crate) async fn guard(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Connection>().copied();
    let verdict = judge(&app, &request, connection);
    let api = is_api(request.uri().path());
    let mut response = match verdict {
        Ok(()) => {
            let (visit, claimed) = Visit::read(&request, connection);
            let visit = visit.admit(&app, claimed).await;
            request.extensions_mut().insert(visit);
            next.run(request).await
        }
        Err(refusal) => refusal.answer(api),
    };
    for (name, value) in &HEADERS {
        response.headers_mut().insert(name, value.clone());
    }
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether answers on this path are JSON.
pub(crate) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

fn judge(app: &Shared, request: &Request, connection: Option<Connection>) -> Result<(), Refusal> {
    let Some(host) = single(request.headers(), &header::HOST) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "The request names no host."));
    };
    if !app.hosts.allow(host, connection.map(|c| c.local.ip())) {
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "This host does not answer to that name. Use its address, or add the name to its \
             settings.",
        ));
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && !same_origin(request.headers(), host) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "The request did not come from Lanward's own pages, so nothing was changed. Reload \
             the page and try again.",
        ));
    }
    Ok(())
}

/// `Origin` must name the host asked. `Sec-Fetch-Site` is sent on secure origins only; where it
/// is, it must agree.
fn same_origin(headers: &HeaderMap, host: &str) -> bool {
    let origin = single(headers, &header::ORIGIN).and_then(|origin| {
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
    });
    let site_agrees = match headers.get("sec-fetch-site") {
        None => true,
        Some(site) => site == "same-origin" || site == "none",
    };
    site_agrees && origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
}

/// The text of a header that is there exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_and_addresses_are_answered_to() {
        let hosts = AllowedHosts::new(
            &["Lanward.home.arpa.".to_owned()],
            &[IpAddr::from([192, 168, 1, 2])],
        );
        let local = Some(IpAddr::from([10, 0, 30, 2]));
        for good in [
            "lanward.home.arpa",
            "LANWARD.home.arpa.:8080",
            "192.168.1.2",
            "192.168.1.2:80",
            "10.0.30.2:8080",
            "localhost:8080",
            "127.0.0.5:1",
            "[::1]:8080",
            "[::1]",
            "[::ffff:192.168.1.2]",
        ] {
            assert!(hosts.allow(good, local), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "lanward.home.arpa.evil.example",
            "evil.example:80",
            "192.168.1.3",
            "localhost.evil.example",
            "10.0.30.2.evil.example",
            "lanward.home.arpa@evil.example",
            "[::2]",
        ] {
            assert!(!hosts.allow(bad, local), "{bad}");
        }
        assert!(!hosts.allow("10.0.30.2", None));
    }

    #[test]
    fn unsafe_requests_need_our_origin() {
        let ask = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for &(name, value) in pairs {
                headers.append(name, HeaderValue::from_static(value));
            }
            same_origin(&headers, "192.168.1.2:8080")
        };
        assert!(ask(&[("origin", "http://192.168.1.2:8080")]));
        assert!(ask(&[("origin", "http://192.168.1.2:8080"), ("sec-fetch-site", "same-origin")]));
        assert!(!ask(&[]));
        assert!(!ask(&[("origin", "null")]));
        assert!(!ask(&[("origin", "http://192.168.1.2")]));
        assert!(!ask(&[("origin", "http://192.168.1.2:8080.evil.example")]));
        assert!(!ask(&[("origin", "http://192.168.1.2:8080"), ("sec-fetch-site", "cross-site")]));
        assert!(!ask(&[("origin", "http://192.168.1.2:8080"), ("origin", "http://evil.example")]));
    }
}
