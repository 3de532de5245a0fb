//! The router as a browser and a script meet it.

#![allow(clippy::disallowed_methods, reason = "tests read the clock")]

mod api;
mod edits;
mod entry;
mod guards;
mod looks;
mod queries;
mod sharing;
mod walk;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::household::{Household, Scene};
use crate::{AuthConfig, ClaimCodes};

const HOST: &str = "192.168.10.2:8480";
const PASSWORD: &str = "correct horse battery";

/// A router with a made-up household behind it, and a browser's cookie before it.
struct House {
    router: Router,
    cookie: Option<String>,
    codes: Arc<Mutex<Vec<String>>>,
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answered {
    fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |v| v.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// Has `text`, as it would stand in HTML.
    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.body.contains(text), "{text:?} is not in\n{}", self.body);
    }

    #[track_caller]
    fn does_not_say(&self, text: &str) {
        assert!(!self.body.contains(text), "{text:?} is in\n{}", self.body);
    }
}

impl House {
    /// A household whose owner's password is [`PASSWORD`], with nobody logged in.
    fn claimed(scene: Scene) -> House {
        House::with(scene, Some(crate::hash_password(PASSWORD).unwrap()))
    }

    /// A household without an owner.
    fn unclaimed() -> House {
        House::with(Scene::Unclaimed, None)
    }

    /// A household whose owner is logged in.
    async fn open(scene: Scene) -> House {
        let mut house = House::claimed(scene);
        let answer = house.post("/login", &[("password", PASSWORD)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        house
    }

    fn with(scene: Scene, phc: Option<String>) -> House {
        let household = Household::new(scene, "2026-11-20T14:03:00Z".parse().unwrap());
        if let Some(phc) = phc {
            household.set_password(phc);
        }
        let codes = Arc::new(Mutex::new(Vec::new()));
        let said = codes.clone();
        let claim =
            Arc::new(ClaimCodes::new(move |code| said.lock().unwrap().push(code.to_owned())));
        let config = AuthConfig {
            names: vec!["lanward.home.arpa".to_owned()],
            addresses: vec!["192.168.10.2".parse().unwrap()],
            claim,
        };
        House { router: crate::router(Arc::new(household), config), cookie: None, codes }
    }

    async fn get(&mut self, path: &str) -> Answered {
        self.ask(Method::GET, path, &[], Body::empty()).await
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answered {
        let encode = crate::format::encode;
        let body: Vec<_> =
            form.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.ask(Method::POST, path, &headers, Body::from(body.join("&"))).await
    }

    async fn json(&mut self, method: Method, path: &str, body: &str) -> Answered {
        let headers = [("content-type", "application/json")];
        self.ask(method, path, &headers, Body::from(body.to_owned())).await
    }

    /// As a browser of this host's own pages would: with its host, origin and cookie.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        let own = [("host", HOST.to_owned()), ("origin", format!("http://{HOST}"))];
        for (name, value) in own {
            if !headers.iter().any(|(n, _)| *n == name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        for value in parts.headers.get_all(header::SET_COOKIE) {
            let pair = value.to_str().unwrap().split(';').next().unwrap().to_owned();
            if pair.starts_with("lanward_session") {
                self.cookie = Some(pair).filter(|p| !p.ends_with('='));
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        Answered {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}
