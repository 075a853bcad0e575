//! The doors of a node, put together.
//!
//! Made once by the binary. [`Doors::router`] answers requests, [`Doors::serve`] takes them from a listener.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware;
use axum::response::Response;
use hookyard_accept::Publisher;
use hookyard_model::{Secret, limits};
use hookyard_ports::{Clock, Metrics, RuleLabel, Store};
use tower_http::cors::{AllowHeaders, AllowMethods, Any, CorsLayer};

use crate::api::reload::Reload;
use crate::auth::Tokens;
use crate::error::{ApiError, Code};
use crate::room::Room;
use crate::{api, health, metrics};

/// What the operator sets about the doors.
#[derive(Debug, Clone)]
pub struct DoorsSettings {
    /// What API tokens are signed with.
    pub jwt_secret: Secret<String>,
    /// Whether `/api/v1` is open.
    pub api_enabled: bool,
    /// Connections at once; the next one waits to be accepted until another ends.
    pub connections: usize,
    /// Reads the configuration file again, where there is one.
    pub reload: Option<Reload>,
    /// What to tell whoever asks for an application that does not exist, by its uid, where there is more to say than that.
    pub hints: BTreeMap<String, String>,
}

impl DoorsSettings {
    /// Settings with this secret, everything else at its default.
    pub fn new(jwt_secret: Secret<String>) -> Self {
        let (connections, hints) = (limits::DOOR_CONNECTIONS, BTreeMap::new());
        Self { jwt_secret, api_enabled: true, connections, reload: None, hints }
    }
}

/// Everything the doors of a node need.
pub struct Doors {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) publisher: Publisher,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tokens: Tokens,
    pub(crate) connections: usize,
    pub(crate) reload: Option<Reload>,
    pub(crate) hints: BTreeMap<String, String>,
    pub(crate) room: Room,
    api_enabled: bool,
}

impl Doors {
    /// Doors that publish through `publisher` and read from `store`.
    pub fn new(
        settings: DoorsSettings,
        store: Arc<dyn Store>,
        publisher: Publisher,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let DoorsSettings { jwt_secret, api_enabled, connections, reload, hints } = settings;
        let (tokens, room) = (Tokens::new(jwt_secret), Room::new());
        Self { store, publisher, clock, metrics, tokens, connections, reload, hints, room, api_enabled }
    }

    /// Everything that is open, as one service. A trailing slash in a path makes no difference.
    pub fn router(self: &Arc<Self>) -> Router {
        let mut router = Router::new().merge(health::routes()).merge(metrics::routes());
        if self.api_enabled {
            let any_origin = CorsLayer::new()
                .allow_origin(Any)
                .allow_methods(AllowMethods::mirror_request())
                .allow_headers(AllowHeaders::mirror_request())
                .max_age(std::time::Duration::from_mins(10));
            // Its own fallback must lie under the layer: a preflight asks with a method that no route has.
            let api = api::routes().method_not_allowed_fallback(method_not_allowed);
            router = router.merge(api.layer(any_origin));
        }
        let router = router
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(unknown_route)
            .layer(middleware::map_response_with_state(Arc::clone(self), count_refusals))
            .with_state(Arc::clone(self));
        // Only a path that nothing matches pays for the second look.
        let stripped = router.clone();
        let second_look = tower::service_fn(move |request| look_again(stripped.clone(), request));
        router.fallback_service(second_look)
    }
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doors").field("api_enabled", &self.api_enabled).finish_non_exhaustive()
    }
}

async fn look_again(router: Router, mut request: Request) -> Result<Response, Infallible> {
    if let Some(uri) = without_trailing_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    tower::ServiceExt::oneshot(router, request).await
}

fn without_trailing_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().ok()?);
    Uri::from_parts(parts).ok()
}

async fn unknown_route(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(128).collect();
    ApiError::not_found(format!("no route `{path}`; the management API begins with `/api/v1/`"))
}

async fn method_not_allowed(request: Request) -> ApiError {
    let detail = format!("`{}` is not a method of this path", request.method());
    ApiError::new(Code::MethodNotAllowed, detail).hint("the `Allow` header of this answer lists its methods")
}

async fn count_refusals(State(doors): State<Arc<Doors>>, response: Response) -> Response {
    if let Some(code) = response.extensions().get::<Code>() {
        doors.metrics.rejected.get_or_create(&RuleLabel { rule: code.as_str().to_owned() }).inc();
    }
    response
}
