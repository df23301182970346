//! `GET /v1/info`: what this instance is. No secrets, no addresses.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::caller::Caller;
use crate::api::problem::Refusals;

/// An instance.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Info {
    /// Of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Of the protocol that sockets speak.
    protocol: u32,
    /// This instance.
    instance: String,
    /// How long it has been serving, in seconds.
    uptime_s: u64,
    /// What one connection may do.
    limits: InfoLimits,
}

/// What one connection may do, as `welcome` says it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub(super) struct InfoLimits {
    /// Bytes of a payload.
    payload: u64,
    /// Bytes of a WebSocket message.
    message: u64,
    /// Frames of a WebSocket message.
    frames: u64,
    /// Subscriptions.
    subscriptions: u64,
    /// Frames a second.
    rate_messages: u64,
    /// Frames at once.
    rate_burst: u64,
    /// Bytes a second.
    rate_bytes: u64,
}

/// This instance: its version, how long it serves, its limits.
#[utoipa::path(
    get,
    path = "/v1/info",
    tag = "relay",
    responses((status = 200, description = "This instance", body = Info), Refusals),
    security(("token" = []))
)]
pub(super) async fn info(State(api): State<Arc<ApiState>>, _caller: Caller) -> Json<Info> {
    let limits = &api.announced;
    Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        protocol: 1,
        instance: api.parts.router.instance().to_string(),
        uptime_s: api.since.elapsed().as_secs(),
        limits: InfoLimits {
            payload: limits.payload,
            message: limits.message,
            frames: limits.frames,
            subscriptions: limits.subscriptions,
            rate_messages: limits.rate_messages,
            rate_burst: limits.rate_burst,
            rate_bytes: limits.rate_bytes,
        },
    })
}
