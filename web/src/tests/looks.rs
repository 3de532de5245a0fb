//! Every page in every scene: served, well formed, small, and with all foreign text escaped.

use super::*;

const PAGES: [&str; 19] = [
    "/",
    "/leases",
    "/leases?network=guest&sort=-last_seen",
    "/leases?q=nothing-like-that",
    "/names",
    "/queries",
    "/queries?verdict=blocked&not_device=annas-phone",
    "/names?q=printer",
    "/names?q=nothing-like-that",
    "/leases?state=conflicts&page=9&per_page=100",
    "/leases/192.168.10.102",
    "/leases/192.168.10.11",
    "/leases/192.168.40.103",
    "/reservations/new",
    "/lists",
    "/why",
    "/system",
    "/system?changes=all",
    "/why?name=https%3A%2F%2Fads.example.com%2Fx",
];

/// Elements that have no end tag.
const VOID: [&str; 6] = ["meta", "link", "input", "img", "br", "hr"];

/// Every element is closed in its order, no id is there twice, and nothing is inline that the
/// policy forbids.
fn check_html(path: &str, html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    let mut rest = html.strip_prefix("<!doctype html>").expect("a doctype");
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap_or_else(|| panic!("{path}: a tag without end"));
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{path}: </{name}> closes something else");
            continue;
        }
        let name = tag.split([' ', '\n', '/']).next().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "{path}: <{tag}>");
        for (attribute, value) in attributes(tag) {
            assert!(!attribute.starts_with("on"), "{path}: a handler in <{tag}>");
            assert_ne!(attribute, "style", "{path}: an inline style in <{tag}>");
            if attribute == "id" {
                assert!(ids.insert(value.to_owned()), "{path}: id {value} twice");
            }
            if matches!(attribute, "src" | "href" | "action") {
                let own = value.starts_with('/') || value.starts_with('#');
                let partner = value.starts_with("http://pi-b.home.arpa/");
                assert!(own || partner, "{path}: {attribute}={value} leads elsewhere");
            }
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{path}: {open:?} stay open");
    assert_eq!(html.matches("<h1").count(), 1, "{path}: one h1");
    assert_eq!(html.matches("<main").count(), 1, "{path}: one main");
}

fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    tag.split('"').collect::<Vec<_>>().into_iter().array_pairs().filter_map(|(before, value)| {
        let name = before.strip_suffix('=')?.rsplit([' ', '\n']).next()?;
        Some((name, value))
    })
}

/// Pairs of consecutive items.
trait ArrayPairs<'a>: Iterator<Item = &'a str> + Sized {
    fn array_pairs(mut self) -> impl Iterator<Item = (&'a str, &'a str)> {
        std::iter::from_fn(move || Some((self.next()?, self.next()?)))
    }
}

impl<'a, I: Iterator<Item = &'a str>> ArrayPairs<'a> for I {}

#[tokio::test]
async fn every_page_in_every_scene_is_served_and_well_formed() {
    for (word, scene) in Scene::ALL {
        let mut house = House::open(scene).await;
        for path in PAGES {
            let answer = house.get(path).await;
            if scene == Scene::Empty && path.starts_with("/leases/") {
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{word} {path}");
            } else {
                assert_eq!(answer.status, StatusCode::OK, "{word} {path}: {}", answer.body);
                answer.says("pi-a");
                answer.says("data-pair");
            }
            check_html(&format!("{word} {path}"), &answer.body);
        }
    }
    let mut stranger = House::claimed(Scene::BothUp);
    check_html("/login", &stranger.get("/login").await.body);
    check_html("/setup", &House::unclaimed().get("/setup").await.body);
}

