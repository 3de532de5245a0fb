//! Fetches lists over HTTP.
//!
//! What a list's address may do is narrow: `http` or `https`, no private address behind any of
//! its names or redirects unless the list says so, bounded in bytes, ratio, redirects and time.
//! Names are resolved by the caller's [`Resolve`], so that the daemon does not ask itself.
//!
//! Certificates are checked against the host's store *and* the copy of Mozilla's roots inside
//! the program: a minimal host has no store, and a household may have a root of its own.

#![allow(clippy::disallowed_methods, reason = "a shell: timeouts")]

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolving};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;

pub use reqwest::dns::Resolve;

/// What one fetch may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on the wire (64 MiB).
    pub packed_bytes: usize,
    /// Bytes of the list itself (256 MiB).
    pub unpacked_bytes: usize,
    /// Unpacked bytes for each packed one (20; lists of domains reach about 5).
    pub ratio: usize,
    /// Redirects followed (5).
    pub redirects: usize,
    /// For one address, from the first packet to the last (60 s).
    pub total: Duration,
}

/// Fetches lists; one for the daemon.
#[derive(Clone, Debug)]
pub struct Fetcher {
    public: Client,
    any: Client,
    limits: Limits,
    is_public: fn(IpAddr) -> bool,
}

/// One list to fetch.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its address and its mirrors, in the order to try.
    pub urls: Vec<String>,
    /// What is known of the copy at hand, sent to the address it came from.
    pub known: Option<Known>,
    /// Private addresses are fine.
    pub allow_private: bool,
}

