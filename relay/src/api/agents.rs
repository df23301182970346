//! `/v1/agents` and `/v1/sessions`: who is connected, and where.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use relay_protocol::address::{agent_of_session, is_agent, is_token_name};
use relay_protocol::limit::CARD_NAME_BYTES_MAX;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::ApiState;
use crate::api::body::{InPath, InQuery, OfTenant};
use crate::api::caller::Admin;
use crate::api::problem::{Problem, Refusals};
use crate::directory;
use crate::directory::Entry;

/// Agents of a page unless another number is asked for.
const PAGE_DEFAULT: usize = 50;
/// The most agents of a page.
const PAGE_MAX: usize = 100;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// The tenant; the caller's own where absent. Another one for operators only.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    tenant: Option<String>,
    /// Only agents after this name: `next` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$")]
    after: Option<String>,
    /// Names to look at.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
    /// Only agents with a session whose card has this skill.
    #[param(pattern = "^[A-Za-z0-9_.:~-]{1,64}$")]
    skill: Option<String>,
    /// Only agents with a session whose card has this name.
    #[param(min_length = 1, max_length = 128)]
    name: Option<String>,
}

impl Page {
    /// Whether an agent is asked for.
    fn wants(&self, sessions: &[Entry]) -> bool {
        let card = |entry: &Entry| {
            let card = entry.about.as_ref().and_then(|about| about.card.as_deref());
            let skilled = self.skill.as_deref().is_none_or(|skill| {
                card.is_some_and(|card| card.skills.iter().any(|known| **known == *skill))
            });
            let named = self
                .name
                .as_deref()
                .is_none_or(|name| card.is_some_and(|card| card.name.as_deref() == Some(name)));
            skilled && named
        };
        sessions.iter().any(card)
    }
}

/// A page of agents.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agents {
    /// Those with sessions, in the order of their names.
    agents: Vec<Agent>,
    /// Where the next page begins; absent at the end. A page may be short, or empty, and have a next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An agent that is connected.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    /// Its name.
    #[schema(example = "bob")]
    agent: String,
    /// Its sessions.
    sessions: Vec<Session>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "as programs read it")]
pub(super) struct Session {
    /// Its name: what stands behind `session/` in its address.
    session: String,
    /// The instance it is on.
    instance: String,
    /// Since when it is connected there, in milliseconds of Unix time; absent where an instance of a former release says
    /// nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
    /// What its agent says of itself, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<Card>,
}

/// What an agent says of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Card {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it can do.
    skills: Vec<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl From<&directory::Card> for Card {
    fn from(card: &directory::Card) -> Card {
        Card {
            name: card.name.as_deref().map(str::to_owned),
            skills: card.skills.iter().map(ToString::to_string).collect(),
            version: card.version.as_deref().map(str::to_owned),
        }
    }
}

impl From<&Entry> for Session {
    fn from(entry: &Entry) -> Session {
        let about = entry.about.as_deref();
        Session {
            session: entry.session.to_string(),
            instance: entry.instance.to_string(),
            since_ms: about.map(|about| about.since_ms),
            card: about.and_then(|about| about.card.as_deref()).map(Card::from),
        }
    }
}

fn agent(name: &str, entries: &[Entry]) -> Agent {
    Agent { agent: name.to_owned(), sessions: entries.iter().map(Session::from).collect() }
}

const AWAY: &str = "the directory is away";

/// The agents of a tenant that are connected, on whatever instance, page by page; all of them, or those with a skill or a
/// name in what they say of themselves.
#[utoipa::path(
    get,
    path = "/v1/agents",
    operation_id = "list_agents",
    tag = "agents",
    params(Page),
    responses((status = 200, description = "A page", body = Agents), Refusals),
    security(("token" = []))
)]
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    InQuery(page): InQuery<Page>,
) -> Result<Json<Agents>, Problem> {
    let tenant = admin.tenant(page.tenant.as_deref())?;
    let limit = page.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::invalid("limit: 1 to 100"));
    }
    if page.after.as_deref().is_some_and(|after| !is_agent(after)) {
        return Err(Problem::invalid("after"));
    }
    if page.skill.as_deref().is_some_and(|skill| !is_token_name(skill)) {
        return Err(Problem::invalid("skill"));
    }
    if page.name.as_deref().is_some_and(|name| !(1..=CARD_NAME_BYTES_MAX).contains(&name.chars().count())) {
        return Err(Problem::invalid("name"));
    }
    let found = api.parts.directory.agents(&tenant, page.after.as_deref(), limit).await;
    let found = found.map_err(|_| Problem::unavailable(AWAY))?;
    let wanted = found.agents.iter().filter(|(_, entries)| page.wants(entries));
    let agents = wanted.map(|(name, entries)| agent(name, entries)).collect();
    Ok(Json(Agents { agents, next: found.next.as_deref().map(str::to_owned) }))
}

/// An agent that is connected.
#[utoipa::path(
    get,
    path = "/v1/agents/{agent}",
    operation_id = "show_agent",
    tag = "agents",
    params(("agent" = String, Path, pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$"), OfTenant),
    responses((status = 200, description = "Its sessions", body = Agent), Refusals),
    security(("token" = []))
)]
pub(super) async fn show(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    InPath(name): InPath,
    InQuery(OfTenant { tenant }): InQuery<OfTenant>,
) -> Result<Json<Agent>, Problem> {
    let tenant = admin.tenant(tenant.as_deref())?;
    if !is_agent(&name) {
        return Err(Problem::invalid("agent"));
    }
    let entries = api.parts.directory.lookup(&tenant, &name).await;
    let entries = entries.map_err(|_| Problem::unavailable(AWAY))?;
    if entries.is_empty() {
        return Err(Problem::not_found("this agent is not connected"));
    }
    Ok(Json(agent(&name, &entries)))
}

/// A session that is connected.
#[utoipa::path(
    get,
    path = "/v1/sessions/{session}",
    operation_id = "show_session",
    tag = "agents",
    params(
        ("session" = String, Path, pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}~[A-Za-z0-9_-]{22}$"),
        OfTenant
    ),
    responses((status = 200, description = "Where it is", body = Session), Refusals),
    security(("token" = []))
)]
pub(super) async fn session(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    InPath(name): InPath,
    InQuery(OfTenant { tenant }): InQuery<OfTenant>,
) -> Result<Json<Session>, Problem> {
    let tenant = admin.tenant(tenant.as_deref())?;
    let agent = agent_of_session(&name).ok_or_else(|| Problem::invalid("session"))?;
    let entries = api.parts.directory.lookup(&tenant, agent).await;
    let entries = entries.map_err(|_| Problem::unavailable(AWAY))?;
    let found = entries.iter().find(|entry| *entry.session == *name);
    found.map(|entry| Json(Session::from(entry))).ok_or(Problem::not_found("this session is not connected"))
}
