//! A DNS server with fixed settings, for load tests and for trying things out with dig:
//!
//!     serve --listen 127.0.0.1:5353 [--upstream 127.0.0.1:5301]... [--threads N] [--list FILE]
//!           [--trust-anchor DNSKEY]
//!           [--cert FILE --key FILE [--tls ADDR] [--https ADDR] [--http3 ADDR] [--quic ADDR]]
//!
//! Answers are validated when there is a trust anchor, such as ". IN DNSKEY 257 3 15 ...".
//! FILE holds a domain a line, each blocked with everything below it, and is read again on SIGHUP.
//! Serves every client, knows `printer.home.arpa`, and prints its counters at the end (Ctrl-C or
//! SIGTERM).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::collections::HashSet;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanward_dns::{
    Answered, BlockMode, Certificate, ClientNetwork, Config, Dnssec, DnssecMode, Encrypted, Filter,
    ListId, LocalHost, LocalNames, LocalZone, Name, Policies, Policy, PolicyId, RuleRef, Server,
    Shared, TrustAnchors, Upstreams, Verdict,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};

/// A plain set of names: enough for a load test.
struct Names(HashSet<Box<[u8]>>);

impl Names {
    fn read(list: Option<&PathBuf>) -> std::io::Result<Self> {
        let Some(list) = list else { return Ok(Self(HashSet::new())) };
        let text = std::fs::read_to_string(list)?;
        let names = text.lines().flat_map(|line| line.trim().parse::<Name>());
        Ok(Self(names.map(|name| name.as_wire().into()).collect()))
    }
}

impl Filter for Names {
    fn verdict(&self, name: &[u8], _policy: PolicyId) -> Verdict {
        let mut rest = name;
        while let Some(&len) = rest.first().filter(|len| **len > 0) {
            if self.0.contains(rest) {
                let labels = Name::from_wire(rest).map_or(0, |rule| rule.labels() as u8);
                return Verdict::Blocked(RuleRef { list: ListId(0), labels });
            }
            rest = rest.get(1 + usize::from(len)..).unwrap_or_default();
        }
        Verdict::NoMatch
    }

    fn list_name(&self, _list: ListId) -> &str {
        "file"
    }

    fn list_names(&self) -> Vec<(ListId, Arc<str>)> {
        vec![(ListId(0), Arc::from("file"))]
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    let (mut servers, mut list) = (Vec::new(), None);
    let mut encrypted = Encrypted::default();
    let mut dnssec = Dnssec { mode: DnssecMode::Off, ..Dnssec::default() };
    let (mut cert, mut key) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--listen" => config.listen.push(value.parse()?),
            "--upstream" => servers.push(value.parse::<SocketAddr>()?),
            "--threads" => config.udp_workers = value.parse()?,
            "--trust-anchor" => {
                dnssec.mode = DnssecMode::Validate;
                dnssec.anchors = TrustAnchors::parse(&value)?;
            }
            "--list" => list = Some(PathBuf::from(value)),
            "--cert" => cert = Some(PathBuf::from(value)),
            "--key" => key = Some(PathBuf::from(value)),
            "--tls" => encrypted.tls.push(value.parse()?),
            "--https" => encrypted.https.push(value.parse()?),
            "--http3" => encrypted.http3.push(value.parse()?),
            "--quic" => encrypted.quic.push(value.parse()?),
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    if config.listen.is_empty() {
        config.listen.push(SocketAddr::from(([127, 0, 0, 1], 5353)));
    }
    tokio::runtime::Runtime::new()?.block_on(async {
        let certificate = cert.zip(key).map(|(cert, key)| certificate(&cert, &key)).transpose()?;
        let shared = Shared::new();
        shared.set_upstreams(Upstreams::plain(servers));
        shared.set_dnssec(dnssec);
        serve(config, shared, list, encrypted, certificate).await
    })
}

async fn serve(
    config: Config,
    shared: Arc<Shared>,
    list: Option<PathBuf>,
    encrypted: Encrypted,
    certificate: Option<Certificate>,
) -> Result<(), Box<dyn Error>> {
    shared.set_policies(everybody()?);
    shared.set_local(house()?);
    shared.set_filter(Arc::new(Names::read(list.as_ref())?));
    let mut server = Server::start(config, shared.clone()).await?;
    println!("listening on {:?}", server.listening());
    if let Some(certificate) = certificate {
        shared.set_certificate(certificate);
        let (open, problems) = server.serve_encrypted(&encrypted);
        println!("encrypted: {open:?}");
        problems.iter().for_each(|problem| eprintln!("{problem}"));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut reload = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
            _ = reload.recv() => {
                let (shared, list) = (shared.clone(), list.clone());
                tokio::task::spawn_blocking(move || match Names::read(list.as_ref()) {
                    Ok(names) => shared.set_filter(Arc::new(names)),
                    Err(error) => eprintln!("the list stays as it was: {error}"),
                });
            }
        }
    }
    let (answers, bytes) = server.cache().held();
    server.shutdown().await;
    let counters = shared.counters();
    println!("queries {}, cache {answers} answers in {bytes} bytes", counters.queries);
    for how in Answered::ALL {
        println!("  {:10} {}", how.as_str(), counters.answered(how));
    }
    for why in lanward_dns::DropReason::ALL {
        println!("  dropped, {:12} {}", why.as_str(), counters.dropped(why));
    }
    println!("{counters:?}");
    Ok(())
}

fn certificate(cert: &Path, key: &Path) -> Result<Certificate, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
    Ok(Certificate::new(chain, PrivateKeyDer::from_pem_file(key)?)?)
}

fn everybody() -> Result<Policies, Box<dyn Error>> {
    let policy = PolicyId(0);
    let subnets = ["0.0.0.0/0", "::/0"];
    let networks = subnets.map(|subnet| Ok(ClientNetwork { subnet: subnet.parse()?, policy }));
    Ok(Policies {
        policies: vec![Policy {
            name: "household".into(),
            filtering: true,
            block_mode: BlockMode::Null,
            blocked_ttl_secs: 10,
            dnssec: true,
            dns64: None,
            history: true,
            upstreams: None,
        }],
        networks: networks.into_iter().collect::<Result<_, Box<dyn Error>>>()?,
    })
}

fn house() -> Result<LocalNames, Box<dyn Error>> {
    let zone = LocalZone {
        apex: "home.arpa".parse()?,
        name_servers: vec!["lanward.home.arpa".parse()?],
        serial: 1,
        negative_ttl_secs: 5,
    };
    let mut names = LocalNames::builder();
    names.zone(&zone).reverse("10.0.30.0/24".parse()?, &zone);
    names.host(&LocalHost {
        name: "printer.home.arpa".parse()?,
        addresses: vec!["10.0.30.20".parse()?, "fd00:30::20".parse()?],
        ttl_secs: 60,
    })?;
    Ok(names.build())
}