/// Where a copy came from, and how the publisher tells whether it is the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The address it was asked of.
    pub url: String,
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`
    pub last_modified: Option<String>,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The copy at hand is the newest.
    NotModified,
    /// A new one, unpacked.
    Content {
        /// The list's text.
        body: Vec<u8>,
        /// For the next request.
        known: Known,
    },
}

/// Why one address gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not an address that can be fetched.
    #[error("not an http or https address")]
    Url,
    /// It leads into a private network.
    #[error("{0} is a private address; allow it for this list if that is meant")]
    Private(String),
    /// It redirects from https to http.
    #[error("it redirects from https to http")]
    Downgrade,
    /// It redirects again and again.
    #[error("more than {0} redirects")]
    Redirects(usize),
    /// No connection, no name, no valid certificate...
    #[error("{0}")]
    Connection(String),
    /// The server refused.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// A packing that is not known.
    #[error("packed in an unknown way ({0})")]
    Encoding(String),
    /// The packed data is damaged or cut off.
    #[error("the packed data is damaged")]
    Damaged,
    /// Too much of it.
    #[error("larger than {0} MiB {1}")]
    TooLarge(usize, &'static str),
    /// A small file that unpacks to a huge one.
    #[error("it unpacks to more than {0} times its size")]
    Ratio(usize),
    /// Too slow.
    #[error("not finished after {0} s")]
    Timeout(u64),
}

/// What each address gave, when none gave a list.
#[derive(Debug)]
pub struct FetchErrors(Vec<(String, FetchError)>);

/// Asks the host's own resolver. Fine where that is not this daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Default for Limits {
    fn default() -> Self {
        Self {
            packed_bytes: 64 << 20,
            unpacked_bytes: 256 << 20,
            ratio: 20,
            redirects: 5,
            total: Duration::from_secs(60),
        }
    }
}

impl Fetcher {
    /// A fetcher that resolves names with `resolver` and believes whom `tls` believes
    /// ([`client_tls`]), at the time that `tls` takes it to be.
    pub fn new(
        resolver: Arc<dyn Resolve>,
        tls: &rustls::ClientConfig,
        limits: Limits,
    ) -> Result<Self, FetchError> {
        Self::guarded(resolver, tls, limits, is_public)
    }

    fn guarded(
        resolver: Arc<dyn Resolve>,
        tls: &rustls::ClientConfig,
        limits: Limits,
        is_public: fn(IpAddr) -> bool,
    ) -> Result<Self, FetchError> {
        let client = |resolver: Arc<dyn Resolve>| {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(resolver)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .no_gzip()
                .connect_timeout(Duration::from_secs(10))
                .pool_max_idle_per_host(0)
                .user_agent(concat!("lanward/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| FetchError::Connection(error.to_string()))
        };
        let public = client(Arc::new(PublicOnly { resolver: resolver.clone(), is_public }))?;
        Ok(Self { public, any: client(resolver)?, limits, is_public })
    }

    /// Tries the addresses in turn; the first that has the list decides.
    pub async fn fetch(&self, request: &Request) -> Result<Fetched, FetchErrors> {
        let mut errors = Vec::new();
        for url in &request.urls {
            let one = self.fetch_one(url, request);
            let result = match tokio::time::timeout(self.limits.total, one).await {
                Ok(result) => result,
                Err(_) => Err(FetchError::Timeout(self.limits.total.as_secs())),
            };
            match result {
                Ok(fetched) => return Ok(fetched),
                Err(error) => errors.push((url.clone(), error)),
            }
        }
        Err(FetchErrors(errors))
    }

    async fn fetch_one(&self, address: &str, request: &Request) -> Result<Fetched, FetchError> {
        let known = request.known.as_ref().filter(|known| known.url == address);
        let response = self.follow(address, known, request.allow_private).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Fetched::NotModified),
            StatusCode::OK => {}
            status => return Err(FetchError::Status(status)),
        }
        let encoding = text_of(response.headers(), &header::CONTENT_ENCODING);
        if let Some(other) = encoding.filter(|e| e != "gzip" && e != "identity") {
            return Err(FetchError::Encoding(other));
        }
        let known = Known {
            url: address.to_owned(),
            etag: text_of(response.headers(), &header::ETAG),
            last_modified: text_of(response.headers(), &header::LAST_MODIFIED),
        };
        let packed = self.read(response).await?;
        let limits = self.limits;
        let body = tokio::task::spawn_blocking(move || unpack(packed, &limits))
            .await
            .map_err(|error| FetchError::Connection(error.to_string()))??;
        Ok(Fetched::Content { body, known })
    }

    /// Sends the request, and again wherever it is redirected, each place checked anew.
    async fn follow(
        &self,
        address: &str,
        known: Option<&Known>,
        allow_private: bool,
    ) -> Result<Response, FetchError> {
        let client = if allow_private { &self.any } else { &self.public };
        let mut url = Url::parse(address).map_err(|_| FetchError::Url)?;
        for _ in 0..=self.limits.redirects {
            let address = check_url(&url)?;
            if let Some(address) = address.filter(|a| !allow_private && !(self.is_public)(*a)) {
                return Err(FetchError::Private(address.to_string()));
            }
            let request = client.get(url.clone()).headers(headers(known));
            let response = request.send().await.map_err(|error| explain(&error))?;
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            let location = text_of(response.headers(), &header::LOCATION);
            let next = location.and_then(|location| url.join(&location).ok());
            let next = next.ok_or(FetchError::Status(response.status()))?;
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(FetchError::Downgrade);
            }
            url = next;
        }
        Err(FetchError::Redirects(self.limits.redirects))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, FetchError> {
        let limit = self.limits.packed_bytes;
        let too_large = || FetchError::TooLarge(limit >> 20, "on the wire");
        if response.content_length().is_some_and(|len| len > limit as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn headers(known: Option<&Known>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let Some(known) = known else { return headers };
    let pairs =
        [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.last_modified)];
    for (name, value) in pairs {
        if let Some(value) = value.as_deref().and_then(|v| HeaderValue::from_str(v).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

fn text_of(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The address in a URL that has one instead of a name: it never reaches the resolver, where
/// names are checked.
fn check_url(url: &Url) -> Result<Option<IpAddr>, FetchError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FetchError::Url);
    }
    let host = url.host_str().ok_or(FetchError::Url)?;
    Ok(host.trim_matches(['[', ']']).parse().ok())
}

/// The innermost cause, which is the one that says something; ours is passed on as it is.
fn explain(error: &reqwest::Error) -> FetchError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<PrivateAddress>() {
        Some(PrivateAddress(text)) => FetchError::Private(text.clone()),
        None => FetchError::Connection(cause.to_string()),
    }
}

/// Unpacks gzip, whether the server packed it on the way or the list is kept that way.
pub(crate) fn unpack(packed: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, FetchError> {
    let mut body = packed;
    // Twice: a list kept as .gz may be packed once more on the way.
    for _ in 0..2 {
        if !body.starts_with(&[0x1f, 0x8b]) {
            break;
        }
        // The ratio is of no concern for what is small anyway.
        let by_ratio = body.len().saturating_mul(limits.ratio).max(1 << 20);
        let limit = by_ratio.min(limits.unpacked_bytes);
        let mut unpacked = Vec::new();
        flate2::read::MultiGzDecoder::new(body.as_slice())
            .take(limit as u64 + 1)
            .read_to_end(&mut unpacked)
            .map_err(|_| FetchError::Damaged)?;
        if unpacked.len() > limit {
            return Err(if limit == by_ratio {
                FetchError::Ratio(limits.ratio)
            } else {
                FetchError::TooLarge(limit >> 20, "unpacked")
            });
        }
        body = unpacked;
    }
    Ok(body)
}

/// A TLS client that believes the host's roots and Mozilla's.
pub fn client_tls() -> Result<Arc<rustls::ClientConfig>, FetchError> {
    tls_config(&[]).map(Arc::new)
}

fn tls_config(more: &[CertificateDer<'static>]) -> Result<rustls::ClientConfig, FetchError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(more.iter().cloned());
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Connection(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Lets through public addresses only.
struct PublicOnly {
    resolver: Arc<dyn Resolve>,
    is_public: fn(IpAddr) -> bool,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct PrivateAddress(String);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let resolving = self.resolver.resolve(name);
        let is_public = self.is_public;
        Box::pin(async move {
            let all: Vec<SocketAddr> = resolving.await?.collect();
            let private = all.iter().find(|addr| !is_public(addr.ip())).copied();
            match private {
                // One private address among public ones is no accident either.
                Some(addr) => Err(PrivateAddress(format!("{host} ({})", addr.ip())).into()),
                None => Ok(Box::new(all.into_iter()) as Addrs),
            }
        })
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public Internet, as far as the special-purpose registries
/// (RFC 6890) and the ways to write IPv4 inside IPv6 tell.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && b & 0xc0 == 64)
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && b & 0xfe == 18))
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            let embedded = |hi: u16, lo: u16| {
                IpAddr::from((u32::from(hi) << 16 | u32::from(lo)).to_be_bytes())
            };
            match segments {
                // NAT64 (RFC 6052) and 6to4 (RFC 3056): as public as the IPv4 address inside.
                [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => is_public(embedded(hi, lo)),
                [0x2002, hi, lo, ..] => is_public(embedded(hi, lo)),
                [0x2001, 0xdb8, ..] => false,
                // Global unicast is 2000::/3; Teredo and ORCHID are in 2001::/23.
                [0x2001, second, ..] if second < 0x200 => false,
                [first, ..] => first & 0xe000 == 0x2000,
            }
        }
    }
}

impl std::fmt::Display for FetchErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("there is no address to fetch it from");
        }
        for (i, (url, error)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{url}: {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for FetchErrors {}

#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
