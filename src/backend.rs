//! The daemon as pages, API and command line see it: reads from the node's task and the list
//! keeper, edits as changes of the household's records.

mod changes;
mod encrypted;
mod judged;
mod leases;
mod lists;
mod names;
mod pauses;
mod queries;
mod rules;
mod sharing;
mod status;
mod upstreams;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use lanward_ha::SessionKey;
use lanward_web::SessionId;
use lanward_web::backend::{Answer, Backend};
use lanward_web::view::{
    About, ChangeRow, CollisionRow, EditError, EncryptedView, FieldError, ForgetOrder, Forgotten,
    Health, InForce, LeaseRow, ListRow, LocalNames, MadeRule, NetworkView, NewList, NewPause,
    NewReservation, NewRule, PairEvent, PairOrder, PauseScope, PolicyView, Problem, QueriesAnswer,
    QueriesQuestion, Removed, ReservationView, Saved, Severity, StatisticsView, Status,
    Unavailable, WhyAnswer, WhyQuestion,
};
use serde_json::Value;
use tokio::sync::watch;

use crate::control::{
    Certificates, Handle, HealthWatch, Journal, NameSnapshot, Pairing, PartnerSays, Reach, Reading,
    Standing, Stopping,
};
use crate::history::partner::Partner;
use crate::history::{History, Span};
use crate::hosts_file::HostsFile;
use crate::lists::ListKeeper;
use crate::node::{self, OWNER, SessionDeed};
use crate::service_addresses::Shown;
use crate::settings::effective::PauseSpec;
use crate::settings::household::declared_by;
use crate::settings::records::{List, Record, Reservation};
use crate::settings::words::{Id, Mac, Name};
use crate::timeline::Entry;

/// What a daemon's face is made of.
pub struct Parts {
    /// The node's task.
    pub control: Handle,
    /// The blocklists.
    pub lists: ListKeeper,
    /// DNS, for its counters.
    pub dns: Arc<lanward_dns::Shared>,
    /// The cached DNS answers.
    pub answers: lanward_dns::AnswerCache,
    /// Where people reach this node's pages.
    pub url: Option<String>,
    /// What the daemon found when it started and cannot mend by itself.
    pub start_problems: Vec<Problem>,
    /// Why DHCP is not served although it should be.
    pub dhcp_problem: watch::Receiver<Option<String>>,
    /// What this host's hosts file says.
    pub hosts_file: watch::Receiver<Arc<HostsFile>>,
    /// This host's own addresses, as others can use them.
    pub own: watch::Receiver<Vec<IpAddr>>,
    /// Where the partner is.
    pub partner: watch::Receiver<Option<IpAddr>>,
    /// What the partner's daemon said of itself.
    pub(crate) says: watch::Receiver<Option<PartnerSays>>,
    /// What was asked of this node.
    pub(crate) standing: watch::Receiver<Standing>,
    /// Who removed this node from its pair.
    pub removed: watch::Receiver<Option<String>>,
    /// Who is told what people want of the pair, and knows why there is no link.
    pub(crate) pairing: Arc<Pairing>,
    /// What happened to the two hosts.
    pub(crate) journal: Journal,
    /// Who holds which service address.
    pub services: watch::Receiver<Vec<Shown>>,
    /// Whether this host answers DNS.
    pub health: HealthWatch,
    /// The certificates of encrypted DNS.
    pub(crate) certificates: Certificates,
    /// The pauses of blocking in force.
    pub pauses: watch::Receiver<Arc<[PauseSpec]>>,
    /// The history of questions; `None` where none can be kept.
    pub history: Option<History>,
    /// The other host's.
    pub partner_history: Arc<Partner>,
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// Draws random bytes; `None` where the system gives none.
    pub draw: fn() -> Option<[u8; 16]>,
}

/// One daemon, seen from its pages.
pub struct Daemon {
    parts: Parts,
    started: Timestamp,
}

impl Daemon {
    /// The face of a daemon that has just started.
    pub fn new(parts: Parts) -> Daemon {
        Daemon { started: (parts.now)(), parts }
    }

    /// The handle on the node's task.
    pub fn control(&self) -> &Handle {
        &self.parts.control
    }

    /// The partner's address, and its pages if they are on the port that this node's are on.
    fn partner_url(&self) -> Option<(String, String)> {
        let addr = (*self.parts.partner.borrow())?;
        let port =
            self.parts.url.as_ref()?.trim_end_matches('/').rsplit(':').next()?.parse().ok()?;
        Some((addr.to_string(), format!("http://{}/", SocketAddr::new(addr, port))))
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reading<'_>) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.parts.control.ask(move |reading| question(reading)).await.map_err(unavailable)
    }

