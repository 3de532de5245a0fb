//! A daemon that answers the command line from a made-up household, through the production
//! protocol, socket and the backend the pages have.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::{Timestamp, ToSpan};
use lanward::admin::{ClaimReply, InviteReply, Reply, Request, answer};
use lanward::io::admin_socket::AdminSocket;
use lanward_dhcp::HwAddr;
use lanward_web::view::*;
use lanward_web::{Answer, Backend, SessionId};

/// A household and what was done to it.
#[derive(Clone)]
pub(crate) struct Household {
    pub(crate) partner_up: bool,
    pub(crate) list_error: Option<String>,
    pub(crate) hostile_name: String,
    pub(crate) done: Arc<Mutex<Vec<String>>>,
}

impl Household {
    pub(crate) fn in_order() -> Household {
        Household {
            partner_up: true,
            list_error: None,
            hostile_name: "camera".to_owned(),
            done: Arc::default(),
        }
    }

    /// Serves it on a socket below `folder`, from a thread that lives as long as the test.
    pub(crate) fn serve(&self, folder: &Path) -> PathBuf {
        let path = folder.join("admin.sock");
        let (backend, at) = (self.clone(), path.clone());
        let (ready, bound) = std::sync::mpsc::channel();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("runtime").block_on(async move {
                let socket = AdminSocket::bind(&at).expect("bind");
                let (send, mut requests) = tokio::sync::mpsc::channel(1);
                tokio::spawn(socket.serve(send));
                ready.send(()).expect("the test waits");
                while let Some((request, reply)) = requests.recv().await {
                    let _ = reply.send(backend.reply(request).await);
                }
            });
        };
        std::thread::Builder::new().spawn(work).expect("thread");
        bound.recv().expect("the daemon is up");
        path
    }

    pub(crate) fn done(&self) -> Vec<String> {
        self.done.lock().expect("lock").clone()
    }

    fn note(&self, what: String) -> InForce {
        self.done.lock().expect("lock").push(what);
        match self.partner_up {
            true => InForce::BothHosts,
            false => InForce::PartnerLater { partner: "pi-b".into() },
        }
    }

    async fn reply(&self, request: Request) -> Reply {
        match answer(self, request).await {
            Ok(reply) => reply,
            Err(Request::PairInvite) => {
                Reply::done(&InviteReply { invite: "lw1-abc".into(), valid_secs: 600 })
            }
            Err(Request::Claim) => Reply::done(&ClaimReply {
                code: Some("7K2M-9QXA".into()),
                url: "http://127.0.0.1:8053/setup".into(),
                valid_secs: Some(1800),
            }),
            Err(Request::Records) => Reply::done(&serde_json::json!({
                "setting/domain": "home.arpa",
                "list/ads": {"builtin": true},
                "rule/old": {"kind": "deny", "name": "old.example"},
                "user/owner": {"secret": "hash"},
            })),
            Err(Request::Edit { writes }) => {
                let line = |w: &lanward::admin::RecordWrite| match &w.value {
                    Some(value) => format!("{}={value}", w.key),
                    None => format!("{} gone", w.key),
                };
                let lines: Vec<String> = writes.iter().map(line).collect();
                Reply::done(&self.note(lines.join("; ")))
            }
            Err(other) => panic!("nobody asks for {other:?}"),
        }
    }
}

fn ago(secs: i64) -> Option<Timestamp> {
    Some(Timestamp::now() - secs.seconds())
}

fn mac() -> HwAddr {
    HwAddr::ethernet([2, 0, 0x5e, 0x10, 0, 1])
}