#[tokio::test]
async fn what_clients_call_themselves_is_only_ever_text() {
    let mut house = House::open(Scene::BothUp).await;
    for path in ["/leases", "/leases?network=guest", "/leases/192.168.40.103"] {
        let answer = house.get(path).await;
        answer.does_not_say("<img src=x");
        answer.does_not_say("<script>alert");
        answer.says("&#60;img src=x onerror=alert(1)&#62;");
        check_html(path, &answer.body);
    }
    let evil = "\"><img src=x onerror=alert(1)>";
    for path in ["/leases?q=", "/why?name=", "/leases?network=", "/leases?sort=", "/nowhere?"] {
        let answer = house.get(&format!("{path}{}", crate::format::encode(evil))).await;
        answer.does_not_say("<img src=x");
        check_html(path, &answer.body);
    }
    let answer = house.post("/lists", &[("source", evil), ("name", evil)]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer.does_not_say("<img src=x");
    check_html("/lists", &answer.body);
    let source = "https://lists.example/x";
    house.post("/lists", &[("source", source), ("name", evil), ("policies", "kids")]).await;
    let answer = house.get("/lists").await;
    answer.says("&#34;&#62;&#60;img src=x");
    answer.does_not_say("<img src=x");
}

#[tokio::test]
async fn both_hosts_are_named_on_every_page_with_word_and_colour() {
    let expected = [
        (Scene::BothUp, "Both hosts up", "pair ok"),
        (Scene::PartnerDown, "pi-b down", "pair warn"),
        (Scene::Checking, "Checking pi-b", "pair warn"),
        (Scene::CatchingUp, "Catching up 37 %", "pair info"),
        (Scene::Starting, "Starting", "pair info"),
        (Scene::Single, "One host", "pair info"),
    ];
    for (scene, headline, class) in expected {
        let mut house = House::open(scene).await;
        for path in ["/", "/leases", "/lists", "/why"] {
            let answer = house.get(path).await;
            answer.says(&format!("<span data-pair-headline>{headline}</span>"));
            answer.says(&format!("class=\"{class}\""));
            answer.says("data-dot=\"pi-a\"");
            assert_eq!(answer.body.contains("data-dot=\"pi-b\""), scene != Scene::Single);
        }
    }
}

#[tokio::test]
async fn the_banner_says_who_what_and_what_to_do() {
    let mut house = House::open(Scene::PartnerDown).await;
    let page = house.get("/").await;
    page.says("pi-b has not answered since");
    page.says("pi-a answers DNS and DHCP for every network");
    page.says("12 changes wait for pi-b");
    page.says("What to do:");
    House::open(Scene::BothUp).await.get("/").await.does_not_say("What to do:");
}

#[tokio::test]
async fn the_table_says_how_it_is_sorted() {
    let mut house = House::open(Scene::BothUp).await;
    let page = house.get("/leases").await;
    page.says("class=\"c-addr\" aria-sort=\"ascending\"");
    page.says("href=\"/leases?sort=-addr\"");
    let nas = page.body.find("192.168.10.10<").unwrap();
    let iphone = page.body.find("192.168.10.101<").unwrap();
    assert!(nas < iphone);
    let page = house.get("/leases?sort=-addr&network=home").await;
    page.says("class=\"c-addr\" aria-sort=\"descending\"");
    page.says("href=\"/leases?network=home&#38;sort=-name\"".replace("-name", "name").as_str());
    assert!(page.body.find("192.168.10.10<").unwrap() > page.body.find("192.168.10.101<").unwrap());
}

#[tokio::test]
async fn the_first_load_is_within_its_budget() {
    let mut house = House::open(Scene::BothUp).await;
    let mut load = async |path: &str| house.get(path).await.body.len();
    let html = load("/").await;
    let css = load(crate::assets::css()).await;
    let js = load(crate::assets::js()).await;
    assert!(html <= 40 * 1024, "{html}");
    assert!(css <= 25 * 1024, "{css}");
    assert!(js <= 45 * 1024, "{js}");
}

#[tokio::test]
async fn colours_are_chosen_by_cookie_without_script() {
    let mut house = House::claimed(Scene::BothUp);
    house.get("/login").await.says("data-theme=\"auto\"");
    let answer = house.post("/theme", &[("theme", "dark"), ("back", "/login")]).await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("lanward_theme=dark;"), "{cookie}");
    let headers = [("cookie", "lanward_theme=dark")];
    let answer = house.ask(Method::GET, "/login", &headers, Body::empty()).await;
    answer.says("data-theme=\"dark\"");
    let headers = [("cookie", "lanward_theme=\"><script>")];
    let answer = house.ask(Method::GET, "/login", &headers, Body::empty()).await;
    answer.says("data-theme=\"auto\"");
}
