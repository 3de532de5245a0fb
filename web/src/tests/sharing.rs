//! What both hosts share beyond leases: pauses, the history, collisions, logins.

use super::*;

#[tokio::test]
async fn blocking_is_paused_from_any_page_and_every_page_says_so_until_it_is_resumed() {
    let mut house = House::open(Scene::BothUp).await;
    house.get("/leases").await.says("Blocking: </span>On");
    let form = [("scope", "all"), ("for", "300"), ("back", "/leases")];
    let answer = house.post("/pause", &form).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/leases"));
    for path in ["/", "/leases", "/lists", "/why", "/system"] {
        let page = house.get(path).await;
        page.says("Blocking paused on <b><bdi>all devices</bdi></b>");
        page.says("data-left=\"300\">05:00</span> left");
        page.says("Resume now");
    }
    house.get("/why?name=ads.example.com").await.says("Blocking is paused for all devices");
    let ha = house.get("/api/v1/ha").await.json();
    assert_eq!(
        (&ha["pauses"][0]["scope"], &ha["pauses"][0]["left_secs"]),
        (&"all".into(), &300.into())
    );
    house.post("/resume", &[("scope", "all"), ("back", "/lists")]).await;
    house.get("/").await.does_not_say("Blocking paused on");
}

#[tokio::test]
async fn a_pause_is_for_one_network_or_one_device_or_without_an_end() {
    let mut house = House::open(Scene::BothUp).await;
    house.post("/pause", &[("scope", "network/kids"), ("for", "ever"), ("back", "/")]).await;
    house.post("/pause", &[("scope", "this"), ("for", "tomorrow"), ("back", "/")]).await;
    let page = house.get("/").await;
    page.says("network kids");
    page.says("until somebody turns it on");
    page.says("Partly");
    // The tests' connection has no address.
    page.says("data-pause=\"device/0.0.0.0\"");
    let page = house.get("/leases/192.168.20.102").await;
    page.says("value=\"device/e6:02:bd:71:38:5e\"");
    // What is no scope, no length or no network changes nothing.
    for (scope, length) in [("", "300"), ("all", "0"), ("all", "soon"), ("network/x", "60")] {
        let form = [("scope", scope), ("for", length), ("back", "//evil.example")];
        assert_eq!(house.post("/pause", &form).await.location(), "/");
        house.get("/").await.says("flash bad");
    }
    assert_eq!(house.get("/api/v1/pause").await.json().as_array().unwrap().len(), 2);
    house.post("/resume", &[("back", "/")]).await;
    assert_eq!(house.get("/api/v1/pause").await.json().as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn cached_answers_are_forgotten_from_the_page_and_by_scripts() {
    let mut house = House::open(Scene::BothUp).await;
    house.get("/why?name=cdn.example.com").await.says("Forget cached answers for this name");
    let answer = house.post("/why/forget", &[("name", "cdn.example.com")]).await;
    assert_eq!(answer.location(), "/why?name=cdn.example.com");
    house.get("/why?name=cdn.example.com").await.says("forgot what it had cached");
    let gone = house
        .json(Method::DELETE, "/api/v1/cache?name=cdn.example.com&below=true", "")
        .await
        .json();
    assert_eq!(gone["forgotten"], 12);
    assert_eq!(house.json(Method::DELETE, "/api/v1/cache", "").await.json()["forgotten"], 4103);
    let wrong = house.json(Method::DELETE, "/api/v1/cache?below=perhaps", "").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn scripts_pause_and_resume_too() {
    let mut house = House::open(Scene::BothUp).await;
    let body = r#"{"scope":"network/iot","secs":60}"#;
    let answer = house.json(Method::POST, "/api/v1/pause", body).await;
    assert_eq!(answer.json()["in_force"], "both_hosts");
    house.json(Method::POST, "/api/v1/pause", r#"{"until":"2026-11-20T20:00:00Z"}"#).await;
    let pauses = house.get("/api/v1/pause").await.json();
    assert_eq!(pauses[1]["until"], "2026-11-20T20:00:00Z");
    for bad in [
        r#"{"scope":"nobody"}"#,
        r#"{"secs":5,"until":"2026-11-20T20:00:00Z"}"#,
        r#"{"until":"soon"}"#,
    ] {
        let answer = house.json(Method::POST, "/api/v1/pause", bad).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    house.json(Method::DELETE, "/api/v1/pause?scope=network%2Fiot", "").await;
    assert_eq!(house.get("/api/v1/pause").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_history_says_who_changed_what_and_undoes_it() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/system").await;
    page.says("<bdi>list kids-extra</bdi> changed");
    page.says("<bdi>enabled</bdi>: <bdi>false</bdi> → <bdi>true</bdi>");
    page.says("undoes <a href=\"#change-6c6c6c6c\">");
    page.says("declared in the household file of pi-a");
    page.does_not_say("<img src=x");
    let id = "5b".repeat(32);
    let answer = house.post("/system/undo", &[("change", &id)]).await;
    assert_eq!(answer.location(), "/system");
    house.get("/system").await.says("The change is undone. In force on both hosts.");
    // A second time it is refused, in words.
    house.post("/system/undo", &[("change", &id)]).await;
    house.get("/system").await.says("It cannot be undone: It was undone.");
    let path = format!("/api/v1/changes/{id}/revert");
    assert_eq!(house.json(Method::POST, &path, "").await.status, StatusCode::CONFLICT);
    let changes = house.get("/api/v1/changes?limit=2").await.json();
    assert_eq!(changes.as_array().unwrap().len(), 2);
    assert_eq!(changes[0]["records"][0]["deed"], "changed");
}

#[tokio::test]
async fn two_edits_of_one_record_are_shown_side_by_side_and_settled_by_a_press() {
    let mut house = House::open(Scene::CatchingUp).await;
    house.get("/").await.says("Edited on both hosts");
    let page = house.get("/system").await;
    page.says("192.168.30.21");
    page.says("192.168.30.25");
    page.says("owner on pi-b");
    page.does_not_say("<dt><bdi>network</bdi></dt>");
    let key = "reservation/iot-9c8ecd20517d";
    let answer = house.post("/system/settle", &[("key", key), ("value", "ff")]).await;
    assert_eq!(answer.location(), "/system");
    house.get("/system").await.says("Look at the values again.");
    house.post("/system/settle", &[("key", key), ("value", &"b2".repeat(32))]).await;
    let page = house.get("/system").await;
    page.says("That is settled.");
    page.does_not_say("192.168.30.25");
    assert_eq!(house.get("/api/v1/conflicts").await.json().as_array().unwrap().len(), 1);
    let body = format!(r#"{{"key":"user/owner","value":"{}"}}"#, "c3".repeat(32));
    house.json(Method::POST, "/api/v1/conflicts/settle", &body).await;
    house.get("/system").await.does_not_say("Edited on both hosts");
}

#[tokio::test]
async fn logging_out_everywhere_ends_the_logins_of_other_browsers() {
    let mut house = House::open(Scene::BothUp).await;
    let other = house.cookie.take();
    house.post("/login", &[("password", PASSWORD)]).await;
    let answer = house.post("/logout/everywhere", &[]).await;
    assert_eq!(answer.location(), "/login");
    assert_eq!(house.cookie, None);
    house.cookie = other;
    assert!(house.get("/leases").await.location().starts_with("/login"));
}

#[tokio::test]
async fn what_the_hosts_tell_each_other_of_a_session_does_not_open_the_door() {
    use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
    use sha2::{Digest as _, Sha256};
    let mut house = House::open(Scene::BothUp).await;
    let cookie = house.cookie.clone().unwrap();
    let (name, id) = cookie.split_once('=').unwrap();
    let told = Sha256::digest(id.as_bytes());
    for forged in [BASE64URL_NOPAD.encode(&told), HEXLOWER.encode(&told)] {
        house.cookie = Some(format!("{name}={forged}"));
        assert!(house.get("/leases").await.location().starts_with("/login"));
    }
    house.cookie = Some(cookie);
    assert_eq!(house.get("/leases").await.status, StatusCode::OK);
}
