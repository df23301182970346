//! `POST /v1/revoke`: tokens that are good no longer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::audit::{Act, record};
use crate::api::body::Body;
use crate::api::caller::Admin;
use crate::api::problem::{Problem, Refusals};
use crate::revocation::{Revocation, RevocationError};

/// Which tokens: `agent`, `token_id` or `everyone`, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    /// The tenant; the caller's own where absent. Another one for operators only.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    tenant: Option<String>,
    /// Those of this agent.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$")]
    agent: Option<String>,
    /// The one with this `jti`.
    #[schema(pattern = "^[!-~]{1,128}$")]
    token_id: Option<String>,
    /// All of the tenant.
    #[serde(default)]
    everyone: bool,
    /// Those made up to this second of Unix time, which is not in the future; now where absent. Not with `token_id`.
    issued_before_s: Option<u64>,
}

/// Revokes tokens, on every instance within a second: connections by them are closed with 4006 and none is let in.
#[utoipa::path(
    post,
    path = "/v1/revoke",
    tag = "tokens",
    request_body = Revoke,
    responses((status = 204, description = "In force"), Refusals),
    security(("token" = []))
)]
pub(super) async fn revoke(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    body: Body<Revoke>,
) -> Result<StatusCode, Problem> {
    let Revoke { tenant, agent, token_id, everyone, issued_before_s } = body.value;
    let tenant = admin.tenant(tenant.as_deref())?;
    let now = SystemTime::now();
    let issued_before = match issued_before_s {
        None => now,
        Some(seconds) => SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .filter(|at| *at <= now)
            .ok_or_else(|| Problem::invalid("issued_before_s is in the future"))?,
    };
    let (revocation, on) = match (&agent, &token_id, everyone) {
        (Some(agent), None, false) => {
            (Revocation::of_agent(&tenant, agent, issued_before), format!("agent/{agent}"))
        }
        (None, Some(id), false) if issued_before_s.is_none() && is_token_id(id) => {
            (Revocation::of_token(&tenant, id), "token".to_owned())
        }
        (None, None, true) => (Revocation::of_tenant(&tenant, issued_before), "tenant".to_owned()),
        _ => return Err(Problem::invalid("agent, token_id or everyone, one of them")),
    };
    let revocation = revocation.map_err(|_| Problem::invalid("agent"))?;
    let done = api.parts.revocations.revoke(revocation).await.map_err(|error| match error {
        RevocationError::Away => Problem::unavailable("in force on this instance only, for now"),
        RevocationError::Full => Problem::full("too many revocations are in force").limit("revocations"),
        _ => Problem::invalid("agent"),
    });
    record(&admin.caller, Act { what: "revoke", tenant: &tenant, on: &on }, &done);
    done.map(|()| StatusCode::NO_CONTENT)
}

/// As tokens may have one.
fn is_token_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
