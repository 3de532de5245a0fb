//! Forms: what they do, what they say, and that they keep what was typed.

use super::*;

/// The token of the "Undo" button on a page.
pub(super) fn undo_token(page: &Answered) -> String {
    let (_, rest) = page.body.split_once("name=\"undo\" value=\"").expect("an undo button");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_lease_becomes_a_reservation_in_two_steps_and_back_in_one() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/leases/192.168.10.102").await;
    for filled in ["value=\"Pixel-8\"", "value=\"192.168.10.102\"", "value=\"7e:10:c4:9a:5d:41\""] {
        page.says(filled);
    }
    page.says("<option value=\"home\" selected>");
    let form = [
        ("from", "192.168.10.102"),
        ("network", "home"),
        ("mac", "7e:10:c4:9a:5d:41"),
        ("addr", "192.168.10.102"),
        ("name", "Pixel-8"),
        ("back", "/leases"),
    ];
    let answer = house.post("/reservations", &form).await;
    assert_eq!(answer.location(), "/leases");
    let page = house.get("/leases").await;
    page.says("192.168.10.102 is reserved for pixel-8. In force on both hosts.");
    let token = undo_token(&page);
    let reserved = house.get("/api/v1/leases?q=192.168.10.102").await.json();
    assert!(reserved["leases"][0]["reserved"]["id"].is_string(), "{reserved}");
    house.get("/leases").await.does_not_say("is reserved for");

    let answer = house.post("/undo", &[("undo", &token), ("back", "/leases")]).await;
    assert_eq!(answer.location(), "/leases");
    house.get("/leases").await.says("Undone.");
    let again = house.get("/api/v1/leases?q=192.168.10.102").await.json();
    assert!(again["leases"][0]["reserved"].is_null(), "{again}");
    house.post("/undo", &[("undo", &token), ("back", "/leases")]).await;
    house.get("/leases").await.says("nothing left to undo");
}

#[tokio::test]
async fn a_wrong_field_is_explained_and_every_value_is_kept() {
    let mut house = House::open(Scene::BothUp).await;
    let form = |addr: &'static str, name: &'static str| {
        [
            ("from", "192.168.10.102"),
            ("network", "home"),
            ("mac", "7e:10:c4:9a:5d"),
            ("addr", addr),
            ("name", name),
            ("comment", "keep <this>"),
        ]
    };
    let page = house.post("/reservations", &form("192.168.10.300", "a b")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.says("“192.168.10.300” is not an IPv4 address: each part goes to 255.");
    page.says("aria-describedby=\"addr-error\" aria-invalid=\"true\"");
    page.says("id=\"addr-error\"");
    page.says("six pairs of digits");
    for kept in ["192.168.10.300", "a b", "7e:10:c4:9a:5d", "keep &#60;this&#62;"] {
        page.says(&format!("value=\"{kept}\""));
    }
    // What only the household can judge comes back to the same place.
    let mut good = form("192.168.30.50", "pixel");
    good[2].1 = "7e:10:c4:9a:5d:41";
    let page = house.post("/reservations", &good).await;
    page.says("192.168.30.50 is outside home 192.168.10.0/24.");
    good[3].1 = "192.168.10.10";
    house.post("/reservations", &good).await.says("192.168.10.10 is reserved for nas.");
    // Without a lease to go back to, the form for a new device comes back.
    good[0].1 = "";
    house.post("/reservations", &good).await.says("<h1>New reservation</h1>");
}

#[tokio::test]
async fn a_reservation_is_changed_and_removed() {
    let mut house = House::open(Scene::PartnerDown).await;
    let form = [
        ("replaces", "reservation/home/10"),
        ("from", "192.168.10.10"),
        ("network", "home"),
        ("mac", "00:11:32:4a:10:01"),
        ("addr", "192.168.10.9"),
        ("name", "nas"),
    ];
    house.post("/reservations", &form).await;
    let page = house.get("/leases").await;
    page.says("192.168.10.9 is reserved for nas. In force here; pi-b gets it when it is back.");
    house.post("/undo", &[("undo", &undo_token(&page)), ("back", "/leases")]).await;
    let all = house.get("/api/v1/reservations").await.json();
    let nas = all.as_array().unwrap().iter().find(|r| r["name"] == "nas").unwrap();
    assert_eq!(nas["addr"], "192.168.10.10");
    assert_eq!(nas["comment"], "Backups run here at 03:00");

    house.post("/reservations/remove", &[("id", "reservation/home/10")]).await;
    let page = house.get("/leases").await;
    page.says("The reservation of 192.168.10.10 is removed.");
    house.post("/undo", &[("undo", &undo_token(&page)), ("back", "/leases")]).await;
    let row = house.get("/api/v1/leases?q=nas").await.json();
    assert!(row["leases"][0]["reserved"]["id"].is_string());
    house.post("/reservations/remove", &[("id", "no such")]).await;
    house.get("/leases").await.says("The reservation is not there any more.");
}

#[tokio::test]
async fn what_a_file_declares_is_shown_locked() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/leases/192.168.10.11").await;
    page.says("Declared in household.toml: change it there.");
    page.does_not_say("action=\"/reservations\"");
}

