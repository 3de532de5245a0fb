//! Clients the partner is responsible for and does not answer.

use std::time::Duration;

use crate::expiring::Expiring;
use crate::{ClientKey, Time};

/// `secs` from which a client counts as unserved.
const TRYING_SECS: u16 = 4;
/// How long after the first message a repetition shows that nobody answered. The first
/// repetition comes after 4 s plus or minus one (RFC 2131 section 4.1).
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// A message later than this after the last one is a new attempt.
const ATTEMPT: Duration = Duration::from_secs(60);
/// Clients remembered at a time.
const LIMIT: usize = 4096;

/// When this node first heard each client it left to the partner.
#[derive(Debug)]
pub(crate) struct Unserved {
    first_heard: Expiring<(ClientKey, u8), Time>,
}

impl Unserved {
    pub(crate) fn new() -> Unserved {
        Unserved { first_heard: Expiring::new(LIMIT) }
    }

    /// Notes a message of type `kind` and tells whether its client turns out to be unserved.
    /// `served` is when a server last answered it, as far as the lease book knows: a message after
    /// that is a new attempt.
    pub(crate) fn hear(
        &mut self,
        now: Time,
        client: &ClientKey,
        kind: u8,
        secs: u16,
        served: Option<Time>,
    ) -> bool {
        let key = (client.clone(), kind);
        let heard = self.first_heard.get(now, &key).copied();
        let first = heard.filter(|first| served.is_none_or(|at| at < *first)).unwrap_or(now);
        self.first_heard.insert(key, first, now + ATTEMPT);
        secs >= TRYING_SECS || now.since(first) >= RETRY_AFTER
    }

    /// The client is served, by this node or by another.
    pub(crate) fn forget(&mut self, client: &ClientKey) {
        for kind in [1, 3, 8] {
            self.first_heard.remove(&(client.clone(), kind));
        }
    }
}
