//! The route table, walked: what is open without a session is named here and nowhere else.

use super::*;
use crate::routes::{Access, routes};

/// Everything a stranger may reach.
const OPEN: [(&str, &[&str]); 5] = [
    ("/assets/{file}", &["GET"]),
    // What keepalived and its like ask.
    ("/healthz", &["GET"]),
    ("/setup", &["GET", "POST"]),
    ("/login", &["GET", "POST"]),
    ("/theme", &["POST"]),
];

fn filled(path: &str) -> String {
    path.replace("{addr}", "192.168.10.102").replace("{id}", "ads").replace("{name}", "a.example")
}

#[test]
fn only_the_named_routes_are_open() {
    let open: Vec<_> = routes()
        .iter()
        .filter(|r| r.access == Access::Anyone)
        .map(|r| (r.path, r.methods.iter().map(Method::to_string).collect::<Vec<_>>()))
        .collect();
    let named: Vec<_> = OPEN
        .iter()
        .map(|(path, methods)| (*path, methods.iter().map(|m| (*m).to_owned()).collect()))
        .collect();
    assert_eq!(open, named);
}

#[tokio::test]
async fn no_other_route_does_anything_without_a_session() {
    let all = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let mut house = House::claimed(Scene::BothUp);
    let cookies = [None, Some("lanward_session_8480=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")];
    for route in routes().iter().filter(|r| r.access == Access::Owner) {
        for method in &all {
            for cookie in cookies {
                house.cookie = cookie.map(str::to_owned);
                let path = filled(route.path);
                let answer = house.ask(method.clone(), &path, &[], Body::empty()).await;
                let what = format!("{method} {path}");
                if !route.methods.contains(method) {
                    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{what}");
                } else if path.starts_with("/api/") {
                    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
                    assert_eq!(answer.headers["content-type"], "application/problem+json");
                } else {
                    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{what}");
                    assert!(answer.location().starts_with("/login"), "{what}");
                }
                answer.does_not_say("192.168.10.");
            }
        }
    }
}

#[tokio::test]
async fn every_method_in_the_table_is_served_and_no_other() {
    let mut house = House::open(Scene::BothUp).await;
    for route in routes() {
        let path = filled(route.path);
        let answer = house.ask(Method::PUT, &path, &[], Body::empty()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        for method in route.methods.iter().filter(|_| !route.path.starts_with("/logout")) {
            let answer = house.ask(method.clone(), &path, &[], Body::empty()).await;
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(answer.status.as_u16() < 500, "{method} {path}: {}", answer.status);
        }
    }
}
