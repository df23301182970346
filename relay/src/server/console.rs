//! The page where two agents talk, and the tokens for it. In development mode only, which listens on loopback only.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use relay_protocol::address::is_agent;
use serde::{Deserialize, Serialize};

use crate::auth::{RightsClaim, TokenRequest};
use crate::server::ServerState;
use crate::server::rejection::Rejection;

/// Long enough for an afternoon, short enough that the refresh is met in development too.
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);
/// The tenant of the console's agents.
const TENANT: &str = "dev";

const PAGE: &str = include_str!("../../console/index.html");
const SCRIPT: &str = include_str!("../../console/app.js");
const AGENT: &str = include_str!("../../console/agent.js");
const STYLE: &str = include_str!("../../console/style.css");

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// The page.
pub(super) async fn page() -> Response {
    file("text/html; charset=utf-8", PAGE)
}

/// Its script.
pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

/// The part of the script that is an agent.
pub(super) async fn agent() -> Response {
    file("text/javascript; charset=utf-8", AGENT)
}

/// Its style.
pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

/// From `/` to the page.
pub(super) async fn home() -> Redirect {
    Redirect::temporary("/console")
}

/// Which agent a token is wanted for.
#[derive(Deserialize)]
pub(super) struct Wanted {
    agent: String,
}

#[derive(Serialize)]
struct Given {
    token: String,
    agent: String,
    tenant: &'static str,
    expires_in_s: u64,
}

/// A token for an agent of the development tenant that may do everything but administrate.
pub(super) async fn token(State(state): State<Arc<ServerState>>, Query(wanted): Query<Wanted>) -> Response {
    let minter = state.minter.as_ref().filter(|_| is_agent(&wanted.agent));
    let Some(minter) = minter else { return Rejection::InvalidName.into_response() };
    let request = TokenRequest {
        tenant: TENANT.to_owned(),
        agent: wanted.agent.clone(),
        ttl: TOKEN_LIFETIME,
        rights: RightsClaim::everything(),
    };
    match minter.mint(&request, std::time::SystemTime::now()) {
        Ok(token) => {
            let expires_in_s = TOKEN_LIFETIME.as_secs();
            Json(Given { token, agent: wanted.agent, tenant: TENANT, expires_in_s }).into_response()
        }
        Err(_) => Rejection::InvalidName.into_response(),
    }
}
