use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use lanward_dns::Verdict;

use super::*;
use crate::io::fetch::test_server::{Page, Server};
use crate::io::fetch::{Limits, SystemResolver, client_tls};
use crate::settings::effective::{ListSpec, RuleSpec};
use crate::settings::records::{ListKind, RuleKind, Source};

const HOME: PolicyId = PolicyId(0);

/// Every filter that was published.
type Published = Arc<Mutex<Vec<Arc<dyn Filter>>>>;

async fn start(dir: &Path, settings: ListSettings) -> (ListKeeper, Published) {
    let (to_partner, _) = mpsc::channel(1);
    start_with(dir, settings, to_partner).await
}

async fn start_with(
    dir: &Path,
    settings: ListSettings,
    to_partner: mpsc::Sender<Vec<u8>>,
) -> (ListKeeper, Published) {
    let published = Published::default();
    let sink = published.clone();
    let limits = Limits { total: Duration::from_secs(5), ..Limits::default() };
    let config = Config {
        dir: dir.to_owned(),
        fetcher: Fetcher::new(Arc::new(SystemResolver), &client_tls().unwrap(), limits).unwrap(),
        pace: Pace::default(),
        seed: 1,
        publish: Box::new(move |filter, _| sink.lock().unwrap().push(filter)),
        to_partner,
    };
    (ListKeeper::start(config, settings).await.unwrap(), published)
}

fn list(id: &str, source: Source) -> ListSpec {
    ListSpec {
        id: id.into(),
        name: format!("The {id} list").into(),
        source,
        mirrors: Vec::new(),
        kind: ListKind::Block,
        enabled: true,
        allow_private: true,
    }
}

/// One policy that uses every list.
fn settings(lists: Vec<ListSpec>) -> ListSettings {
    let policy_lists = vec![lists.iter().map(|list| list.id.clone()).collect()];
    ListSettings { lists, policy_lists, domain: "home.arpa".into(), ..ListSettings::default() }
}

fn rule(kind: RuleKind, name: &str) -> RuleSpec {
    RuleSpec { id: name.into(), kind, name: name.into(), subdomains: true, policies: vec![HOME] }
}

fn blocks(filter: &dyn Filter, name: &str) -> bool {
    let name = WireName::parse(name).unwrap();
    matches!(filter.verdict(name.as_bytes(), HOME), Verdict::Blocked(_))
}

/// Waits until the only list is idle and as described, and returns its status.
async fn until(keeper: &ListKeeper, wanted: impl Fn(&ListStatus) -> bool) -> ListStatus {
    let mut statuses = keeper.watch_statuses();
    let found =
        statuses.wait_for(|all| all.iter().any(|s| s.activity == Activity::Idle && wanted(s)));
    match tokio::time::timeout(Duration::from_secs(20), found).await {
        Ok(found) => found.unwrap().iter().find(|s| wanted(s)).unwrap().clone(),
        Err(_) => panic!("it stays {:?}", keeper.statuses()),
    }
}

fn text(names: std::ops::Range<u32>) -> String {
    names.map(|n| format!("ads{n}.example\n")).collect()
}

#[tokio::test]
async fn the_built_in_list_filters_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (keeper, published) = start(dir.path(), settings(vec![list("b", Source::Builtin)])).await;
    let first = published.lock().unwrap()[0].clone();
    assert!(blocks(&*first, "ad.doubleclick.net"));
    let status = keeper.statuses()[0].clone();
    assert!(status.entries.unwrap() > 50 && status.next_attempt.is_none(), "{status:?}");
    let why = keeper.explain(&WireName::parse("ad.doubleclick.net").unwrap(), HOME);
    assert_eq!(
        why.to_string(),
        "ad.doubleclick.net is blocked by ||doubleclick.net^ of The b list"
    );
}

#[tokio::test]
async fn a_list_is_fetched_compiled_and_in_force() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text("ads1.example\n||x.example/path^\n").etag("\"1\""));
    let (keeper, _) =
        start(dir.path(), settings(vec![list("a", Source::Url(server.url("/l")))])).await;
    assert!(!blocks(&*keeper.filter(), "ads1.example"));
    let status = until(&keeper, |s| s.entries.is_some()).await;
    assert!(blocks(&*keeper.filter(), "www.ads1.example"));
    assert_eq!((status.entries, status.format), (Some(1), Some("domains")));
    assert_eq!(status.skipped, [("path or URL", 1)]);
    assert_eq!((status.error, status.held), (None, None));
    let (last, next) = (status.last_success.unwrap(), status.next_attempt.unwrap());
    assert!(next.0 > last.0 + 20 * 3600, "{last:?} {next:?}");
}