    async fn write(&self, writes: Vec<(String, Option<String>)>) -> Result<InForce, EditError> {
        match self.parts.control.edit("owner", writes).await.map_err(unavailable)? {
            Ok(reach) => Ok(in_force(reach)),
            Err(node::EditError::Invalid(problems)) => {
                let fields = problems
                    .into_iter()
                    .map(|message| FieldError { field: "", message: message.replace('*', "") });
                Err(EditError::Fields(fields.collect()))
            }
            Err(node::EditError::Undo(refusal)) => Err(EditError::Refused(refusal.to_string())),
            Err(error @ node::EditError::NotDurable(_)) => {
                Err(Unavailable(error.to_string()).into())
            }
        }
    }

    /// A record's text, unless it is locked or absent.
    async fn editable(&self, key: &str, what: &str) -> Result<String, EditError> {
        let key = key.to_owned();
        let (locked, json) = self
            .read(move |reading| {
                let records = reading.node.records();
                (locked(records, &key), records.get(&key).cloned())
            })
            .await?;
        match (locked, json) {
            (Some(why), _) => Err(EditError::Locked(why)),
            (None, None) => Err(EditError::NotFound(what.to_owned())),
            (None, Some(json)) => Ok(json),
        }
    }
}

fn unavailable(stopping: Stopping) -> Unavailable {
    Unavailable(stopping.to_string())
}

/// Where an edit is in force, in the words of the pages and of the command line.
pub(crate) fn in_force(reach: Reach) -> InForce {
    match reach {
        Reach::Alone => InForce::Here,
        Reach::Both => InForce::BothHosts,
        Reach::PartnerLater(partner) => InForce::PartnerLater { partner },
    }
}

/// Why a record cannot be edited here, in one sentence; `None` when it can.
pub(crate) fn locked(records: &BTreeMap<String, String>, key: &str) -> Option<String> {
    let node = declared_by(records, key)?;
    Some(format!("It is declared in the household file of {node}: change it there."))
}

/// The record in a text the document held; it was valid when it was written.
fn parsed<R: Record>(key: &str, json: &str) -> Result<R, EditError> {
    R::from_json(key, json, &mut Vec::new())
        .ok_or_else(|| Unavailable(format!("The record {key} cannot be read.")).into())
}

impl Backend for Daemon {
    fn now(&self) -> Timestamp {
        (self.parts.now)()
    }

