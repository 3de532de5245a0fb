//! How a question reaches this host.

/// The transport that a client asks over. HTTP/2 and HTTP/3 are one: a client changes between them
/// as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Plain datagrams (RFC 1035, 4.2.1).
    Udp,
    /// Plain TCP (RFC 7766).
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS, HTTP/2 or HTTP/3 (RFC 8484).
    Https,
    /// DNS over dedicated QUIC connections (RFC 9250).
    Quic,
}

impl Transport {
    /// All of them, in the order of their declaration.
    pub const ALL: [Transport; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Https, Self::Quic];

    /// A short name for people and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }

    /// Whether answers are limited in size, and a client that gets one cut short asks again.
    pub fn is_udp(self) -> bool {
        self == Self::Udp
    }

    /// Whether nobody on the way can read what is asked.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}
