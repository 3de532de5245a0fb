//! Foreign hosts, foreign origins, and the headers of every answer.

use super::*;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

#[tokio::test]
async fn a_foreign_host_name_is_refused_even_with_a_session() {
    let mut house = House::open(Scene::BothUp).await;
    for path in ["/", "/leases", "/login", "/api/v1/leases", "/nowhere"] {
        for host in ["evil.example", "192.168.10.2.evil.example:8480", "192.168.10.9:8480"] {
            let answer = house.ask(Method::GET, path, &[("host", host)], Body::empty()).await;
            assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}{path}");
            answer.does_not_say("annas-iphone");
        }
    }
    for host in ["lanward.home.arpa", "localhost:8480", "127.0.0.2"] {
        let answer = house.ask(Method::GET, "/login", &[("host", host)], Body::empty()).await;
        assert_ne!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    let answer = house.ask(Method::GET, "/login", &[("host", "")], Body::empty()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "no host at all");
}

#[tokio::test]
async fn a_forged_request_changes_nothing() {
    let mut house = House::open(Scene::BothUp).await;
    let own = format!("http://{HOST}");
    let forged: [&[(&str, &str)]; 5] = [
        &[("origin", "")],
        &[("origin", "null")],
        &[("origin", "http://evil.example")],
        &[("origin", "http://192.168.10.2")],
        &[("origin", &own), ("sec-fetch-site", "cross-site")],
    ];
    for headers in forged {
        for (method, path) in [
            (Method::POST, "/leases/192.168.10.102/release"),
            (Method::POST, "/login"),
            (Method::POST, "/api/v1/leases/192.168.10.102/release"),
            (Method::DELETE, "/api/v1/lists/ads"),
        ] {
            let answer = house.ask(method, path, headers, Body::empty()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
    }
    house.get("/lists").await.says("Ads and trackers");
    let leases = house.get("/api/v1/leases?q=Pixel-8").await.json();
    assert_eq!(leases["leases"][0]["state"], "active");
    let fetched = [("sec-fetch-site", "same-origin")];
    let answer = house.ask(Method::POST, "/api/v1/lists/ads/update", &fetched, Body::empty()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn every_answer_carries_the_policy() {
    let mut house = House::open(Scene::BothUp).await;
    let css = crate::assets::css();
    for path in ["/", "/leases", "/lists", "/why", "/login", "/api/v1/ha", "/nowhere", css] {
        let answer = house.get(path).await;
        assert_eq!(answer.headers["content-security-policy"], POLICY, "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["referrer-policy"], "same-origin", "{path}");
        let cache = answer.headers["cache-control"].to_str().unwrap();
        if path == css {
            assert_eq!(cache, "public, max-age=31536000, immutable");
        } else {
            assert_eq!(cache, "no-store", "{path}");
        }
    }
    let foreign = house.ask(Method::GET, "/", &[("host", "evil.example")], Body::empty()).await;
    assert_eq!(foreign.headers["content-security-policy"], POLICY);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let mut house = House::open(Scene::BothUp).await;
    let huge = "x".repeat(70_000);
    let answer = house.post("/lists", &[("source", &huge)]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = house.json(Method::POST, "/api/v1/lists", &huge).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}
