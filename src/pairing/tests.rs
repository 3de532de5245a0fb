use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, channel, unbounded_channel};
use tokio::time::timeout;

use super::*;
use crate::io::link::{End, Link, LinkConfig, LinkEvent};

const WAIT: Duration = Duration::from_secs(30);

/// A node's folder and key.
struct Host {
    dir: TempDir,
    identity: Arc<Identity>,
    own: Introduction,
}

fn host(name: &str) -> Host {
    let dir = tempfile::tempdir().unwrap();
    let identity = Arc::new(Identity::load_or_create(dir.path()).unwrap());
    let addresses = vec![SocketAddr::from((Ipv4Addr::new(127, 0, 0, 12), 8853))];
    Host { dir, identity, own: Introduction { name: name.to_owned(), addresses } }
}

impl Host {
    async fn join(&self, invite: &Invite) -> Result<PairIdentity, JoinError> {
        let text = invite.to_string();
        join(self.dir.path(), &self.identity, &text, &self.own, LinkTimes::default()).await
    }

    fn partner(&self) -> Option<PairIdentity> {
        load(self.dir.path()).unwrap()
    }

    fn link(
        &self,
        end: End,
        partner: Option<Peer>,
    ) -> (Link, tokio::sync::mpsc::Receiver<LinkEvent>) {
        let (sender, events) = channel(16);
        let config = LinkConfig {
            identity: Arc::clone(&self.identity),
            end,
            partner,
            desk: None,
            times: LinkTimes::default(),
        };
        (Link::start(config, sender).unwrap(), events)
    }
}

/// pi-a with its desk, listening.
struct Inviter {
    host: Host,
    desk: Arc<Desk>,
    joined: UnboundedReceiver<Joined>,
    link: Link,
    events: tokio::sync::mpsc::Receiver<LinkEvent>,
}

fn inviter(valid: Duration) -> Inviter {
    let mut host = host("pi-a");
    let (sender, joined) = unbounded_channel();
    let desk = Desk::new(host.dir.path().to_owned(), host.identity.fingerprint(), sender);
    let desk = Arc::new(desk.valid_for(valid));
    let (sender, events) = channel(16);
    let config = LinkConfig {
        identity: Arc::clone(&host.identity),
        end: End::Listen(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]),
        partner: None,
        desk: Some(Arc::clone(&desk) as Arc<dyn crate::io::link::JoinDesk>),
        times: LinkTimes::default(),
    };
    let link = Link::start(config, sender).unwrap();
    host.own.addresses = link.listening().to_vec();
    Inviter { host, desk, joined, link, events }
}

impl Inviter {
    fn invite(&self) -> Invite {
        self.desk.invite(&self.host.own).unwrap()
    }
}

