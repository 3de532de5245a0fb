//! The two real nodes: two processes of this very program, each with its own folder.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};

use super::household::Addresses;
use crate::admin::{Reply, Request};
use crate::io::admin_socket;

/// The nodes' names, by rank.
pub(super) const NAMES: [&str; 2] = ["pi-a", "pi-b"];

/// The ports of the demo: none needs root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) dns: u16,
    pub(super) dhcp_server: u16,
    pub(super) dhcp_client: u16,
    pub(super) web: u16,
    pub(super) pair: u16,
}

/// The ports used where nobody else has them.
pub(super) const PORTS: Ports =
    Ports { dns: 10053, dhcp_server: 10067, dhcp_client: 10068, web: 8080, pair: 10647 };

/// One node.
pub(super) struct Node {
    name: &'static str,
    addr: IpAddr,
    dir: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// Writes the node's settings into a folder of its own below `base`. The first node's file
    /// names the household's, which makes that file the source of the settings.
    pub(super) fn prepare(
        rank: usize,
        addresses: Addresses,
        base: &Path,
        household: &str,
    ) -> io::Result<Node> {
        let (name, addr) = (NAMES[rank], IpAddr::V4(addresses.node(rank)));
        let dir = base.join(name);
        std::fs::create_dir_all(&dir)?;
        let mut text = format!(
            "[node]\nname = \"{name}\"\ndata_dir = \"{}\"\n\n\
             [dns]\nlisten = [\"{}\"]\n\n\
             [dhcp]\nlisten = \"{addr}\"\nserver_port = {}\nclient_port = {}\n\n\
             [web]\nlisten = [\"{}\"]\n\n\
             [pair]\nlisten = \"{}\"\n",
            dir.join("data").display(),
            SocketAddr::new(addr, PORTS.dns),
            PORTS.dhcp_server,
            PORTS.dhcp_client,
            SocketAddr::new(addr, PORTS.web),
            SocketAddr::new(addr, PORTS.pair),
        );
        if rank == 0 {
            text.insert_str(0, "household = \"household.toml\"\n\n");
            std::fs::write(dir.join("household.toml"), household)?;
        }
        std::fs::write(dir.join("lanward.toml"), text)?;
        Ok(Node { name, addr, dir, child: None })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Where its pages are.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", SocketAddr::new(self.addr, PORTS.web))
    }

    /// Starts the process. Its log goes to `log` in its folder.
    pub(super) fn start(&mut self) -> io::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("log"))?;
        let child = Command::new(std::env::current_exe()?)
            .arg("run")
            .arg("--config")
            .arg(self.dir.join("lanward.toml"))
            .arg("--exit-with-parent")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends the process without a word, as a power cut would.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().await,
            None => Ok(()),
        }
    }

    /// Whether the process has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// The last lines of its log.
    pub(super) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Asks the node over its Unix socket.
    pub(super) async fn ask(&self, request: Request) -> Result<Value, String> {
        let path = self.dir.join("data").join("admin.sock");
        let reply = tokio::task::spawn_blocking(move || admin_socket::ask(&path, &request)).await;
        match reply.map_err(|e| e.to_string())?.map_err(|e| e.to_string())? {
            Reply::Done { data } => Ok(data),
            Reply::Refused(refusal) => Err(refusal.to_string()),
        }
    }

    /// Waits until the node answers and says `state` of itself.
    pub(super) async fn reach(
        &mut self,
        state: &str,
        patience: Duration,
    ) -> Result<Duration, String> {
        let started = Instant::now();
        let mut last = String::new();
        while started.elapsed() < patience {
            if self.has_ended() {
                return Err(format!("{} ended by itself:\n{}", self.name, self.log_tail()));
            }
            match self.ask(Request::Status).await {
                Ok(status) if status["pair"]["own"]["state"] == state => {
                    return Ok(started.elapsed());
                }
                Ok(status) => last = status["pair"]["own"]["state"].to_string(),
                Err(error) => last = error,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("{} did not reach {state} (last seen: {last})", self.name))
    }

    /// Its active leases: address and hardware address.
    pub(super) async fn leases(&self) -> Result<Vec<(String, String)>, String> {
        let rows = self.ask(Request::Leases).await?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        let active = rows.iter().filter(|row| row["state"] == "active");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut leases: Vec<_> = active.map(|row| (text(&row["addr"]), text(&row["hw"]))).collect();
        leases.sort();
        Ok(leases)
    }
}
