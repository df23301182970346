//! Which path leads where. Paths ending in `z` are the platform's on Cloud Run, so there are none.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router as Routes};

use crate::server::headers::secure;
use crate::server::rejection::Rejection;
use crate::server::upgrade::upgrade;
use crate::server::{Peer, ServerState, console, health};

/// Routes of the main listener, those of the HTTP API among them.
pub fn routes(state: Arc<ServerState>, api: Routes) -> Routes {
    let mut routes = Routes::new()
        .route("/ws", any(upgrade))
        .route("/health", get(health::live))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/startup", get(health::startup))
        .route("/ready", get(health::ready));
    if !state.metrics_elsewhere {
        routes = routes.route("/metrics", get(guarded_metrics));
    }
    if state.minter.is_some() {
        routes = routes
            .route("/", get(console::home))
            .route("/console", get(console::page))
            .route("/console/app.js", get(console::script))
            .route("/console/agent.js", get(console::agent))
            .route("/console/style.css", get(console::style))
            .route("/console/token", get(console::token));
    }
    routes.with_state(state).merge(api).layer(middleware::from_fn(secure))
}

/// Routes of the listener for metrics.
pub fn metrics_routes(state: Arc<ServerState>) -> Routes {
    Routes::new().route("/metrics", get(metrics)).with_state(state)
}

async fn guarded_metrics(state: State<Arc<ServerState>>, peer: Option<Extension<Peer>>) -> Response {
    match peer {
        Some(Extension(Peer(address))) if address.ip().is_loopback() => metrics(state).await,
        _ => Rejection::LoopbackOnly.into_response(),
    }
}

async fn metrics(State(state): State<Arc<ServerState>>) -> Response {
    // As the platform counts, so that both show the same.
    state.metrics.observe_process();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], state.metrics.render()).into_response()
}
