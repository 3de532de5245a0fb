//! The page Queries and its API.

use super::*;
use crate::household::queries::HOSTILE;

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
}
