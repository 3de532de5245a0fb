//! What all handlers share.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::auth::{ClaimCodes, Delays, Flashes, Passwords};
use crate::backend::Backend;
use crate::guard::AllowedHosts;

/// What the router needs to know of this host.
pub struct AuthConfig {
    /// Names the pages may be reached by, such as `lanward.home.arpa` and `pi-a`. A request for
    /// any other name is refused with 421. Loopback, and the address a connection came in by,
    /// are always good.
    pub names: Vec<String>,
    /// More addresses the pages may be reached by (a service address, or one before a NAT).
    pub addresses: Vec<IpAddr>,
    /// The codes that claim a household which has no owner yet. Call [`ClaimCodes::current`] at
    /// start while `Backend::owner_password_hash` is `None`, so that one is announced.
    pub claim: Arc<ClaimCodes>,
}

pub(crate) struct App {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) hosts: AllowedHosts,
    pub(crate) claim: Arc<ClaimCodes>,
    pub(crate) flashes: Flashes,
    pub(crate) delays: Delays,
    pub(crate) passwords: Passwords,
    /// The host's time zone, for times in pages; scripts show the browser's instead.
    pub(crate) zone: TimeZone,
}

pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(backend: Arc<dyn Backend>, config: AuthConfig) -> App {
        App {
            backend,
            hosts: AllowedHosts::new(&config.names, &config.addresses),
            claim: config.claim,
            flashes: Flashes::default(),
            delays: Delays::default(),
            passwords: Passwords::default(),
            zone: TimeZone::system(),
        }
    }
}
