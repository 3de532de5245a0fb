//! Keeps the certificates of encrypted DNS in force: read from files when they change, or issued by
//! the household's authority, which both hosts share.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lanward_dns::{Discovery, Encrypted, Name, Ports, Shared as Dns};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::actor::Changes;
use super::handle::{Handle, Stopping};
use super::wall;
use crate::certificates::{Authority, AuthorityError, Files, Leaf, Stamp, Subject, UnixSecs};
use crate::identity;
use crate::settings::Effective;
use crate::settings::effective::DNS_LABEL;

/// How often files are looked at and the clock is compared with the certificate's dates.
const LOOK: Duration = Duration::from_secs(30);

/// An authority's file, with its key.
const FILE: &str = "ca.pem";
/// More than any such file.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// What is shown of the certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// What is served.
    pub(crate) ports: Ports,
    /// The name to ask it by.
    pub(crate) name: String,
    /// What does not work, and what to do about it.
    pub(crate) problems: Vec<(String, String)>,
}

/// The authority, as people are given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicAuthority {
    pub(crate) pem: String,
    pub(crate) fingerprint: String,
    pub(crate) expires: UnixSecs,
}

/// How others reach the keeper.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    orders: mpsc::Sender<Order>,
    shown: watch::Receiver<Shown>,
}

#[derive(Debug)]
enum Order {
    /// The partner can be talked to from now on.
    LinkUp,
    Partner(String),
    /// Give the authority away, its public part; `true`: tell that devices may trust it from now on.
    Public(bool, oneshot::Sender<Option<PublicAuthority>>),
    /// Make a new one.
    Renew(oneshot::Sender<Result<PublicAuthority, String>>),
}

impl Certificates {
    /// The partner's authority came over the link.
    pub(super) fn partner_said(&self, text: String) {
        let _ = self.orders.try_send(Order::Partner(text));
    }

    /// The link to the partner came up, or went down.
    pub(super) fn partner_link(&self, up: bool) {
        if up {
            let _ = self.orders.try_send(Order::LinkUp);
        }
    }

    /// The authority's public part; `None` where there is none. With `to_trust` it is remembered
    /// that devices may trust it.
    pub(crate) async fn authority(&self, to_trust: bool) -> Option<PublicAuthority> {
        let (to, answer) = oneshot::channel();
        self.orders.send(Order::Public(to_trust, to)).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Makes a new authority, for both hosts.
    pub(crate) async fn renew(&self) -> Result<PublicAuthority, String> {
        let (to, answer) = oneshot::channel();
        let stopping = |_| Stopping.to_string();
        self.orders.send(Order::Renew(to)).await.map_err(|_| Stopping.to_string())?;
        answer.await.map_err(stopping)?
    }

    /// What is served, and what does not work.
    pub(crate) fn shown(&self) -> watch::Receiver<Shown> {
        self.shown.clone()
    }
}

/// Who a certificate of this host is for.
pub(super) fn subject(node: &str, settings: &Effective, own: &[IpAddr]) -> Subject {
    let domain = &settings.domain;
    let names = [node, DNS_LABEL].map(|label| format!("{}.{domain}", label.to_ascii_lowercase()));
    let services = settings.networks.iter().flat_map(|network| &network.service_addresses);
    let addresses = own.iter().copied().chain(services.map(|service| service.addr));
    Subject { names: names.into(), addresses: addresses.collect::<BTreeSet<_>>() }
}

/// Keeps the certificates.
pub(super) struct Keeper {
    dns: Arc<Dns>,
    node: String,
    folder: PathBuf,
    files: Option<Files>,
    seen: Option<Stamp>,
    /// Whether the files' certificate is the one in force.
    from_files: bool,
    file_problem: Option<String>,
    authority: Option<Authority>,
    authority_problem: Option<String>,
    leaf: Option<(Subject, Leaf)>,
    domain: String,
    ports: Ports,
    listen_problems: Vec<(String, String)>,
    orders: mpsc::Receiver<Order>,
    shown: watch::Sender<Shown>,
}

impl Keeper {
    /// Reads or makes what there is to show, before anybody can ask for it.
    pub(super) fn open(
        dns: Arc<Dns>,
        data_dir: &Path,
        node: &str,
        files: Option<Files>,
        settings: &Effective,
        own: &[IpAddr],
    ) -> (Keeper, Certificates) {
        let (orders_to, orders) = mpsc::channel(16);
        let (shown, showing) = watch::channel(Shown::default());
        let mut keeper = Keeper {
            dns,
            node: node.to_owned(),
            folder: data_dir.join("identity"),
            files,
            seen: None,
            from_files: false,
            file_problem: None,
            authority: None,
            authority_problem: None,
            leaf: None,
            domain: settings.domain.to_string(),
            ports: Ports::default(),
            listen_problems: Vec::new(),
            orders,
            shown,
        };
        match keeper.read() {
            Ok(authority) => keeper.authority = authority,
            // Not overwritten: somebody may want to mend it.
            Err(why) => keeper.authority_problem = Some(why),
        }
        keeper.look_at_files();
        keeper.issue(subject(node, settings, own));
        (keeper, Certificates { orders: orders_to, shown: showing })
    }