#[tokio::test]
async fn an_unchanged_list_is_confirmed_without_a_compilation() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..5)).etag("\"1\""));
    let (keeper, published) =
        start(dir.path(), settings(vec![list("a", Source::Url(server.url("/l")))])).await;
    until(&keeper, |s| s.entries == Some(5)).await;
    let before = published.lock().unwrap().len();
    keeper.update_now(Some("a"));
    while server.requests().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until(&keeper, |s| s.last_success.is_some()).await;
    assert!(server.requests()[1].contains("if-none-match: \"1\"\r\n"));
    assert_eq!(published.lock().unwrap().len(), before);
}

#[tokio::test]
async fn an_unreachable_list_keeps_its_old_rules_and_says_why() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..5)));
    let (keeper, _) =
        start(dir.path(), settings(vec![list("a", Source::Url(server.url("/l")))])).await;
    let good = until(&keeper, |s| s.entries == Some(5)).await;
    server.put("/l", Page::status(500));
    keeper.update_now(None);
    let status = until(&keeper, |s| s.error.is_some()).await;
    assert!(status.error.unwrap().contains("the server answered 500"));
    assert_eq!((status.entries, status.last_success), (Some(5), good.last_success));
    assert!(status.next_attempt.unwrap().0 <= status.last_attempt.unwrap().0 + 30);
    assert!(blocks(&*keeper.filter(), "ads4.example"));
}

#[tokio::test]
async fn a_page_instead_of_a_list_is_held() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..5)));
    let (keeper, _) =
        start(dir.path(), settings(vec![list("a", Source::Url(server.url("/l")))])).await;
    until(&keeper, |s| s.entries == Some(5)).await;
    for body in ["<!DOCTYPE html>\n<title>Log in</title>\n", "", "{\"error\": 1}\n"] {
        server.put("/l", Page::text(body));
        keeper.update_now(Some("a"));
        let status = until(&keeper, |s| s.held.is_some()).await;
        assert!(!status.acceptable, "{status:?}");
        assert!(matches!(keeper.accept_held("a").await, Err(AcceptError::NothingHeld)));
        assert!(blocks(&*keeper.filter(), "ads4.example"));
        server.put("/l", Page::text(text(0..5)));
        keeper.update_now(Some("a"));
        until(&keeper, |s| s.held.is_none()).await;
    }
}

#[tokio::test]
async fn a_shrunk_list_is_held_until_it_is_accepted() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..10)));
    let (keeper, _) =
        start(dir.path(), settings(vec![list("a", Source::Url(server.url("/l")))])).await;
    until(&keeper, |s| s.entries == Some(10)).await;
    server.put("/l", Page::text(text(0..4)));
    keeper.update_now(Some("a"));
    let status = until(&keeper, |s| s.held.is_some()).await;
    assert_eq!(status.held.as_deref(), Some("the list shrank from 10 to 4 rules"));
    assert!(status.acceptable && blocks(&*keeper.filter(), "ads9.example"));
    keeper.accept_held("a").await.unwrap();
    let status = until(&keeper, |s| s.entries == Some(4)).await;
    assert_eq!((status.held, status.entries_delta), (None, Some(-6)));
    assert!(!blocks(&*keeper.filter(), "ads9.example"));
    assert!(blocks(&*keeper.filter(), "ads3.example"));
    assert!(matches!(keeper.accept_held("a").await, Err(AcceptError::NothingHeld)));
}

#[tokio::test]
async fn a_restart_filters_from_disk_while_the_server_is_down() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..5)));
    let of = settings(vec![list("a", Source::Url(server.url("/l")))]);
    let (keeper, _) = start(dir.path(), of.clone()).await;
    until(&keeper, |s| s.entries == Some(5)).await;
    drop(keeper);
    drop(server);
    // With the compiled table; and without it, from the copies; and with a damaged one.
    for damage in 0..3 {
        let table = dir.path().join("table.bin");
        match damage {
            0 => {}
            1 => std::fs::remove_file(&table).unwrap(),
            _ => flip_last_byte(&table),
        }
        let (keeper, published) = start(dir.path(), of.clone()).await;
        let first = published.lock().unwrap()[0].clone();
        assert!(blocks(&*first, "ads4.example"), "case {damage}");
        assert_eq!(keeper.statuses()[0].entries, Some(5));
    }
}