    fn status(&self) -> Answer<'_, Result<Status, Unavailable>> {
        Box::pin(async move {
            let statuses = self.parts.lists.statuses();
            let mut problems = self.parts.start_problems.clone();
            problems.extend(lists::problems(&statuses));
            if let Some(what) =
                self.parts.history.as_ref().and_then(|history| history.status().problem)
            {
                let fix = "DNS and DHCP go on without it.";
                let note = Daemon::host_problem(what, fix);
                problems.push(Problem { severity: Severity::Warning, ..note });
            }
            if let Some(why) = self.parts.dhcp_problem.borrow().as_ref() {
                let what = format!("DHCP is not served on this host: {why}");
                let fix = "Free the port; Lanward tries again every few seconds.";
                let bad = Daemon::host_problem(what, fix);
                problems.push(Problem { severity: Severity::Bad, ..bad });
            }
            problems.extend(names::problem(&self.parts.hosts_file.borrow()));
            let encrypted = self.parts.certificates.shown().borrow().clone();
            let encrypted = encrypted.problems.into_iter();
            problems.extend(encrypted.map(|(what, fix)| Daemon::host_problem(what, fix)));
            problems.extend(names::problem(&self.parts.hosts_file.borrow()));
            let around = status::Around {
                started: self.started,
                counters: self.parts.dns.counters(),
                over_limit: self.parts.dns.over_limit(),
                upstreams: self.parts.dns.upstream_status(),
                dnssec: self.parts.dns.dnssec_state(),
                blocked_names: statuses.iter().filter_map(|l| l.entries).sum(),
                url: self.parts.url.clone(),
                partner_url: self.partner_url(),
                services: self.parts.services.borrow().clone(),
                problems,
                says: self.parts.says.borrow().clone(),
                standing: self.parts.standing.borrow().clone(),
                removed: self.parts.removed.borrow().clone(),
                trouble: self.parts.pairing.trouble(),
                pauses: self.parts.pauses.borrow().clone(),
            };
            self.read(move |reading| status::status(reading, around)).await
        })
    }

    fn encrypted(&self, to_trust: bool) -> Answer<'_, Result<EncryptedView, Unavailable>> {
        Box::pin(async move {
            let certificates = &self.parts.certificates;
            let shown = certificates.shown().borrow().clone();
            let authority = certificates.authority(to_trust).await;
            Ok(encrypted::view(&shown, authority))
        })
    }

    fn health(&self) -> Health {
        self.parts.health.now()
    }

    fn networks(&self) -> Answer<'_, Result<Vec<NetworkView>, Unavailable>> {
        Box::pin(self.read(leases::networks))
    }

    fn policies(&self) -> Answer<'_, Result<Vec<PolicyView>, Unavailable>> {
        Box::pin(self.read(|reading| {
            let settings = reading.node.effective();
            let view = |policy: &lanward_dns::Policy| PolicyView {
                id: policy.name.clone(),
                networks: settings
                    .networks
                    .iter()
                    .filter(|n| *n.policy == *policy.name)
                    .map(|n| n.id.to_string())
                    .collect(),
            };
            settings.policies.policies.iter().map(view).collect()
        }))
    }

    fn leases(&self) -> Answer<'_, Result<Vec<LeaseRow>, Unavailable>> {
        Box::pin(self.read(leases::rows))
    }

    fn names(&self) -> Answer<'_, Result<LocalNames, Unavailable>> {
        Box::pin(async move {
            let (own, file) = {
                let (own, file) = (self.parts.own.borrow(), self.parts.hosts_file.borrow());
                (own.clone(), Arc::clone(&file))
            };
            let snapshot =
                self.read(move |reading| NameSnapshot::of(reading.node, &own, file)).await?;
            Ok(names::view(&snapshot))
        })
    }

    fn reservations(&self) -> Answer<'_, Result<Vec<ReservationView>, Unavailable>> {
        Box::pin(self.read(leases::reservations))
    }

    fn reserve(&self, new: NewReservation) -> Answer<'_, Result<Saved, EditError>> {
        Box::pin(async move {
            let id = match &new.replaces {
                Some(id) => {
                    let key = Reservation::key(id);
                    self.editable(&key, "The reservation").await?;
                    id.clone()
                }
                None => reservation_id(&new),
            };
            let record = reservation(&new)?;
            let key = Reservation::key(&id);
            let in_force = self.write(vec![(key.clone(), Some(record.to_json()))]).await;
            let in_force = in_force.map_err(|error| lists::at_field(error, "addr"))?;
            let staged = self
                .read(move |reading| {
                    let all = leases::reservations(reading);
                    all.into_iter().find(|r| Reservation::key(&r.id) == key).and_then(|r| r.staged)
                })
                .await?;
            let in_force = staged.map_or(in_force, |reason| InForce::Staged { reason });
            Ok(Saved { id, in_force })
        })
    }

    fn unreserve(&self, id: String) -> Answer<'_, Result<Removed<NewReservation>, EditError>> {
        Box::pin(async move {
            let key = Reservation::key(&id);
            let json = self.editable(&key, "The reservation").await?;
            let record: Reservation = parsed(&key, &json)?;
            let Some(mac) = record.mac else {
                return Err(EditError::Locked(
                    "It is for a client identifier: remove it with `lanward` on the host.".into(),
                ));
            };
            let in_force = self.write(vec![(key, None)]).await?;
            let was = NewReservation {
                replaces: None,
                network: record.network.to_string(),
                hw: lanward_dhcp::HwAddr::ethernet(mac.0),
                addr: record.address,
                name: record.name.map(|n| n.to_string()),
                comment: record.comment,
            };
            Ok(Removed { was, in_force })
        })
    }

    fn release(&self, addr: Ipv4Addr) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(async move {
            if !self.parts.control.release(addr).await.map_err(unavailable)? {
                return Err(EditError::NotFound(format!("The lease on {addr}")));
            }
            let partner = self.read(|reading| reading.node.pair().status().partner).await?;
            Ok(match partner {
                None => InForce::Here,
                Some(partner) if partner.connected => InForce::BothHosts,
                Some(partner) => InForce::PartnerLater { partner: partner.name },
            })
        })
    }

    fn lists(&self) -> Answer<'_, Result<Vec<ListRow>, Unavailable>> {
        let statuses = self.parts.lists.statuses();
        Box::pin(self.read(move |reading| lists::rows(reading, &statuses)))
    }

    fn add_list(&self, new: NewList) -> Answer<'_, Result<Saved, EditError>> {
        Box::pin(async move {
            let (records, default) = self
                .read(|reading| (reading.node.records().clone(), lists::effective(reading)))
                .await?;
            let (id, writes) = lists::add(&records, &default, &new)?;
            let written = self.write(writes).await;
            let in_force = written.map_err(|error| lists::at_field(error, "source"))?;
            Ok(Saved { id, in_force })
        })
    }

    fn remove_list(&self, id: String) -> Answer<'_, Result<Removed<NewList>, EditError>> {
        Box::pin(async move {
            self.settle_defaults().await?;
            let key = List::key(&id);
            let json = self.editable(&key, "The list").await?;
            let list: List = parsed(&key, &json)?;
            let records = self.read(|reading| reading.node.records().clone()).await?;
            let (was, writes) = lists::remove(&records, &id, &list)?;
            Ok(Removed { was, in_force: self.write(writes).await? })
        })
    }

    fn set_list_enabled(&self, id: String, on: bool) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(async move {
            self.settle_defaults().await?;
            let key = List::key(&id);
            let json = self.editable(&key, "The list").await?;
            let list: List = parsed(&key, &json)?;
            let list = List { enabled: on, ..list };
            self.write(vec![(key, Some(list.to_json()))]).await
        })
    }

    fn update_list(&self, id: Option<String>) -> Answer<'_, Result<(), EditError>> {
        Box::pin(async move {
            if let Some(id) = &id
                && !self.parts.lists.statuses().iter().any(|l| l.id == *id)
            {
                return Err(EditError::NotFound(format!("The list {id}")));
            }
            self.parts.lists.update_now(id.as_deref());
            Ok(())
        })
    }

    fn accept_held(&self, id: String) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(async move {
            let accepted = self.parts.lists.accept_held(&id).await;
            accepted.map_err(|error| EditError::field("id", error.to_string()))?;
            Ok(InForce::Here)
        })
    }

    fn why(&self, question: WhyQuestion) -> Answer<'_, Result<WhyAnswer, Unavailable>> {
        let filter = self.parts.lists.filter();
        let in_force = self.parts.pauses.borrow().clone();
        Box::pin(self.read(move |reading| {
            let covers = |pause: &&PauseSpec| match question.client {
                Some(client) => pauses::covers(reading, pause, client),
                None => true,
            };
            let paused: Vec<PauseSpec> = in_force.iter().filter(covers).cloned().collect();
            let paused = pauses::views(reading, &paused);
            WhyAnswer { paused, ..lists::why(reading, &filter, &question) }
        }))
    }

    fn queries(&self, question: QueriesQuestion) -> Answer<'_, Result<QueriesAnswer, EditError>> {
        Box::pin(self.history_page(question))
    }

    fn statistics(&self, hours: u32) -> Answer<'_, Result<StatisticsView, EditError>> {
        Box::pin(self.history_statistics(hours))
    }

    fn forget(
        &self,
        order: ForgetOrder,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
    ) -> Answer<'_, Result<Forgotten, EditError>> {
        Box::pin(self.history_forget(order, Span::around(from_ms, to_ms)))
    }

    fn make_rule(&self, new: NewRule) -> Answer<'_, Result<MadeRule, EditError>> {
        Box::pin(Daemon::make_rule(self, new))
    }

    fn pause(&self, new: NewPause) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(self.make_pause(new))
    }

    fn forget_answers(
        &self,
        name: Option<String>,
        below: bool,
    ) -> Answer<'_, Result<usize, EditError>> {
        let answers = &self.parts.answers;
        let forgotten = match name.as_deref().map(str::parse::<lanward_dns::Name>) {
            None => {
                let (all, _) = answers.held();
                answers.clear();
                Ok(all)
            }
            Some(Ok(name)) => Ok(answers.forget(&name, below)),
            Some(Err(why)) => {
                let message =
                    format!("That is not a domain name: {why}. Write it such as cdn.example.com.");
                Err(EditError::field("name", message))
            }
        };
        Box::pin(async { forgotten })
    }

    fn resume(&self, scope: Option<PauseScope>) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(self.end_pauses(scope))
    }

    fn pair_log(&self, limit: usize) -> Answer<'_, Result<Vec<PairEvent>, Unavailable>> {
        let events = self.parts.journal.latest(limit).into_iter();
        let events =
            events.map(|Entry { at, who, what, why, .. }| PairEvent { at, who, what, why });
        let events = events.collect();
        Box::pin(async { Ok(events) })
    }

    fn pair_order(&self, order: PairOrder) -> Answer<'_, Result<(), EditError>> {
        const BY: &str = "the owner";
        Box::pin(async move {
            let pairing = &self.parts.pairing;
            let done = match order {
                PairOrder::Maintenance(on) => pairing.maintenance(on, BY).await,
                PairOrder::PartnerOff => pairing.down(BY).await,
                PairOrder::Remove => pairing.remove(BY, false).await.map(drop),
            };
            done.map_err(|refusal| EditError::Refused(refusal.message))
        })
    }

    fn changes(&self, limit: usize) -> Answer<'_, Result<Vec<ChangeRow>, Unavailable>> {
        Box::pin(self.change_rows(limit))
    }

    fn undo(&self, id: String) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(self.undo_change(id))
    }

    fn collisions(&self) -> Answer<'_, Result<Vec<CollisionRow>, Unavailable>> {
        Box::pin(self.collision_rows())
    }

    fn settle(&self, key: String, value: String) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(self.settle_collision(key, value))
    }

    fn begin_session(&self, id: SessionId) -> Answer<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            let begun = self.session_deed(SessionDeed::Begin(SessionKey(id.0))).await?;
            let nobody = || Unavailable("This household has no owner yet.".to_owned());
            begun.then_some(()).ok_or_else(nobody)
        })
    }

    fn session(&self, id: SessionId, touch: bool) -> Answer<'_, Result<bool, Unavailable>> {
        Box::pin(self.session_deed(SessionDeed::Ask { key: SessionKey(id.0), touch }))
    }

    fn end_session(&self, id: SessionId) -> Answer<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            self.session_deed(SessionDeed::End(SessionKey(id.0))).await?;
            Ok(())
        })
    }

    fn end_all_sessions(&self) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(async move {
            // A session is good only while the owner's record is what it was at the login.
            let hash = self.owner_password_hash().await?;
            let hash = hash.ok_or_else(|| EditError::NotFound("The owner".to_owned()))?;
            self.write_owner(&hash).await
        })
    }

    fn owner_password_hash(&self) -> Answer<'_, Result<Option<String>, Unavailable>> {
        Box::pin(self.read(|reading| {
            let json = reading.node.records().get(OWNER)?;
            let value: Value = serde_json::from_str(json).ok()?;
            value["password"].as_str().map(str::to_owned)
        }))
    }

    fn set_owner_password_hash(&self, phc: String) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(async move { self.write_owner(&phc).await })
    }
}