#[tokio::test]
async fn a_lease_is_released() {
    let mut house = House::open(Scene::BothUp).await;
    let answer = house.post("/leases/192.168.10.102/release", &[]).await;
    assert_eq!(answer.location(), "/leases");
    house.get("/leases").await.says("The lease of 192.168.10.102 is ended.");
    let row = house.get("/api/v1/leases?q=Pixel-8").await.json();
    assert_eq!(row["leases"][0]["state"], "released");
    let answer = house.post("/leases/not-an-address/release", &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_list_is_added_switched_updated_and_removed() {
    let mut house = House::open(Scene::BothUp).await;
    let source = "https://lists.example/new.txt";
    let page = house.post("/lists", &[("source", "lists.example/new.txt")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.says("The address begins with https://");
    page.says("value=\"lists.example/new.txt\"");
    page.says("Choose at least one policy");
    let form = [("source", source), ("policies", "kids"), ("policies", "strict")];
    assert_eq!(house.post("/lists", &form).await.location(), "/lists");
    let page = house.get("/lists").await;
    page.says("new.txt is added and is being fetched. In force on both hosts.");
    page.says("kids, strict");
    page.says("data-updating");
    house.post("/lists", &form).await.says("new.txt has this address already.");

    house.post("/lists/switch", &[("id", "ads"), ("on", "false")]).await;
    let page = house.get("/lists").await;
    page.says("The list is off; its rules stopped.");
    house.post("/undo", &[("undo", &undo_token(&page)), ("back", "/lists")]).await;
    assert_eq!(house.get("/api/v1/lists").await.json()[0]["enabled"], true);

    house.post("/lists/update", &[]).await;
    assert_eq!(house.get("/api/v1/lists").await.json()[1]["activity"], "updating");
    house.post("/lists/accept", &[("id", "kids-extra")]).await;
    assert!(house.get("/api/v1/lists").await.json()[2]["held"].is_null());

    house.post("/lists/remove", &[("id", "malware")]).await;
    let page = house.get("/lists").await;
    page.says("Malware domains is removed.");
    page.does_not_say("list-malware");
    house.post("/undo", &[("undo", &undo_token(&page)), ("back", "/lists")]).await;
    house.get("/lists").await.says("list-malware");
}

#[tokio::test]
async fn a_failing_list_shows_success_attempt_error_and_old_copy_apart() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/lists").await;
    page.says("Old copy in force");
    page.says("404 Not Found from lists.example");
    page.says("1 h 35 min ago");
    page.says("4 d ago");
    page.says("New version held back:");
}

#[tokio::test]
async fn why_names_every_rule_and_the_one_that_decided() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/why?name=https%3A%2F%2Fx.ads.example.com%2Fa").await;
    page.says("x.ads.example.com");
    page.says("Blocked for everyone.");
    page.says("||ads.example.com^");
    page.says("<b>decided</b>");
    page.says("not used");
    house.get("/why?name=rust-lang.org").await.says("Not blocked for anybody.");
    let answer = house.get("/why?name=192.168.10.10").await;
    assert_eq!(answer.location(), "/leases?q=192.168.10.10");
    let page = house.get("/why?name=a..b").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.says("That is not a domain name.");
}