#[tokio::test]
async fn two_nodes_become_a_pair_and_their_link_comes_up() {
    let mut a = inviter(VALID);
    let b = host("pi-b");
    let invite = a.invite();
    let of_b = b.join(&invite).await.unwrap();
    assert_eq!((of_b.rank, of_b.cluster), (Rank::One, invite.cluster));
    assert_eq!(
        (of_b.partner.name.as_str(), of_b.partner.key),
        ("pi-a", a.host.identity.fingerprint())
    );
    assert_eq!(of_b.partner.addresses, a.link.listening());
    assert_eq!(b.partner(), Some(of_b.clone()));

    let Joined(of_a) = timeout(WAIT, a.joined.recv()).await.unwrap().unwrap();
    assert_eq!((of_a.rank, of_a.cluster), (Rank::Zero, invite.cluster));
    assert_eq!((of_a.partner.name.as_str(), of_a.partner.key), ("pi-b", b.identity.fingerprint()));
    assert_eq!(of_a.partner.addresses, b.own.addresses);
    assert_eq!(a.host.partner(), Some(of_a.clone()));

    a.link.set_partner(Some(of_a.partner));
    let (_link, mut events_b) = b.link(End::Dial, Some(of_b.partner));
    for events in [&mut a.events, &mut events_b] {
        let event = timeout(WAIT, events.recv()).await.unwrap();
        assert!(matches!(event, Some(LinkEvent::Up { .. })), "{event:?}");
    }
    let mode = fs::metadata(b.dir.path().join("partner.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_nothing_is_kept() {
    let mut a = inviter(VALID);
    let b = host("pi-b");
    let good = a.invite();
    let mut wrong = good.clone();
    wrong.secret.0[15] ^= 1;
    let error = b.join(&wrong).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the invite has been used or has expired: make a new one with `lanward pair invite` on pi-a"
    );
    assert_eq!((a.host.partner(), b.partner()), (None, None));
    assert!(a.joined.try_recv().is_err());
    // A wrong guess does not use the invite up.
    b.join(&good).await.unwrap();
}

#[tokio::test]
async fn an_expired_invite_is_refused() {
    let a = inviter(Duration::from_millis(50));
    let b = host("pi-b");
    let invite = a.invite();
    tokio::time::sleep(Duration::from_millis(80)).await;
    let error = b.join(&invite).await.unwrap_err();
    assert!(matches!(error, JoinError::NotValid(_)), "{error}");
    assert_eq!((a.host.partner(), b.partner()), (None, None));
}

#[tokio::test]
async fn an_invite_is_good_for_one_node() {
    let a = inviter(VALID);
    let (b, c) = (host("pi-b"), host("pi-c"));
    let invite = a.invite();
    b.join(&invite).await.unwrap();
    let error = c.join(&invite).await.unwrap_err();
    assert!(matches!(error, JoinError::NotValid(_)), "{error}");
    assert_eq!(c.partner(), None);
    assert_eq!(a.host.partner().unwrap().partner.name, "pi-b");
}

#[tokio::test]
async fn of_two_that_join_at_once_one_is_the_partner() {
    let mut a = inviter(VALID);
    let (b, c) = (host("pi-b"), host("pi-c"));
    let invite = a.invite();
    let (of_b, of_c) = tokio::join!(b.join(&invite), c.join(&invite));
    assert_ne!(of_b.is_ok(), of_c.is_ok(), "{of_b:?} {of_c:?}");
    assert_ne!(b.partner().is_some(), c.partner().is_some());
    let winner = if of_b.is_ok() { &b } else { &c };
    assert_eq!(a.host.partner().unwrap().partner.key, winner.identity.fingerprint());
    assert!(a.joined.recv().await.is_some() && a.joined.try_recv().is_err());
}

#[tokio::test]
async fn a_node_whose_answer_was_lost_may_ask_again() {
    let mut a = inviter(VALID);
    let b = host("pi-b");
    let invite = a.invite();
    let first = b.join(&invite).await.unwrap();
    // As if it had stopped before it wrote the answer down.
    fs::remove_file(b.dir.path().join("partner.json")).unwrap();
    assert_eq!(b.join(&invite).await.unwrap(), first);
    assert!(a.joined.recv().await.is_some() && a.joined.try_recv().is_err());
}

#[tokio::test]
async fn without_an_invite_nobody_is_heard() {
    let a = inviter(VALID);
    let b = host("pi-b");
    let invite = a.invite();
    a.desk.withdraw();
    let error = b.join(&invite).await.unwrap_err();
    assert!(matches!(error, JoinError::NotValid(_)), "{error}");
    assert_eq!((a.link.stats().not_invited, a.link.stats().join_requests), (1, 0));
}

#[tokio::test]
async fn a_new_invite_voids_the_one_before() {
    let a = inviter(VALID);
    let b = host("pi-b");
    let (old, new) = (a.invite(), a.invite());
    assert!(matches!(b.join(&old).await, Err(JoinError::NotValid(_))));
    b.join(&new).await.unwrap();
}

#[tokio::test]
async fn another_node_at_the_invites_address_gets_no_secret() {
    let a = inviter(VALID);
    let impostor = inviter(VALID);
    let b = host("pi-b");
    impostor.invite();
    let mut invite = a.invite();
    invite.addresses = impostor.link.listening().to_vec();
    let error = b.join(&invite).await.unwrap_err();
    assert!(matches!(error, JoinError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("is not the node that made the invite"), "{error}");
    assert_eq!(impostor.link.stats().join_requests, 0);
}

#[tokio::test]
async fn the_first_address_that_answers_is_used() {
    let a = inviter(VALID);
    let b = host("pi-b");
    let mut invite = a.invite();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    invite.addresses.insert(0, closed);
    b.join(&invite).await.unwrap();
}

#[tokio::test]
async fn a_node_with_a_partner_neither_joins_nor_invites() {
    let a = inviter(VALID);
    let (b, c) = (host("pi-b"), inviter(VALID));
    b.join(&a.invite()).await.unwrap();
    let error = b.join(&c.invite()).await.unwrap_err();
    assert!(matches!(&error, JoinError::Paired(name) if name == "pi-a"), "{error}");
    let error = a.desk.invite(&a.host.own).unwrap_err();
    assert!(matches!(&error, InviteError::Paired(name) if name == "pi-b"), "{error}");
    // Removed on both sides, they may pair again, also the other way round.
    assert_eq!(unpair(b.dir.path()).unwrap().unwrap().partner.name, "pi-a");
    assert_eq!(unpair(b.dir.path()).unwrap(), None);
    b.join(&c.invite()).await.unwrap();
}

#[tokio::test]
async fn an_own_invite_is_not_joined() {
    let a = inviter(VALID);
    let error = a.host.join(&a.invite()).await.unwrap_err();
    assert!(matches!(error, JoinError::Own), "{error}");
}

#[tokio::test]
async fn a_request_of_garbage_is_refused_with_a_sentence() {
    let a = inviter(VALID);
    let b = host("pi-b");
    let invite = a.invite();
    let garbage = [&b""[..], b"{}", b"\xff\xfe", &[b'['; 16_000]];
    for request in garbage {
        let (addr, times) = (invite.addresses[0], LinkTimes::default());
        let answer = ask_to_join(&b.identity, invite.key, addr, request.to_vec(), times).await;
        let answer = Answer::decode(&answer.unwrap());
        assert!(matches!(answer, Some(Answer::Refused(Refusal::Other(_)))), "{answer:?}");
    }
    b.join(&invite).await.unwrap();
}

#[test]
fn an_invite_reads_back_from_its_text() {
    let invite = Invite {
        name: "pi-ä".to_owned(),
        key: crate::identity::Fingerprint([3; 32]),
        addresses: vec!["10.0.0.2:8853".parse().unwrap(), "[fd00::2]:8853".parse().unwrap()],
        cluster: ClusterId([5; 16]),
        secret: invite::Secret([9; 16]),
    };
    let text = invite.to_string();
    assert!(text.starts_with("lanward1:"), "{text}");
    assert_eq!(text.parse(), Ok(invite.clone()));
    let broken = format!("  {}\n  {} ", &text[..40], text[40..].to_uppercase());
    assert_eq!(broken.parse(), Ok(invite.clone()));
    assert!(!format!("{invite:?}").contains("9, 9"), "the secret is in the debug text");
    for at in 0..text.len() {
        let mut wrong = text.clone().into_bytes();
        wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
        let wrong = String::from_utf8(wrong).unwrap();
        assert!(wrong.parse::<Invite>().is_err(), "{wrong}");
        assert!(text[..at].parse::<Invite>().is_err());
    }
}

#[test]
fn other_texts_are_told_from_damaged_and_newer_invites() {
    let judge = |text: &str| text.parse::<Invite>().unwrap_err();
    assert_eq!(judge(""), NotAnInvite::Other);
    assert_eq!(judge("hello"), NotAnInvite::Other);
    assert_eq!(judge("lanward2:abcdef"), NotAnInvite::Newer);
    assert_eq!(judge("lanward1:"), NotAnInvite::Damaged);
    assert_eq!(judge("lanward1:a1b2!"), NotAnInvite::Damaged);
    assert_eq!(judge(&"lanward1:a".repeat(10_000)), NotAnInvite::Other);
}

#[test]
fn names_from_outside_are_made_fit_to_show() {
    assert_eq!(invite::printable("pi\u{1b}[31m-b\n"), "pi[31m-b");
    assert_eq!(invite::printable(" \t"), "the other node");
    assert!(invite::printable(&"ä".repeat(100)).len() <= invite::MAX_NAME_BYTES);
}

#[test]
fn a_partner_file_that_cannot_be_read_is_an_error_not_a_lone_node() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "{}", "not json", r#"{"version":"v9"}"#] {
        fs::write(dir.path().join("partner.json"), text).unwrap();
        let error = load(dir.path()).unwrap_err();
        assert!(matches!(error, PartnerFileError::Unreadable { .. }), "{error}");
    }
}