#[tokio::test]
async fn a_damaged_copy_is_found_and_fetched_again() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..5)).etag("\"1\""));
    let of = settings(vec![list("a", Source::Url(server.url("/l")))]);
    let (keeper, _) = start(dir.path(), of.clone()).await;
    until(&keeper, |s| s.entries == Some(5)).await;
    drop(keeper);
    for with_table in [true, false] {
        flip_last_byte(&dir.path().join("a.list"));
        if !with_table {
            std::fs::remove_file(dir.path().join("table.bin")).unwrap();
        }
        let asked = server.requests().len();
        let (keeper, published) = start(dir.path(), of.clone()).await;
        assert_eq!(blocks(&*published.lock().unwrap()[0].clone(), "ads4.example"), with_table);
        until(&keeper, |s| s.entries == Some(5) && s.last_success.is_some()).await;
        // In full: what is damaged is not asked about as if it were known.
        while server.requests().len() == asked {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!server.requests()[asked].contains("if-none-match"));
        until(&keeper, |s| s.entries == Some(5)).await;
        assert!(blocks(&*keeper.filter(), "ads4.example"));
        // Compiled, and published a second time: nothing of this keeper reads the copy any more.
        while published.lock().unwrap().len() < 2 || !dir.path().join("table.bin").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn flip_last_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn rules_and_choices_are_in_force_without_a_compilation() {
    let dir = tempfile::tempdir().unwrap();
    let mut of = settings(vec![list("b", Source::Builtin)]);
    let (keeper, published) = start(dir.path(), of.clone()).await;
    let table = keeper.filter().table().clone();
    of.rules =
        vec![rule(RuleKind::Deny, "games.example"), rule(RuleKind::Allow, "doubleclick.net")];
    keeper.set_settings(of.clone());
    wait(|| published.lock().unwrap().len() == 2).await;
    assert!(blocks(&*keeper.filter(), "www.games.example"));
    assert!(!blocks(&*keeper.filter(), "ad.doubleclick.net"));
    of.rules.clear();
    of.lists[0].enabled = false;
    keeper.set_settings(of);
    wait(|| published.lock().unwrap().len() == 3).await;
    assert!(!blocks(&*keeper.filter(), "ad.doubleclick.net"));
    assert!(Arc::ptr_eq(keeper.filter().table(), &table));
}

#[tokio::test]
async fn lists_come_and_go_while_it_runs() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..5)));
    let (keeper, _) = start(dir.path(), settings(vec![list("b", Source::Builtin)])).await;
    keeper.set_settings(settings(vec![
        list("b", Source::Builtin),
        list("a", Source::Url(server.url("/l"))),
    ]));
    until(&keeper, |s| s.id == "a" && s.entries == Some(5)).await;
    assert!(blocks(&*keeper.filter(), "ads4.example"));
    keeper.set_settings(settings(vec![list("b", Source::Builtin)]));
    wait(|| keeper.filter().table().lists().len() == 1).await;
    assert!(!blocks(&*keeper.filter(), "ads4.example"));
    assert!(blocks(&*keeper.filter(), "ad.doubleclick.net"));
}

#[tokio::test]
async fn another_address_for_a_list_is_fetched_at_once_and_may_be_smaller() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/long", Page::text(text(0..100)).etag("\"1\""));
    server.put("/short", Page::text(text(200..203)).etag("\"1\""));
    let (keeper, _) =
        start(dir.path(), settings(vec![list("a", Source::Url(server.url("/long")))])).await;
    until(&keeper, |s| s.entries == Some(100)).await;
    keeper.set_settings(settings(vec![list("a", Source::Url(server.url("/short")))]));
    let status = until(&keeper, |s| s.entries == Some(3)).await;
    assert_eq!((status.error, status.held), (None, None));
    assert!(blocks(&*keeper.filter(), "ads200.example"));
}