    /// The listeners were opened, some of them perhaps not.
    pub(super) fn opened(&mut self, open: &Encrypted, problems: Vec<(String, String)>) {
        self.ports = open.ports();
        self.listen_problems = problems;
        self.publish();
    }

    /// Runs until the node's task ends.
    pub(super) async fn run(
        mut self,
        control: Handle,
        mut changed: watch::Receiver<Changes>,
        mut own: watch::Receiver<Vec<IpAddr>>,
    ) {
        loop {
            let seen = changed.borrow_and_update().settings;
            if self.follow(&control, &own).await.is_err() {
                return;
            }
            let ordered = tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => Some(order),
                    None => return,
                },
                result = changed.wait_for(|now| now.settings != seen) => {
                    if result.is_err() { return } else { None }
                }
                result = own.changed() => if result.is_err() { return } else { None },
                () = tokio::time::sleep(LOOK) => None,
            };
            if let Some(order) = ordered
                && self.carry_out(order, &control).await.is_err()
            {
                return;
            }
            self.look_at_files();
        }
    }

    /// Has the certificate that fits the settings and addresses of now.
    async fn follow(
        &mut self,
        control: &Handle,
        own: &watch::Receiver<Vec<IpAddr>>,
    ) -> Result<(), Stopping> {
        let (node, own) = (self.node.clone(), own.borrow().clone());
        let asked = control.ask(move |reading| {
            let settings = reading.node.effective();
            (subject(&node, settings, &own), settings.domain.to_string())
        });
        let (subject, domain) = asked.await?;
        let is_new_domain = self.domain != domain;
        self.domain = domain;
        let before = self.authority.as_ref().map(Authority::fingerprint);
        let is_due =
            self.leaf.as_ref().is_none_or(|(of, leaf)| *of != subject || leaf.is_due(now()));
        if is_due {
            self.issue(subject);
        }
        if is_due || is_new_domain {
            self.publish();
        }
        if self.authority.as_ref().map(Authority::fingerprint) != before {
            self.tell(control).await?;
        }
        Ok(())
    }

    async fn carry_out(&mut self, order: Order, control: &Handle) -> Result<(), Stopping> {
        match order {
            Order::LinkUp => return self.tell(control).await,
            Order::Partner(text) => match Authority::from_secret_text(&text) {
                Ok(theirs) => return self.compare(theirs, control).await,
                Err(error) => warn!("the partner's certificate authority is of no use: {error}"),
            },
            Order::Public(to_trust, answer) => {
                if to_trust
                    && let Some(authority) = self.authority.as_mut()
                    && !authority.is_handed_out()
                {
                    authority.hand_out();
                    self.write();
                    self.tell(control).await?;
                }
                let _ = answer.send(self.authority.as_ref().map(public));
            }
            Order::Renew(answer) => {
                let made = self.create().map_err(|error| error.to_string());
                let result = made.map(|authority| {
                    let shown = public(&authority);
                    self.adopt(authority);
                    shown
                });
                let _ = answer.send(result);
                self.tell(control).await?;
            }
        }
        Ok(())
    }

    /// Both hosts go on with one authority.
    async fn compare(&mut self, theirs: Authority, control: &Handle) -> Result<(), Stopping> {
        let Some(ours) = self.authority.as_mut() else {
            self.adopt(theirs);
            return Ok(());
        };
        if ours.is(&theirs) {
            if theirs.is_handed_out() && !ours.is_handed_out() {
                ours.hand_out();
                self.write();
            }
            return Ok(());
        }
        if theirs.precedes(ours) {
            info!("the pair's certificate authority is the partner's, {}", theirs.fingerprint());
            self.adopt(theirs);
            return Ok(());
        }
        self.tell(control).await
    }

    fn adopt(&mut self, authority: Authority) {
        self.authority = Some(authority);
        self.write();
        if let Some((subject, _)) = self.leaf.take() {
            self.issue(subject);
        }
        self.publish();
    }

    async fn tell(&self, control: &Handle) -> Result<(), Stopping> {
        match &self.authority {
            Some(authority) => control.authority(authority.to_secret_text()).await,
            None => Ok(()),
        }
    }

    fn create(&self) -> Result<Authority, AuthorityError> {
        Authority::create(&self.domain, now(), self.authority.as_ref())
    }

    /// Puts a certificate for `subject` in force, unless the files' one is.
    fn issue(&mut self, subject: Subject) {
        let permits = |authority: &Authority| subject.names.iter().all(|n| authority.permits(n));
        let is_good = self.authority.as_ref().is_some_and(|a| a.is_handed_out() || permits(a));
        let is_unreadable = self.authority.is_none() && self.authority_problem.is_some();
        if !is_good && !is_unreadable {
            match self.create() {
                Ok(authority) => {
                    self.authority = Some(authority);
                    self.write();
                }
                Err(error) => self.authority_problem = Some(error.to_string()),
            }
        }
        let Some(authority) = &self.authority else { return };
        match authority.issue(&subject, now()) {
            Ok(leaf) => {
                if !self.from_files {
                    self.dns.set_certificate(leaf.certificate.clone());
                }
                self.leaf = Some((subject, leaf));
            }
            Err(error) => self.authority_problem = Some(error.to_string()),
        }
    }

    /// Takes the files' certificate when they have changed. The one before it stays in force when
    /// they are no good.
    fn look_at_files(&mut self) {
        let Some(files) = &self.files else { return };
        let stamp = files.stamp();
        if self.seen.as_ref() == Some(&stamp) {
            return;
        }
        let at_start = self.seen.is_none();
        self.seen = Some(stamp);
        match files.read() {
            Ok(certificate) => {
                self.dns.set_certificate(certificate);
                self.from_files = true;
                self.file_problem = None;
                if !at_start {
                    info!("the certificate in {} is in force", files.certificate.display());
                }
            }
            Err(error) => {
                warn!("encrypted DNS does not show the certificate of the files: {error}");
                self.file_problem = Some(error.to_string());
            }
        }
        self.publish();
    }

    /// Tells clients and people what there is.
    fn publish(&self) {
        let name = format!("{DNS_LABEL}.{}", self.domain);
        let discovery = name.parse::<Name>().map(|name| Discovery::new(&name, self.ports));
        self.dns.set_discovery(discovery.unwrap_or_default());
        let mut problems = self.listen_problems.clone();
        if !self.ports.is_empty() {
            problems.extend(self.file_problem.as_ref().map(|why| {
                let shown =
                    if self.from_files { "The one before it" } else { "The household's own" };
                (
                    format!("The certificate of encrypted DNS was not taken: {why}."),
                    format!("{shown} is shown until the files are right."),
                )
            }));
            problems.extend(self.authority_problem.as_ref().map(|why| {
                let fix = "Put the file back from a backup or from the other host, or delete it and \
                           start Lanward again for a new authority.";
                (format!("There is no certificate authority: {why}."), fix.to_owned())
            }));
            let left_out = self.leaf.iter().flat_map(|(_, leaf)| &leaf.left_out);
            problems.extend(left_out.take(1).filter(|_| !self.from_files).map(|name| {
                (
                    format!("The certificate authority may not sign for {name}: it was made for another domain."),
                    "Make a new one with `lanward ca new`, and trust that on your devices.".to_owned(),
                )
            }));
        }
        self.shown.send_if_modified(|shown| {
            let now = Shown { ports: self.ports, name, problems };
            let is_other = *shown != now;
            *shown = now;
            is_other
        });
    }

    /// The authority of the disk; `None` where there is none.
    fn read(&self) -> Result<Option<Authority>, String> {
        use std::io::Read as _;
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.join(FILE);
        let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "{} can be read by others on this host (mode {mode:04o})",
                path.display()
            ));
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
        let authority = Authority::from_secret_text(&text);
        authority.map(Some).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn write(&mut self) {
        let Some(authority) = &self.authority else { return };
        let path = self.folder.join(FILE);
        let written = identity::write_private(&self.folder, &path, &authority.to_secret_text());
        self.authority_problem =
            written.err().map(|error| format!("{} cannot be written: {error}", path.display()));
    }
}

fn public(authority: &Authority) -> PublicAuthority {
    PublicAuthority {
        pem: authority.certificate_pem(),
        fingerprint: authority.fingerprint(),
        expires: authority.expires(),
    }
}

fn now() -> UnixSecs {
    u64::try_from(wall::now().as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