impl Daemon {
    /// Writes down the lists and policies that are in force by default, before one of them is
    /// changed.
    async fn settle_defaults(&self) -> Result<(), EditError> {
        let (records, in_force) = self
            .read(|reading| (reading.node.records().clone(), lists::effective(reading)))
            .await?;
        let writes = lists::missing_defaults(&records, &in_force);
        if !writes.is_empty() {
            self.write(writes).await?;
        }
        Ok(())
    }

    /// Makes a new certificate authority for both hosts; the error is for people.
    pub async fn new_authority(&self) -> Result<(), String> {
        self.parts.certificates.renew().await.map(drop)
    }

    /// What needs attention on this host alone.
    pub fn host_problem(what: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Warning,
            about: About::Host,
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// An id that both nodes would give the same reservation.
fn reservation_id(new: &NewReservation) -> String {
    let mac: String = new.hw.bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{mac}", new.network)
}

fn reservation(new: &NewReservation) -> Result<Reservation, EditError> {
    let wrong = |field, wrong: crate::settings::fields::Wrong| {
        EditError::field(field, format!("{} {}", wrong.message, wrong.fix).replace('*', ""))
    };
    let mac: [u8; 6] = new.hw.bytes().try_into().map_err(|_| {
        EditError::field("hw", "A reservation is for an Ethernet address of 6 bytes.")
    })?;
    let name = new.name.as_deref().filter(|n| !n.is_empty());
    Ok(Reservation {
        network: Id::parse(&new.network).map_err(|w| wrong("network", w))?,
        mac: Some(Mac(mac)),
        client_id: None,
        address: new.addr,
        name: name.map(Name::parse).transpose().map_err(|w| wrong("name", w))?,
        comment: new.comment.clone().filter(|c| !c.is_empty()),
    })
}
