//! `POST /v1/disconnect`: ends connections, wherever they are.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use relay_protocol::address::{agent_of_session, is_agent};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::audit::{Act, record};
use crate::api::body::Body;
use crate::api::caller::Admin;
use crate::api::problem::{Problem, Refusals};
use crate::directory::{DirectoryError, Entry};

/// How long the end of the connections is waited for. A socket that takes nothing ends later, at its write time-out.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whose connections: `agent` or `session`, one of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Disconnect {
    /// The tenant; the caller's own where absent. Another one for operators only.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    tenant: Option<String>,
    /// Every session of this agent.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$")]
    agent: Option<String>,
    /// This session.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}~[A-Za-z0-9_-]{22}$")]
    session: Option<String>,
}

/// What became of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Disconnected {
    /// Sessions that were connected.
    found: usize,
    /// Those that still were two seconds later.
    left: usize,
}

/// Ends the connections of an agent, or of one session, on whatever instance: close 4008, which tells the client not to
/// come back by itself. Whoever has a good token may; revoke it to keep it out.
#[utoipa::path(
    post,
    path = "/v1/disconnect",
    tag = "agents",
    request_body = Disconnect,
    responses((status = 200, description = "They were asked to end", body = Disconnected), Refusals),
    security(("token" = []))
)]
pub(super) async fn disconnect(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    body: Body<Disconnect>,
) -> Result<Json<Disconnected>, Problem> {
    let Disconnect { tenant, agent, session } = body.value;
    let tenant = admin.tenant(tenant.as_deref())?;
    let (agent, session) = match (&agent, &session) {
        (Some(agent), None) if is_agent(agent) => (agent.as_str(), None),
        (None, Some(session)) => {
            let agent = agent_of_session(session).ok_or_else(|| Problem::invalid("session"))?;
            (agent, Some(session.as_str()))
        }
        _ => return Err(Problem::invalid("agent or session, one of them")),
    };
    let done = carry_out(&api, &tenant, agent, session).await;
    let on = session.map_or_else(|| format!("agent/{agent}"), |session| format!("session/{session}"));
    record(&admin.caller, Act { what: "disconnect", tenant: &tenant, on: &on }, &done);
    done.map(Json)
}

async fn carry_out(
    api: &ApiState,
    tenant: &str,
    agent: &str,
    session: Option<&str>,
) -> Result<Disconnected, Problem> {
    let away = |_: DirectoryError| {
        Problem::unavailable("the directory is away; done on this instance only, if at all")
    };
    let meant = |entry: &Entry| session.is_none_or(|session| *entry.session == *session);
    let before = api.parts.directory.lookup(tenant, agent).await;
    if !api.parts.router.disconnect(tenant, agent, session) {
        return Err(Problem::unavailable("the bus is full; done on this instance only"));
    }
    let before: Vec<Entry> = before.map_err(away)?.into_iter().filter(meant).collect();
    let until = Instant::now() + PATIENCE;
    loop {
        let now = api.parts.directory.lookup(tenant, agent).await.map_err(away)?;
        // Who comes back meanwhile has another session.
        let left = before.iter().filter(|entry| now.contains(entry)).count();
        if left == 0 || Instant::now() >= until {
            return Ok(Disconnected { found: before.len(), left });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
