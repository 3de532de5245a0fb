//! The page Queries and its API.

use super::*;
use crate::household::queries::HOSTILE;
use crate::tests::edits::undo_token;

#[tokio::test]
async fn names_from_the_network_are_text_and_nothing_else() {
    let mut house = House::open(Scene::BothUp).await;
    for path in ["/queries", "/", "/queries?name=%3Cimg&not_device=%3Cb%3E"] {
        let page = house.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        page.does_not_say("<img src=x");
        page.does_not_say("<b>\"");
    }
    let page = house.get("/queries").await;
    assert!(page.body.contains("&#60;img src=x") || page.body.contains("&lt;img src=x"));
    // A name that turns the line around is kept apart from the rest of it.
    assert!(page.body.contains("<bdi>\u{202e}gpj.exe</bdi>"));
    let json = house.get("/api/v1/queries").await;
    assert!(json.body.contains(HOSTILE), "JSON has the name as it is");
}

#[tokio::test]
async fn filters_stand_in_the_address_and_each_can_be_taken_away() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/queries?verdict=blocked&not_device=annas-phone").await;
    let text = page.body;
    assert!(text.contains("metrics.ads.example") && !text.contains("shop.example<"));
    assert!(text.contains("href=\"/queries?not_device=annas-phone\""), "without the first");
    assert!(text.contains("href=\"/queries?verdict=blocked\""), "without the second");
    assert!(
        text.contains("href=\"/queries?verdict=blocked&#38;device=annas-phone\""),
        "the second turned into its opposite"
    );
    assert!(text.contains("Clear 2 filters"));
    assert!(text.contains("aria-current=\"true\">Blocked only"));
}

#[tokio::test]
async fn a_wrong_filter_is_told_and_nothing_is_shown_under_it() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/queries?from=noon").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.body.contains("Write a time such as 2026-11-27T12:00:00Z."));
    let problem = house.get("/api/v1/queries?from=noon").await;
    assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_host_that_is_missing_is_said() {
    let mut house = House::open(Scene::PartnerDown).await;
    let page = house.get("/queries").await;
    assert!(page.body.contains("pi-b is missing: no link to it since"));
    let mut house = House::open(Scene::Empty).await;
    assert!(house.get("/queries").await.body.contains("No queries yet"));
}

#[tokio::test]
async fn statistics_are_told_and_forgetting_needs_json() {
    let mut house = House::open(Scene::BothUp).await;
    let json = house.get("/api/v1/statistics?hours=24").await;
    assert!(json.body.contains("\"queries\":41203"));
    let wrong = house.get("/api/v1/statistics?hours=many").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    for (query, status, queries) in [
        ("", StatusCode::OK, Some(12)),
        ("?from=2026-11-27T12:00:00Z&to=2026-11-27T13:00:00Z", StatusCode::OK, Some(3)),
        ("?from=tea", StatusCode::UNPROCESSABLE_ENTITY, None),
        ("?form=2026-11-27T12:00:00Z", StatusCode::UNPROCESSABLE_ENTITY, None),
    ] {
        let path = format!("/api/v1/queries/forget{query}");
        let answer = house.json(Method::POST, &path, "\"everything\"").await;
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.json()["queries"].as_u64(), queries, "{query}");
    }
}

#[tokio::test]
async fn what_is_blocked_is_allowed_from_its_row_and_that_is_undone() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/queries?verdict=blocked").await;
    page.says(
        "value=\"allow standard metrics.ads.example\"><span>Allow for policy <bdi>standard</bdi>",
    );
    page.says("name=\"back\" value=\"/queries?verdict=blocked\"");
    let form =
        [("rule", "allow standard metrics.ads.example"), ("back", "/queries?verdict=blocked")];
    let answer = house.post("/queries/rule", &form).await;
    assert_eq!(answer.location(), "/queries?verdict=blocked");
    let page = house.get("/queries?verdict=blocked").await;
    page.says("metrics.ads.example and names below it are allowed for the policy standard.");
    page.says("In force on both hosts.");
    let token = undo_token(&page);
    let changes = house.get("/api/v1/changes").await.json();
    assert_eq!(changes[0]["records"][0]["key"], "rule/allow-standard-metrics.ads.example");
    house.post("/undo", &[("undo", &token), ("back", "/queries")]).await;
    house.get("/queries").await.says("Undone.");
    let changes = house.get("/api/v1/changes").await.json();
    assert_eq!(changes[0]["cannot_undo"], "It was undone.");
}

#[tokio::test]
async fn rows_offer_the_opposite_of_what_was_done_and_only_for_names() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/queries").await;
    page.says("value=\"deny standard www.example.org\"><span>Block for policy");
    page.does_not_say("standard printer.home.arpa");
    page.does_not_say(" standard &#60;");
    for nonsense in ["", "allow", "allow x", "drop standard a.example"] {
        let answer = house.post("/queries/rule", &[("rule", nonsense), ("back", "//evil")]).await;
        assert!(!answer.location().contains("evil"), "{nonsense}");
    }
    house.post("/queries/rule", &[("rule", "deny nobody a.example"), ("back", "/queries")]).await;
    house.get("/queries").await.says("There is no policy nobody.");
}

#[tokio::test]
async fn rows_tell_the_second() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/queries").await;
    page.says("data-time=\"precise\">14:02:59</time>");
}

#[tokio::test]
async fn what_the_filters_leave_is_a_file_for_spreadsheets() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/queries?verdict=blocked").await;
    page.says("href=\"/queries.csv?verdict=blocked\" download");
    let file = house.get("/queries.csv?verdict=blocked").await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    let disposition = file.headers["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment;"));
    let lines: Vec<&str> = file.body.lines().collect();
    assert!(lines[0].starts_with("time,host,client,device,name,type,verdict"));
    assert_eq!(
        lines[1],
        "2026-11-20T14:02:58.000Z,pi-a,192.168.30.21,living-room-tv,metrics.ads.example,A,blocked,\
         NOERROR,udp,unchecked,standard,,Advertising,ads.example,,"
    );
    assert!(lines.iter().skip(1).all(|line| line.contains(",blocked,")));
    let wrong = house.get("/queries.csv?from=noon").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_script_makes_a_rule() {
    let mut house = House::open(Scene::BothUp).await;
    let body = r#"{"allow": false, "name": "tiktok.example", "policy": "kids"}"#;
    let made = house.json(Method::POST, "/api/v1/rules", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(made.json()["in_force"], "both_hosts");
    let wrong = house.json(Method::POST, "/api/v1/rules", r#"{"allow": 1}"#).await;
    assert!(wrong.status.is_client_error());
}

#[tokio::test]
async fn upstream_servers_are_told_with_their_times_and_why_one_is_down() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/system").await;
    page.says("id=\"upstreams\"");
    page.says("<bdi>tls://9.9.9.9#dns.quad9.net</bdi><span class=\"sub\">TLS</span>");
    page.says("its certificate is not valid for another 330 days".replacen('i', "I", 1).as_str());
    page.says("≤\u{a0}25\u{a0}ms");
    page.says("group <bdi>kids</bdi>");
    House::open(Scene::Empty).await.get("/system").await.does_not_say("id=\"upstreams\"");
}