#[test]
fn a_host_tells_where_it_can_be_reached() {
    let own: Vec<IpAddr> = ["10.0.0.2", "fd00::2"].map(|addr| addr.parse().unwrap()).to_vec();
    let at = |listening: &str| reachable_at(&[listening.parse().unwrap()], &own);
    assert_eq!(at("0.0.0.0:8853"), ["10.0.0.2:8853".parse().unwrap()]);
    assert_eq!(at("[::]:8853"), ["[fd00::2]:8853".parse().unwrap()]);
    assert_eq!(at("127.0.0.11:8853"), ["127.0.0.11:8853".parse().unwrap()]);
}

#[test]
fn what_a_node_held_is_kept_under_a_name_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("partner.json"), "old").unwrap();
    let (first, second) = (backup_folder(dir.path()).unwrap(), backup_folder(dir.path()).unwrap());
    assert_ne!(first, second);
    assert_eq!(fs::read_to_string(second.join("partner.json")).unwrap(), "old");
    assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn the_partner_is_sought_on_every_network_it_told_of_and_never_on_this_host() {
    let recorded: Vec<SocketAddr> = vec!["10.0.1.3:647".parse().unwrap()];
    let told: Vec<IpAddr> = ["10.0.1.3", "10.0.30.3", "172.17.0.1", "fd00::3"]
        .map(|addr| addr.parse().unwrap())
        .to_vec();
    let own: Vec<IpAddr> = ["10.0.1.2", "172.17.0.1"].map(|addr| addr.parse().unwrap()).to_vec();
    let paths: Vec<String> =
        partner_paths(&recorded, &told, &own).iter().map(ToString::to_string).collect();
    assert_eq!(paths, ["10.0.1.3:647", "10.0.30.3:647", "[fd00::3]:647"]);
    assert!(partner_paths(&[], &told, &own).is_empty());
}
