//! All routes in one table, each with who may use it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::handler::Handler;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use tower_http::timeout::TimeoutLayer;

use crate::app::{App, AuthConfig, Shared};
use crate::backend::Backend;
use crate::format::encode;
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{api, assets, guard, pages};

/// Largest request body: forms are small.
const BODY: usize = 64 * 1024;
/// A request is answered within this time, its body read.
const ANSWER: Duration = Duration::from_secs(15);

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone who can reach the host.
    Anyone,
    /// The owner, by a session.
    Owner,
}

/// One line of the table.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) methods: Vec<Method>,
    handler: MethodRouter<Shared>,
}

impl Route {
    fn new(path: &'static str, access: Access) -> Route {
        Route { path, access, methods: Vec::new(), handler: MethodRouter::new() }
    }

    fn on<H: Handler<T, Shared>, T: 'static>(mut self, method: Method, handler: H) -> Route {
        let filter = MethodFilter::try_from(method.clone()).expect("a method axum knows");
        self.handler = self.handler.merge(on(filter, handler));
        self.methods.push(method);
        self
    }

    fn get<H: Handler<T, Shared>, T: 'static>(self, handler: H) -> Route {
        self.on(Method::GET, handler)
    }

    fn post<H: Handler<T, Shared>, T: 'static>(self, handler: H) -> Route {
        self.on(Method::POST, handler)
    }
}

/// The whole table.
pub(crate) fn routes() -> Vec<Route> {
    let anyone = |path| Route::new(path, Access::Anyone);
    let owner = |path| Route::new(path, Access::Owner);
    vec![
        anyone("/assets/{file}").get(assets::get),
        anyone("/healthz").get(pages::health),
        anyone("/setup").get(pages::setup_form).post(pages::setup),
        anyone("/login").get(pages::login_form).post(pages::login),
        anyone("/theme").post(pages::theme),
        owner("/logout").post(pages::logout),
        owner("/logout/everywhere").post(pages::logout_everywhere),
        owner("/pause").post(pages::pause),
        owner("/resume").post(pages::resume),
        owner("/system").get(pages::system),
        owner("/system/lanward-ca.crt").get(pages::authority),
        owner("/system/undo").post(pages::undo_change),
        owner("/system/settle").post(pages::settle),
        owner("/system/pair").post(pages::pair_order),
        owner("/").get(pages::overview),
        owner("/leases").get(pages::leases),
        owner("/leases/{addr}").get(pages::device),
        owner("/leases/{addr}/release").post(pages::release),
        owner("/reservations").post(pages::save),
        owner("/reservations/new").get(pages::new_reservation),
        owner("/reservations/remove").post(pages::remove_reservation),
        owner("/names").get(pages::names),
        owner("/lists").get(pages::lists).post(pages::add),
        owner("/lists/remove").post(pages::remove_list),
        owner("/lists/switch").post(pages::switch),
        owner("/lists/update").post(pages::update),
        owner("/lists/accept").post(pages::accept),
        owner("/queries").get(pages::queries),
        owner("/queries.csv").get(pages::queries_csv),
        owner("/queries/rule").post(pages::make_rule),
        owner("/why").get(pages::why),
        owner("/why/forget").post(pages::forget_answers),
        owner("/undo").post(pages::undo),
        owner("/api/v1/status").get(api::status),
        owner("/api/v1/ha").get(api::ha),
        owner("/api/v1/ha/log").get(api::ha_log),
        owner("/api/v1/networks").get(api::networks),
        owner("/api/v1/policies").get(api::policies),
        owner("/api/v1/leases").get(api::leases),
        owner("/api/v1/leases/{addr}/release").post(api::release),
        owner("/api/v1/reservations").get(api::reservations).post(api::reserve),
        owner("/api/v1/reservations/{id}").on(Method::DELETE, api::unreserve),
        owner("/api/v1/names").get(api::names),
        owner("/api/v1/lists").get(api::lists).post(api::add_list),
        owner("/api/v1/lists/update").post(api::update_all),
        owner("/api/v1/lists/{id}")
            .on(Method::PATCH, api::patch_list)
            .on(Method::DELETE, api::remove_list),
        owner("/api/v1/lists/{id}/update").post(api::update_list),
        owner("/api/v1/lists/{id}/accept").post(api::accept_list),
        owner("/api/v1/why/{name}").get(api::why),
        owner("/api/v1/queries").get(api::queries),
        owner("/api/v1/rules").post(api::make_rule),
        owner("/api/v1/queries/forget").post(api::forget_queries),
        owner("/api/v1/statistics").get(api::statistics),
        owner("/api/v1/cache").on(Method::DELETE, api::forget),
        owner("/api/v1/encrypted").get(api::encrypted),
        owner("/api/v1/changes").get(api::changes),
        owner("/api/v1/changes/{id}/revert").post(api::revert),
        owner("/api/v1/conflicts").get(api::conflicts),
        owner("/api/v1/conflicts/settle").post(api::settle),
        owner("/api/v1/pause").get(api::pauses).post(api::pause).on(Method::DELETE, api::resume),
    ]
}

/// The pages and the API of one node. Serve it with [`crate::serve`], which tells it who asks.
pub fn router(backend: Arc<dyn Backend>, config: AuthConfig) -> Router {
    let app: Shared = Arc::new(App::new(backend, config));
    let mut router = Router::new();
    for route in routes() {
        let handler = match route.access {
            Access::Anyone => route.handler,
            Access::Owner => {
                route.handler.route_layer(from_fn_with_state(app.clone(), require_owner))
            }
        };
        router = router.route(route.path, handler);
    }
    router
        .fallback(async |uri: Uri| Refusal::not_found().answer(guard::is_api(uri.path())))
        .method_not_allowed_fallback(async |uri: Uri| {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "That cannot be done here.")
                .answer(guard::is_api(uri.path()))
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER))
        .layer(from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}

/// Lets the owner through. Everybody else is shown where to log in, or told so in JSON.
async fn require_owner(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    request: Request,
    next: Next,
) -> Response {
    if visit.session.is_some() {
        return next.run(request).await;
    }
    if guard::is_api(request.uri().path()) {
        return Refusal::new(StatusCode::UNAUTHORIZED, "This needs a session: log in first.")
            .answer(true);
    }
    match app.backend.owner_password_hash().await {
        Ok(None) => Redirect::to("/setup").into_response(),
        _ if request.method() == Method::GET && visit.here != "/" => {
            Redirect::to(&format!("/login?next={}", encode(&visit.here))).into_response()
        }
        _ => Redirect::to("/login").into_response(),
    }
}

/// The pairs of a query string; none where it cannot be read.
pub(crate) fn query_pairs(query: Option<&str>) -> Vec<(String, String)> {
    let uri = Uri::builder().path_and_query(format!("/?{}", query.unwrap_or_default())).build();
    uri.ok().and_then(|uri| Query::try_from_uri(&uri).ok()).map_or_else(Vec::new, |Query(q)| q)
}
