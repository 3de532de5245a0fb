//! The two that are compared.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lanward_dns::{
    BlockMode, ClientNetwork, Config, Policies, Policy, PolicyId, Protection, Server, Shared,
    Upstreams,
};
use tokio::net::TcpStream;

/// Our server, forwarding to `upstream` and filtering nothing.
pub(crate) async fn lanward(upstream: SocketAddr) -> Result<(Server, SocketAddr), Box<dyn Error>> {
    let shared = Shared::new();
    shared.set_policies(Policies {
        policies: vec![Policy {
            name: "all".into(),
            filtering: false,
            block_mode: BlockMode::Null,
            blocked_ttl_secs: 10,
            dnssec: true,
            dns64: None,
            history: false,
            upstreams: None,
        }],
        networks: vec![ClientNetwork { subnet: "127.0.0.0/8".parse()?, policy: PolicyId(0) }],
    });
    shared.set_protection(Protection::OFF);
    shared.set_upstreams(Upstreams::plain([upstream]));
    let config = Config {
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        udp_workers: NonZeroUsize::MIN,
        ..Config::default()
    };
    let server = Server::start(config, shared).await?;
    let addr = *server.listening().first().ok_or("not listening")?;
    Ok((server, addr))
}

/// Unbound with an own folder, ended when this is dropped.
pub(crate) struct Unbound {
    pub(crate) addr: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl Unbound {
    pub(crate) async fn start(upstream: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("differential-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let conf = folder.join("unbound.conf");
        std::fs::write(&conf, config(port, upstream, &folder))?;
        let child = Command::new("unbound")
            .args(["-d", "-c"])
            .arg(&conf)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("unbound does not start ({error}): is it installed?"))?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let unbound = Self { addr, child, folder };
        for _ in 0..100 {
            if TcpStream::connect(addr).await.is_ok() {
                return Ok(unbound);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("unbound does not answer".into())
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What is set follows our own behaviour where there is a choice: no validation (there are no
/// signatures), 1232 bytes, RFC 8482, everything a forwarder sends is passed on.
fn config(port: u16, upstream: SocketAddr, folder: &std::path::Path) -> String {
    let folder = folder.display();
    let (ip, at) = (upstream.ip(), upstream.port());
    format!(
        "server:\n\
         \x20 interface: 127.0.0.1@{port}\n\
         \x20 access-control: 127.0.0.0/8 allow\n\
         \x20 do-daemonize: no\n  use-syslog: no\n  logfile: \"{folder}/log\"\n  verbosity: 0\n\
         \x20 username: \"\"\n  chroot: \"\"\n  directory: \"{folder}\"\n  pidfile: \"{folder}/pid\"\n\
         \x20 module-config: \"iterator\"\n\
         \x20 do-not-query-localhost: no\n\
         \x20 do-ip6: no\n\
         \x20 num-threads: 1\n  incoming-num-tcp: 200\n\
         \x20 edns-buffer-size: 1232\n  max-udp-size: 1232\n\
         \x20 deny-any: yes\n\
         \x20 minimal-responses: no\n\
         \x20 rrset-roundrobin: no\n\
         \x20 qname-minimisation: no\n\
         \x20 outgoing-range: 512\n  num-queries-per-thread: 512\n\
         \x20 aggressive-nsec: no\n\
         forward-zone:\n\
         \x20 name: \".\"\n\
         \x20 forward-addr: {ip}@{at}\n"
    )
}
