//! The JSON API.

use super::*;

#[tokio::test]
async fn reads_have_their_shapes() {
    let mut house = House::open(Scene::PartnerDown).await;
    let status = house.get("/api/v1/status").await.json();
    assert_eq!(status["household"], "Elm Street");
    assert_eq!(status["started"], "2026-11-19T18:51:00Z");
    assert_eq!(status["pair"]["condition"], "partner_down");
    assert_eq!(status["pair"]["partner"]["up"], false);
    assert_eq!(status["dns"]["queries"], 41_203);
    assert_eq!(status["problems"][0]["about"]["kind"], "network");

    let ha = house.get("/api/v1/ha").await.json();
    assert_eq!(ha["headline"], "pi-b down");
    assert_eq!(ha["tone"], "warn");
    assert_eq!(ha["dots"][1]["name"], "pi-b");
    assert_eq!(ha["unsynced"], 12);
    assert_eq!(ha["own"]["state"], "COMMUNICATIONS-INTERRUPTED");

    let networks = house.get("/api/v1/networks").await.json();
    assert_eq!(networks[2]["id"], "iot");
    assert_eq!(networks[2]["pool_size"], 20);
    assert_eq!(house.get("/api/v1/policies").await.json()[0]["id"], "standard");

    let leases = house.get("/api/v1/leases?network=home&sort=-addr&per_page=50").await.json();
    assert_eq!((leases["total"].as_u64(), leases["pages"].as_u64()), (Some(16), Some(1)));
    assert_eq!(leases["leases"][0]["addr"], "192.168.10.118");
    assert_eq!(leases["leases"][0]["state"], "declined");
    assert_eq!(leases["leases"][1]["hw"], "00:22:61:90:4d:1f");

    let why = house.get("/api/v1/why/ads.example.com?policy=kids").await.json();
    assert_eq!(why["policies"].as_array().unwrap().len(), 1);
    assert_eq!(why["policies"][0]["verdict"], "blocked");
    assert_eq!(why["policies"][0]["matches"][0]["decides"], true);
}

#[tokio::test]
async fn edits_answer_where_they_are_in_force() {
    let mut house = House::open(Scene::PartnerDown).await;
    let body =
        r#"{"network":"home","mac":"02:00:5e:10:00:99","addr":"192.168.10.50","name":"cam"}"#;
    let answer = house.json(Method::POST, "/api/v1/reservations", body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let saved = answer.json();
    assert_eq!((&saved["in_force"], &saved["partner"]), (&"partner_later".into(), &"pi-b".into()));
    let id = crate::format::encode(saved["id"].as_str().unwrap());
    let answer = house.json(Method::DELETE, &format!("/api/v1/reservations/{id}"), "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = house.json(Method::DELETE, &format!("/api/v1/reservations/{id}"), "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);

    let answer = house.json(Method::POST, "/api/v1/leases/192.168.10.102/release", "").await;
    assert_eq!(answer.json()["in_force"], "partner_later");

    let answer = house.json(Method::PATCH, "/api/v1/lists/ads", r#"{"enabled":false}"#).await;
    assert_eq!(answer.status, StatusCode::OK);
    let body = r#"{"source":"https://lists.example/b.txt"}"#;
    let answer = house.json(Method::POST, "/api/v1/lists", body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let lists = house.get("/api/v1/lists").await.json();
    assert_eq!(lists[0]["enabled"], false);
    assert_eq!(lists[3]["name"], "b.txt");
    assert_eq!(lists[3]["policies"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn refusals_are_problem_documents_with_fields() {
    let mut house = House::open(Scene::BothUp).await;
    let body = r#"{"network":"home","mac":"zz","addr":"10.0.0.300"}"#;
    let answer = house.json(Method::POST, "/api/v1/reservations", body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem = answer.json();
    assert_eq!((&problem["type"], &problem["status"]), (&"about:blank".into(), &422.into()));
    assert_eq!(problem["errors"][0]["field"], "mac");
    assert_eq!(problem["errors"][1]["field"], "addr");

    for (body, status) in [("{", 400), ("{}", 400), (r#"{"source":"x","wrong":1}"#, 400)] {
        let answer = house.json(Method::POST, "/api/v1/lists", body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let answer = house.post("/api/v1/lists", &[("source", "https://lists.example/")]).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for path in ["/api/v1/nowhere", "/api/v1/why/a..b", "/api"] {
        let answer = house.get(path).await;
        assert!(answer.status.is_client_error(), "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn health_is_told_to_anyone_and_by_the_status_code() {
    for (scene, status, sentence) in [
        (Scene::BothUp, StatusCode::OK, "This host answers DNS.\n"),
        (Scene::Empty, StatusCode::SERVICE_UNAVAILABLE, "This host has just started.\n"),
    ] {
        let mut house = House::open(scene).await;
        house.cookie = None;
        let answer = house.get("/healthz").await;
        assert_eq!((answer.status, &*answer.body), (status, sentence));
    }
}
