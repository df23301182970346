//! Every refusal before the upgrade, and its HTTP status.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// Not a WebSocket upgrade.
    NotAnUpgrade,
    /// No subprotocol of ours was offered.
    VersionUnsupported,
    /// A page that may not connect.
    OriginForbidden,
    /// No room.
    Overload,
    /// The source address has as many as it may.
    ConnectionLimit,
    /// The instance leaves.
    Drain,
    /// Not for addresses from outside.
    LoopbackOnly,
    /// A name that is none.
    InvalidName,
}

#[derive(Serialize)]
struct Body {
    code: &'static str,
    message: &'static str,
}

impl Rejection {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Rejection::NotAnUpgrade => (
                StatusCode::BAD_REQUEST,
                "upgrade_expected",
                "this path is for WebSocket upgrades, version 13",
            ),
            Rejection::VersionUnsupported => (
                StatusCode::BAD_REQUEST,
                "version_unsupported",
                "offer the subprotocol agent-relay.v1.json or agent-relay.v1.msgpack",
            ),
            Rejection::OriginForbidden => {
                (StatusCode::FORBIDDEN, "origin_forbidden", "pages of this origin may not connect")
            }
            Rejection::Overload => {
                (StatusCode::SERVICE_UNAVAILABLE, "overload", "no room for another connection")
            }
            Rejection::ConnectionLimit => {
                (StatusCode::TOO_MANY_REQUESTS, "connection_limit", "too many connections from this address")
            }
            Rejection::Drain => (StatusCode::SERVICE_UNAVAILABLE, "drain", "this instance leaves"),
            Rejection::LoopbackOnly => (
                StatusCode::FORBIDDEN,
                "loopback_only",
                "set RELAY_METRICS_LISTEN to read this from elsewhere",
            ),
            Rejection::InvalidName => (StatusCode::BAD_REQUEST, "invalid_name", "not the name of an agent"),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        let mut response = (status, Json(Body { code, message })).into_response();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}