fn ready<T: Send + 'static>(value: T) -> Answer<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Backend for Household {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn encrypted(&self, _to_trust: bool) -> Answer<'_, Result<EncryptedView, Unavailable>> {
        ready(Ok(EncryptedView {
            name: "dns.home.arpa".into(),
            tls: true,
            https: None,
            quic: true,
            authority: Some(AuthorityView {
                pem: "-----BEGIN CERTIFICATE-----\nTUFERSBVUA==\n-----END CERTIFICATE-----\n"
                    .into(),
                fingerprint: "0B:0B".into(),
                expires: "2036-11-25T12:00:00Z".parse().expect("a date"),
            }),
        }))
    }

    fn status(&self) -> Answer<'_, Result<Status, Unavailable>> {
        let host = |name: &str, up| HostStatus {
            name: name.into(),
            up,
            state: if self.partner_up { "NORMAL" } else { "COMMUNICATIONS-INTERRUPTED" }.into(),
            reason: if self.partner_up { "Both agree." } else { "No answer for 3 s." }.into(),
            since: ago(3700),
            last_heard: None,
            started: ago(7200),
            version: Some("0.1.0".into()),
            address: Some("10.0.10.2".into()),
            url: Some(format!("http://{name}.home.arpa:8053/")),
        };
        let condition = if self.partner_up { Condition::BothUp } else { Condition::PartnerDown };
        ready(Ok(Status {
            household: "Home".into(),
            version: "0.1.0".into(),
            started: ago(7200).expect("time"),
            pair: PairStatus {
                condition,
                since: ago(3700),
                own: host("pi-a", true),
                partner: Some(host("pi-b", self.partner_up)),
                unsynced: if self.partner_up { 0 } else { 12 },
            },
            dns: DnsCounters { queries: 100, blocked: 18, ..DnsCounters::default() },
            blocked_names: 1000,
            service_addresses: vec![ServiceAddress {
                address: [10, 0, 10, 54].into(),
                network: "home".into(),
                home: "pi-b".into(),
                holder: Some(if self.partner_up { "pi-b" } else { "pi-a" }.into()),
                well: self.partner_up,
                why: if self.partner_up {
                    "It is at home on pi-b.".into()
                } else {
                    "pi-b does not answer, so pi-a holds it.".into()
                },
            }],
            upstreams: vec![UpstreamView {
                group: "default".into(),
                server: "tls://9.9.9.9#dns.quad9.net".into(),
                transport: "tls",
                state: "down",
                reason: Some("it does not answer".into()),
                for_secs: Some(90),
                latency_us: Some(14_000),
                asked: 70,
                failed: 3,
                late: 2,
                ignored: 0,
                in_flight: 0,
                latency_sum_us: 900_000,
                latency_buckets: Vec::new(),
            }],
            networks: vec!["home".into(), "iot".into()],
            pauses: Vec::new(),
            collisions: 0,
            problems: Vec::new(),
        }))
    }

    fn health(&self) -> Health {
        if self.partner_up { Health::Answers } else { Health::Silent }
    }

    fn networks(&self) -> Answer<'_, Result<Vec<NetworkView>, Unavailable>> {
        let network = |id: &str, vlan: u8, policy: &str| NetworkView {
            id: id.into(),
            vlan: Some(vlan.into()),
            subnet: format!("10.0.{vlan}.0/24"),
            router: None,
            policy: Some(policy.into()),
            dhcp: true,
            pools: Vec::new(),
            pool_size: 100,
            pool_used: 2,
            active: 2,
            reserved: 0,
            lease_secs: 86_400,
        };
        ready(Ok(vec![network("home", 10, "family"), network("iot", 30, "strict")]))
    }

    fn policies(&self) -> Answer<'_, Result<Vec<PolicyView>, Unavailable>> {
        let policy =
            |id: &str, network: &str| PolicyView { id: id.into(), networks: vec![network.into()] };
        ready(Ok(vec![policy("family", "home"), policy("strict", "iot")]))
    }

    fn names(&self) -> Answer<'_, Result<LocalNames, Unavailable>> {
        let row = |name: &str, rtype: &str, value: &str, source| NameRow {
            name: name.into(),
            rtype: rtype.into(),
            value: value.into(),
            source,
            line: (source == NameSource::HostsFile).then_some(3),
            networks: Vec::new(),
        };
        ready(Ok(LocalNames {
            names: vec![
                row("camera.home.arpa", "A", "10.0.30.20", NameSource::Lease),
                row("nas.home.arpa", "A", "10.0.10.5", NameSource::HostsFile),
                row("nas.home.arpa", "TXT", "evil\u{1b}[2J", NameSource::Record),
            ],
            refused: vec![RefusedName {
                name: "wpad.home.arpa".into(),
                addr: [10, 0, 30, 21].into(),
                why: "programs look for services under that name".into(),
            }],
            mistakes: vec![(4, "x is not an address.".into())],
        }))
    }

    fn leases(&self) -> Answer<'_, Result<Vec<LeaseRow>, Unavailable>> {
        let row = |network: &str, addr: [u8; 4], name: &str| LeaseRow {
            addr: addr.into(),
            network: network.into(),
            state: LeaseState::Active,
            name: Some(name.into()),
            hw: Some(mac()),
            vendor_class: None,
            reserved: None,
            expires: ago(-11_530),
            last_seen: ago(60),
            served_by: Some("pi-a".into()),
        };
        ready(Ok(vec![
            row("iot", [10, 0, 30, 100], &self.hostile_name),
            row("iot", [10, 0, 30, 20], "plug"),
            row("home", [10, 0, 10, 100], "phone"),
        ]))
    }

    fn reservations(&self) -> Answer<'_, Result<Vec<ReservationView>, Unavailable>> {
        ready(Ok(vec![ReservationView {
            id: "r1".into(),
            network: "iot".into(),
            hw: Some(mac()),
            addr: [10, 0, 30, 20].into(),
            name: None,
            comment: None,
            staged: None,
            locked: None,
        }]))
    }

    fn reserve(&self, new: NewReservation) -> Answer<'_, Result<Saved, EditError>> {
        if new.addr == Ipv4Addr::new(10, 0, 30, 21) {
            return ready(Err(EditError::field("addr", "10.0.30.21 is reserved for *plug*.")));
        }
        let name = new.name.unwrap_or_default();
        let what = format!("reserve {} {} {} {name}", new.network, new.hw, new.addr);
        let in_force = self.note(what);
        ready(Ok(Saved { id: "r2".into(), in_force }))
    }

    fn unreserve(&self, id: String) -> Answer<'_, Result<Removed<NewReservation>, EditError>> {
        let in_force = self.note(format!("unreserve {id}"));
        let was = NewReservation {
            replaces: None,
            network: "iot".into(),
            hw: mac(),
            addr: [10, 0, 30, 20].into(),
            name: None,
            comment: None,
        };
        ready(Ok(Removed { was, in_force }))
    }

    fn release(&self, addr: Ipv4Addr) -> Answer<'_, Result<InForce, EditError>> {
        if addr.octets()[2] != 30 {
            return ready(Err(EditError::NotFound(format!("The lease on {addr}"))));
        }
        ready(Ok(self.note(format!("release {addr}"))))
    }

    fn lists(&self) -> Answer<'_, Result<Vec<ListRow>, Unavailable>> {
        ready(Ok(vec![ListRow {
            id: "ads".into(),
            name: "Advertising".into(),
            source: "https://lists.example/ads.txt".into(),
            kind: ListKind::Block,
            enabled: true,
            policies: vec!["family".into()],
            entries: Some(123_456),
            entries_delta: None,
            skipped_lines: Some(3),
            last_success: ago(7300),
            last_attempt: ago(100),
            next_attempt: ago(-100),
            error: self.list_error.clone(),
            held: None,
            activity: ListActivity::Idle,
            locked: None,
        }]))
    }

    fn add_list(&self, new: NewList) -> Answer<'_, Result<Saved, EditError>> {
        let policies = new.policies.join("+");
        let in_force = self.note(format!("add {} {:?} {policies}", new.source, new.kind));
        ready(Ok(Saved { id: "new".into(), in_force }))
    }

    fn remove_list(&self, id: String) -> Answer<'_, Result<Removed<NewList>, EditError>> {
        ready(Err(EditError::Locked(format!("{id} is declared in /etc/lanward/household.toml."))))
    }

    fn set_list_enabled(&self, id: String, on: bool) -> Answer<'_, Result<InForce, EditError>> {
        ready(Ok(self.note(format!("enable {id} {on}"))))
    }

    fn update_list(&self, id: Option<String>) -> Answer<'_, Result<(), EditError>> {
        self.note(format!("update {id:?}"));
        ready(Ok(()))
    }

    fn accept_held(&self, id: String) -> Answer<'_, Result<InForce, EditError>> {
        ready(Ok(self.note(format!("accept {id}"))))
    }

    fn why(&self, question: WhyQuestion) -> Answer<'_, Result<WhyAnswer, Unavailable>> {
        let policies = match question.policy {
            Some(policy) => vec![policy],
            None => vec!["family".into(), "strict".into()],
        };
        let of = |policy: String| WhyPolicy {
            policy,
            networks: vec!["iot".into()],
            verdict: WhyVerdict::Blocked,
            matches: vec![WhyMatch {
                list: "ads".into(),
                list_name: "Advertising".into(),
                rule: "||ads.example^".into(),
                kind: ListKind::Block,
                in_use: true,
                decides: true,
            }],
        };
        ready(Ok(WhyAnswer {
            name: question.name,
            exempt: None,
            paused: Vec::new(),
            policies: policies.into_iter().map(of).collect(),
        }))
    }

    fn queries(&self, question: QueriesQuestion) -> Answer<'_, Result<QueriesAnswer, EditError>> {
        self.note(format!("queries {question:?}"));
        let row = QueryRow {
            at: "2026-11-27T12:00:00.5Z".parse().expect("a time"),
            host: "pi-a".into(),
            client: Some("10.0.30.7".into()),
            device: Some(self.hostile_name.clone()),
            name: Some("x.ads.example".into()),
            qtype: "A".into(),
            verdict: "blocked".into(),
            rcode: "NOERROR".into(),
            transport: "udp".into(),
            dnssec: "unchecked".into(),
            policy: "strict".into(),
            upstream: None,
            rule: Some(QueryRule {
                allowed: false,
                list: "Advertising".into(),
                rule: Some("ads.example".into()),
                target: None,
            }),
            took_ms: None,
        };
        let missing = match self.partner_up {
            true => Vec::new(),
            false => vec!["pi-b is missing: no link to it since 14:03 UTC on 27 November.".into()],
        };
        ready(Ok(QueriesAnswer {
            queries: vec![row],
            next: Some("77".into()),
            newest: "pi-a:78".into(),
            cut: false,
            missing,
            level: "everything".into(),
        }))
    }

    fn statistics(&self, hours: u32) -> Answer<'_, Result<StatisticsView, EditError>> {
        self.note(format!("statistics {hours}"));
        let tally = |name: &str, count| vec![Tally { name: name.into(), count }];
        ready(Ok(StatisticsView {
            queries: 41_203,
            blocked: 7_416,
            verdicts: tally("cached", 20_000),
            domains: tally("www.example", 900),
            blocked_domains: tally("x.ads.example", 300),
            latency_ms: [Some(15.0), Some(50.0), None],
            level: "everything".into(),
            ..StatisticsView::default()
        }))
    }

    fn forget(
        &self,
        order: ForgetOrder,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
    ) -> Answer<'_, Result<Forgotten, EditError>> {
        self.note(format!("forget {order:?} {from_ms:?} {to_ms:?}"));
        let missing = if self.partner_up { Vec::new() } else { vec!["pi-b is missing.".into()] };
        ready(Ok(Forgotten { queries: 12, missing }))
    }

    fn make_rule(&self, new: NewRule) -> Answer<'_, Result<MadeRule, EditError>> {
        let kind = if new.allow { "allow" } else { "deny" };
        let said = format!("{kind} {} for {}", new.name, new.policy);
        Box::pin(async move { Ok(MadeRule { change: None, in_force: self.note(said) }) })
    }

    fn pause(&self, new: NewPause) -> Answer<'_, Result<InForce, EditError>> {
        let length = match new.length {
            PauseLength::For(length) => format!("for {} s", length.as_secs()),
            PauseLength::Until(_) => "until a time".to_owned(),
            PauseLength::UntilResumed => "until resumed".to_owned(),
        };
        Box::pin(async move { Ok(self.note(format!("pause {} {length}", new.scope.key()))) })
    }

    fn forget_answers(
        &self,
        name: Option<String>,
        below: bool,
    ) -> Answer<'_, Result<usize, EditError>> {
        ready(match name.as_deref() {
            None => Ok(7),
            Some("cdn.example.com") => Ok(if below { 3 } else { 1 }),
            Some(_) => Ok(0),
        })
    }

    fn resume(&self, scope: Option<PauseScope>) -> Answer<'_, Result<InForce, EditError>> {
        let scope = scope.map_or_else(|| "everybody".to_owned(), |scope| scope.key());
        Box::pin(async move { Ok(self.note(format!("resume {scope}"))) })
    }

    fn pair_log(
        &self,
        _limit: usize,
    ) -> Answer<'_, Result<Vec<lanward_web::view::PairEvent>, Unavailable>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn pair_order(
        &self,
        _order: lanward_web::view::PairOrder,
    ) -> Answer<'_, Result<(), EditError>> {
        Box::pin(async { Err(EditError::Refused("This host has no partner.".to_owned())) })
    }

    fn changes(&self, limit: usize) -> Answer<'_, Result<Vec<ChangeRow>, Unavailable>> {
        let field = FieldChange {
            field: "enabled".to_owned(),
            before: Some("true".to_owned()),
            after: Some("false".to_owned()),
        };
        let row = |n: &str, minutes: i64, cannot_undo: Option<&str>| ChangeRow {
            id: n.repeat(32),
            at: Timestamp::now() - minutes.minutes(),
            author: "owner".to_owned(),
            host: self.hostile_name.clone(),
            undoes: None,
            records: vec![RecordChange {
                key: "list/ads".to_owned(),
                what: "list ads".to_owned(),
                deed: Deed::Changed,
                fields: vec![field.clone()],
            }],
            cannot_undo: cannot_undo.map(str::to_owned),
        };
        let mut rows = vec![row("ab", 5, None), row("cd", 60, Some("It was undone."))];
        rows.truncate(limit);
        Box::pin(async move { Ok(rows) })
    }

    fn undo(&self, id: String) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(async move {
            if id.starts_with("ab") {
                return Ok(self.note(format!("undo {id}")));
            }
            let why = "It cannot be undone: list/ads was changed again since.";
            Err(EditError::Refused(why.to_owned()))
        })
    }

    fn collisions(&self) -> Answer<'_, Result<Vec<CollisionRow>, Unavailable>> {
        let value = |id: &str, host: &str, name: &str| CollisionValue {
            id: id.repeat(32),
            at: Some(Timestamp::now() - 5.minutes()),
            author: "owner".to_owned(),
            host: host.to_owned(),
            fields: vec![
                ValueField { field: "name".into(), value: name.into(), differs: true },
                ValueField { field: "network".into(), value: "iot".into(), differs: false },
            ],
        };
        let row = CollisionRow {
            key: "reservation/camera".to_owned(),
            what: "reservation camera".to_owned(),
            values: vec![value("a1", "pi-a", "front"), value("b2", "pi-b", "garden")],
        };
        let none = self.list_error.is_none();
        Box::pin(async move { Ok(if none { Vec::new() } else { vec![row] }) })
    }

    fn settle(&self, key: String, value: String) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(async move { Ok(self.note(format!("settle {key} {}", &value[..2]))) })
    }

    // The command line has no sessions.
    fn begin_session(&self, _id: SessionId) -> Answer<'_, Result<(), Unavailable>> {
        Box::pin(async { Err(Unavailable("The command line has no sessions.".to_owned())) })
    }

    fn session(&self, _id: SessionId, _touch: bool) -> Answer<'_, Result<bool, Unavailable>> {
        Box::pin(async { Ok(false) })
    }

    fn end_session(&self, _id: SessionId) -> Answer<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }

    fn end_all_sessions(&self) -> Answer<'_, Result<InForce, EditError>> {
        Box::pin(async { Ok(self.note("end all sessions".to_owned())) })
    }

    fn owner_password_hash(&self) -> Answer<'_, Result<Option<String>, Unavailable>> {
        ready(Ok(None))
    }

    fn set_owner_password_hash(&self, phc: String) -> Answer<'_, Result<InForce, EditError>> {
        ready(Ok(self.note(phc)))
    }
}