#[tokio::test]
async fn a_file_is_read_and_read_again_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.txt");
    std::fs::write(&file, text(0..5)).unwrap();
    let source = Source::File(file.display().to_string());
    let (keeper, _) = start(&dir.path().join("lists"), settings(vec![list("f", source)])).await;
    until(&keeper, |s| s.entries == Some(5)).await;
    std::fs::write(&file, text(0..7)).unwrap();
    keeper.update_now(None);
    let status = until(&keeper, |s| s.entries == Some(7)).await;
    assert_eq!(status.entries_delta, Some(2));
    std::fs::remove_file(&file).unwrap();
    keeper.update_now(None);
    let status = until(&keeper, |s| s.error.is_some()).await;
    assert!(status.error.unwrap().contains("mine.txt: No such file"));
    assert!(blocks(&*keeper.filter(), "ads6.example"));
}

#[tokio::test]
async fn a_private_address_is_refused_unless_the_list_allows_it() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..5)));
    let mut spec = list("a", Source::Url(server.url("/l")));
    spec.allow_private = false;
    let (keeper, _) = start(dir.path(), settings(vec![spec])).await;
    let status = until(&keeper, |s| s.error.is_some()).await;
    assert!(status.error.unwrap().contains("127.0.0.1 is a private address"));
    assert_eq!(server.requests().len(), 0);
}

async fn wait(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), poll).await.expect("in time");
}

/// Keepers of two hosts, each with what it says to the other on its way there.
async fn pair(a: (&Path, ListSettings), b: (&Path, ListSettings)) -> [ListKeeper; 2] {
    let (to_b, mut for_b) = mpsc::channel(16);
    let (to_a, mut for_a) = mpsc::channel(16);
    let (keeper_a, _) = start_with(a.0, a.1, to_b).await;
    let (keeper_b, _) = start_with(b.0, b.1, to_a).await;
    let (a, b) = (keeper_a.clone(), keeper_b.clone());
    tokio::spawn(async move {
        while let Some(message) = for_b.recv().await {
            b.partner_said(message);
        }
    });
    tokio::spawn(async move {
        while let Some(message) = for_a.recv().await {
            a.partner_said(message);
        }
    });
    [keeper_a, keeper_b]
}

#[tokio::test]
async fn a_host_without_internet_has_the_lists_of_the_other() {
    let (here, there, server) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Server::start().await);
    // Several pieces long.
    server.put("/l", Page::text(text(0..40_000)).etag("\"1\""));
    let source = Source::Url(server.url("/l"));
    let first = settings(vec![list("a", source.clone())]);
    let [a, b] = pair((here.path(), first.clone()), (there.path(), settings(Vec::new()))).await;
    until(&a, |s| s.entries.is_some()).await;
    // From here on the publisher is gone, and the other host hears of the list for the first time.
    server.put("/l", Page::status(404));
    b.set_settings(first);
    let failed = until(&b, |s| s.error.is_some()).await;
    assert_eq!(failed.entries, None);
    for keeper in [&a, &b] {
        keeper.partner_link(true);
    }
    let copied = until(&b, |s| s.entries.is_some()).await;
    assert_eq!((copied.entries, copied.error), (Some(40_000), None));
    assert!(blocks(&*b.filter(), "ads39999.example"));
    let read = |dir: &Path| std::fs::read(dir.join("a.list")).unwrap();
    assert_eq!(read(here.path()), read(there.path()), "header and text are the same");
    assert_eq!(copied.last_success, until(&a, |_| true).await.last_success);
}

#[tokio::test]
async fn one_host_fetches_a_new_version_and_the_other_copies_it() {
    let (here, there, server) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Server::start().await);
    server.put("/l", Page::text(text(0..5)).etag("\"1\""));
    let both = settings(vec![list("a", Source::Url(server.url("/l")))]);
    let [a, b] = pair((here.path(), both.clone()), (there.path(), both)).await;
    for keeper in [&a, &b] {
        until(keeper, |s| s.entries == Some(5)).await;
        keeper.partner_link(true);
    }
    // Seconds tell which of two copies is the later one.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let asked = server.requests().len();
    server.put("/l", Page::text(text(0..7)).etag("\"2\""));
    a.update_now(None);
    until(&b, |s| s.entries == Some(7)).await;
    assert!(blocks(&*b.filter(), "ads6.example"));
    assert_eq!(server.requests().len(), asked + 1, "the publisher was asked once");
}
