//! Who is asked what we do not know.

use std::net::SocketAddr;
use std::time::Duration;

/// A resolver that questions are forwarded to, over UDP and, when an answer is truncated, TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarder {
    /// Address and port (usually 53).
    pub addr: SocketAddr,
}

/// All forwarders: an immutable snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstreams {
    /// In order of preference. None: whatever is not local is answered SERVFAIL, with the reason.
    pub forwarders: Vec<Forwarder>,
    /// After this a question counts as failed, all forwarders taken together.
    pub timeout: Duration,
    /// When the preferred forwarder has not answered for so long, the next is asked as well.
    pub hedge_after: Duration,
    /// When nothing has come for so long and an expired answer is at hand, that is served (RFC
    /// 8767, 5: the client response timer, 1.8 s).
    pub stale_after: Duration,
    /// Distinct questions asked upstream at once; more are answered SERVFAIL or stale.
    pub max_in_flight: usize,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            forwarders: Vec::new(),
            timeout: Duration::from_secs(5),
            hedge_after: Duration::from_millis(300),
            stale_after: Duration::from_millis(1800),
            max_in_flight: 2000,
        }
    }
}
