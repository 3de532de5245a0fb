//! Claiming, logging in and out.

use super::*;

#[tokio::test]
async fn whoever_has_the_code_claims_the_household_once() {
    let mut house = House::unclaimed();
    assert_eq!(house.get("/leases").await.location(), "/setup");
    let page = house.get("/setup").await;
    assert_eq!(page.status, StatusCode::OK);
    page.says("Claim code");
    let code = house.codes.lock().unwrap().last().cloned().expect("a code was announced");
    page.does_not_say(&code);

    let form = |code: &str, password: &str, again: &str| {
        [("code", code), ("password", password), ("again", again)]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
    };
    let send = async |house: &mut House, form: [(String, String); 3]| {
        let form: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        house.post("/setup", &form).await
    };
    let answer = send(&mut house, form(&code, "short", "short")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer.says("10 characters or more");
    answer.says(&format!("value=\"{code}\""));
    let answer = send(&mut house, form(&code, PASSWORD, "something else")).await;
    answer.says("The two passwords are not the same.");
    let answer = send(&mut house, form("AAAA-AAAA", PASSWORD, PASSWORD)).await;
    answer.says("4 more tries");
    answer.does_not_say(PASSWORD);

    let answer = send(&mut house, form(&code.to_lowercase(), PASSWORD, PASSWORD)).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/"));
    let page = house.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    page.says("This household is yours now.");
    house.get("/").await.does_not_say("yours now");

    house.cookie = None;
    assert_eq!(house.get("/setup").await.location(), "/login");
    let answer = send(&mut house, form(&code, "another password", "another password")).await;
    assert_eq!(answer.location(), "/login", "it has an owner");
    let answer = house.post("/login", &[("password", PASSWORD)]).await;
    assert_eq!(answer.location(), "/");
}

#[tokio::test]
async fn five_wrong_codes_draw_a_new_one_and_then_cost_time() {
    let mut house = House::unclaimed();
    house.get("/setup").await;
    let wrong = [("code", "AAAA-AAAA"), ("password", PASSWORD), ("again", PASSWORD)];
    let mut last = String::new();
    for _ in 0..5 {
        let answer = house.post("/setup", &wrong).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            last = answer.body;
            break;
        }
    }
    assert!(last.contains("Too many wrong codes from this device."), "{last}");
}

#[tokio::test]
async fn the_password_lets_in_and_the_cookie_is_shut_away() {
    let mut house = House::claimed(Scene::BothUp);
    let away = house.get("/leases?network=iot").await;
    assert_eq!(away.location(), "/login?next=%2Fleases%3Fnetwork%3Diot");
    house.get(away.location()).await.says("value=\"/leases?network=iot\"");

    let answer = house.post("/login", &[("password", "correct horse batterz")]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    answer.says("That is not the password.");
    answer.does_not_say("batterz");
    assert!(house.cookie.is_none());

    let answer =
        house.post("/login", &[("password", PASSWORD), ("next", "/leases?network=iot")]).await;
    assert_eq!(answer.location(), "/leases?network=iot");
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("lanward_session_8480="), "{cookie}");
    for part in ["; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(house.get("/leases").await.status, StatusCode::OK);

    let old = house.cookie.clone();
    house.post("/logout", &[]).await;
    assert!(house.cookie.is_none());
    house.cookie = old;
    assert_eq!(house.get("/leases").await.status, StatusCode::SEE_OTHER, "ended on the server");
}

#[tokio::test]
async fn a_new_login_ends_the_session_before() {
    let mut house = House::open(Scene::BothUp).await;
    let first = house.cookie.clone();
    house.post("/login", &[("password", PASSWORD)]).await;
    assert_ne!(house.cookie, first);
    house.cookie = first;
    assert_eq!(house.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn wrong_passwords_cost_growing_time_but_lock_nobody_out() {
    let mut house = House::claimed(Scene::BothUp);
    for _ in 0..4 {
        let answer = house.post("/login", &[("password", "wrong")]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let answer = house.post("/login", &[("password", PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers["retry-after"], "1");
    answer.says("Try again in 1 s.");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let answer = house.post("/login", &[("password", PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn logging_in_never_leads_to_another_site() {
    for next in ["//evil.example", "https://evil.example/", "/\\evil.example"] {
        let mut house = House::claimed(Scene::BothUp);
        let answer = house.post("/login", &[("password", PASSWORD), ("next", next)]).await;
        assert_eq!(answer.location(), "/", "{next}");
        let answer = house.post("/theme", &[("theme", "dark"), ("back", next)]).await;
        assert_eq!(answer.location(), "/", "{next}");
    }
}
