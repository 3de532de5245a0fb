//! Opening the encrypted listeners, once there is a certificate to show.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use http::HeaderValue;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::Ports;

use super::{Server, StartError, accept, bind, https, quic, tls};

/// Where questions are taken encrypted. Wildcards and port 0 are as in [`super::Config::listen`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encrypted {
    /// DNS over TLS (RFC 7858): port 853 of TCP.
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS (RFC 8484) by HTTP/2: port 443 of TCP.
    pub https: Vec<SocketAddr>,
    /// The same by HTTP/3: port 443 of UDP.
    pub http3: Vec<SocketAddr>,
    /// DNS over QUIC (RFC 9250): port 853 of UDP.
    pub quic: Vec<SocketAddr>,
}

impl Encrypted {
    /// The ports that clients are told of: those of the first listener of each transport.
    pub fn ports(&self) -> Ports {
        let first = |all: &[SocketAddr]| all.first().map(SocketAddr::port);
        Ports {
            tls: first(&self.tls),
            https: first(&self.https),
            http3: first(&self.http3),
            quic: first(&self.quic),
        }
    }
}

impl Server {
    /// Opens encrypted listeners and returns those that are open, with the ports in place of 0.
    /// One that cannot be opened is told of and does not keep the others from being.
    pub fn serve_encrypted(&mut self, asked: &Encrypted) -> (Encrypted, Vec<StartError>) {
        let (mut open, mut problems) = (Encrypted::default(), Vec::new());
        let mut keep = |opened, into: &mut Vec<SocketAddr>| match opened {
            Ok(addr) => into.push(addr),
            Err(problem) => problems.push(problem),
        };
        for &addr in &asked.http3 {
            keep(self.quic(addr, quic::Speaks::Http3(https::Site::default())), &mut open.http3);
        }
        // Told to browsers that come by HTTP/2 (RFC 7838).
        let alt_svc = open.http3.first().and_then(|http3| {
            HeaderValue::try_from(format!("h3=\":{}\"; ma=3600", http3.port())).ok()
        });
        for &addr in &asked.https {
            let speaks =
                |config| accept::Speaks::Https(config, https::Site { alt_svc: alt_svc.clone() });
            keep(self.tls(addr, b"h2", speaks), &mut open.https);
        }
        for &addr in &asked.tls {
            keep(self.tls(addr, b"dot", accept::Speaks::Tls), &mut open.tls);
        }
        for &addr in &asked.quic {
            keep(self.quic(addr, quic::Speaks::Doq), &mut open.quic);
        }
        (open, problems)
    }

    fn tls(
        &mut self,
        addr: SocketAddr,
        protocol: &[u8],
        speaks: impl FnOnce(Arc<ServerConfig>) -> accept::Speaks,
    ) -> Result<SocketAddr, StartError> {
        let failed = |source| StartError::Bind { addr, protocol: "tcp", source };
        let certificate = self.handler.shared.certificate.clone();
        let config = tls::config(certificate, protocol, &[&TLS13, &TLS12]);
        let config = Arc::new(config.map_err(io::Error::other).map_err(failed)?);
        let listener: TcpListener = bind::listener(addr)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let task = accept::serve(listener, speaks(config), self.gate.clone(), self.handler.clone());
        self.tasks.push(tokio::spawn(task));
        Ok(bound)
    }

    fn quic(&mut self, addr: SocketAddr, speaks: quic::Speaks) -> Result<SocketAddr, StartError> {
        let failed = |source| StartError::Bind { addr, protocol: "udp", source };
        let socket = bind::quic(addr)?;
        let certificate = self.handler.shared.certificate.clone();
        let endpoint = quic::endpoint(socket, &speaks, certificate, self.gate.limits);
        let endpoint = endpoint.map_err(failed)?;
        let bound = endpoint.local_addr().map_err(failed)?;
        self.quic.push(endpoint.clone());
        let task = quic::serve(endpoint, speaks, self.gate.clone(), self.handler.clone());
        self.tasks.push(tokio::spawn(task));
        Ok(bound)
    }
}
