//! What holds for every call: a name, a place among so many at once, a time, a count.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router as Routes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use tokio::time::Instant;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::api::ApiState;
use crate::api::problem::Problem;

/// Longer than anything a call waits for.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// When a call is worth another try that found no place, in milliseconds.
const OVERLOAD_RETRY_MS: u64 = 1_000;
/// How long a browser may remember what a page may ask.
const CORS_MAX_AGE: Duration = Duration::from_mins(10);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a call goes by in its answer and in the audit log. Made here: a caller's own might repeat, or say something.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestId(Arc<str>);

impl RequestId {
    fn random() -> RequestId {
        RequestId(format!("{:032x}", rand::random::<u128>()).into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The routes, each call conducted.
pub(super) fn conducted(
    routes: Routes<Arc<ApiState>>,
    state: Arc<ApiState>,
    origins: Vec<HeaderValue>,
) -> Routes {
    let routes = routes
        .method_not_allowed_fallback(method_not_allowed)
        .route("/v1/{*rest}", any(not_found))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), conduct));
    let routes = if origins.is_empty() {
        routes
    } else {
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, IDEMPOTENCY_KEY])
            .expose_headers([REQUEST_ID, header::RETRY_AFTER])
            .max_age(CORS_MAX_AGE);
        routes.layer(cors)
    };
    routes.with_state(state)
}

async fn conduct(State(api): State<Arc<ApiState>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = RequestId::random();
    let endpoint = request.extensions().get::<MatchedPath>().cloned();
    let method = known(request.method());
    request.extensions_mut().insert(id.clone());
    let mut response = if let Ok(_place) = api.calls.try_acquire() {
        tokio::time::timeout(CALL_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
            Problem::unavailable("the call took too long; what it does may still happen").into_response()
        })
    } else {
        api.parts.metrics.api_overload.increment(1);
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = Problem::new(status, "overload", "too many calls at once");
        problem.retry_after(OVERLOAD_RETRY_MS).into_response()
    };
    let endpoint = endpoint.as_ref().map_or("unknown", MatchedPath::as_str);
    api.parts.metrics.api_call(endpoint, method, response.status().as_u16(), begun.elapsed().as_secs_f64());
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// A method as a metric may be labelled with: a caller can make up any other.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

async fn not_found() -> Problem {
    Problem::not_found("no such path")
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
}
