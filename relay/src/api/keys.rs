//! `/v1/keys`: API keys of programs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::audit::{Act, record};
use crate::api::body::{Body, InPath, InQuery, OfTenant};
use crate::api::caller::Admin;
use crate::api::object::object;
use crate::api::problem::{Problem, Refusals};
use crate::api_keys::{ApiKey, ApiKeyError, ApiKeyRequest, KeyId};
use crate::auth::RightsClaim;

/// What a key is made for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateKey {
    /// The tenant; the caller's own where absent. Another one for operators only.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    tenant: Option<String>,
    /// The agent that its bearer is.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$")]
    agent: String,
    /// What people call it.
    #[serde(default)]
    #[schema(pattern = "^[ -~]{0,64}$")]
    label: String,
    /// What it grants; nothing where absent.
    #[serde(default, deserialize_with = "object")]
    rights: KeyRights,
    /// How long it lives, in seconds.
    #[schema(minimum = 1, maximum = 31_622_400)]
    life_s: u64,
}

/// What a key grants, as the claim `relay` of a token does.
#[derive(Debug, Default, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Rights)]
pub(super) struct KeyRights {
    /// Patterns of the topics it may publish to.
    #[schema(max_items = 256)]
    publish: Vec<String>,
    /// Patterns of the topics it may subscribe to.
    #[schema(max_items = 256)]
    subscribe: Vec<String>,
    /// Addresses it may send to; a trailing `*` stands for any rest.
    #[schema(max_items = 256)]
    send: Vec<String>,
    /// Patterns of the groups it may join.
    #[schema(max_items = 256)]
    join: Vec<String>,
    /// Agents, groups and topics whose presence it may watch, as addresses; a trailing `*` stands for any rest.
    #[schema(max_items = 256)]
    watch: Vec<String>,
    /// Whether it may act on others of its tenant.
    admin: bool,
}

impl From<KeyRights> for RightsClaim {
    fn from(rights: KeyRights) -> RightsClaim {
        let KeyRights { publish, subscribe, send, join, watch, admin } = rights;
        RightsClaim { publish, subscribe, send, join, watch, admin }
    }
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Key {
    /// What it is called by.
    #[schema(pattern = "^[0-9a-f]{24}$")]
    id: String,
    agent: String,
    label: String,
    rights: KeyRights,
    /// When it was made, in seconds of Unix time.
    created_at_s: u64,
    /// When it ends, in seconds of Unix time.
    expires_at_s: u64,
    /// When it was used last, in seconds of Unix time, as of a minute ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at_s: Option<u64>,
}

impl From<ApiKey> for Key {
    fn from(key: ApiKey) -> Key {
        let RightsClaim { publish, subscribe, send, join, watch, admin } = key.rights;
        Key {
            id: key.id.to_string(),
            agent: key.agent,
            label: key.label,
            rights: KeyRights { publish, subscribe, send, join, watch, admin },
            created_at_s: key.created_at_s,
            expires_at_s: key.expires_at_s,
            last_used_at_s: key.last_used_at_s,
        }
    }
}

/// The keys of a tenant: 1,000 at most.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Keys {
    /// The latest first.
    keys: Vec<Key>,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedKey {
    /// The key itself: told here and never again.
    #[schema(example = "ark_…")]
    secret: String,
    key: Key,
}

fn problem(error: ApiKeyError) -> Problem {
    match error {
        ApiKeyError::Full => Problem::full("a tenant has at most 1000 keys").limit("keys"),
        ApiKeyError::Away => Problem::unavailable("the store of keys is away"),
        error => Problem::invalid(error.to_string()),
    }
}

/// The keys of a tenant.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "tokens",
    params(OfTenant),
    responses((status = 200, description = "Its keys", body = Keys), Refusals),
    security(("token" = []))
)]
pub(super) async fn list(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    InQuery(OfTenant { tenant }): InQuery<OfTenant>,
) -> Result<Json<Keys>, Problem> {
    let tenant = admin.tenant(tenant.as_deref())?;
    let keys = api.parts.api_keys.list(&tenant).await.map_err(problem)?;
    Ok(Json(Keys { keys: keys.into_iter().map(Key::from).collect() }))
}

/// Makes a key.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "tokens",
    request_body = CreateKey,
    responses((status = 201, description = "Made", body = CreatedKey), Refusals),
    security(("token" = []))
)]
pub(super) async fn create(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    body: Body<CreateKey>,
) -> Result<(StatusCode, Json<CreatedKey>), Problem> {
    let CreateKey { tenant, agent, label, rights, life_s } = body.value;
    let tenant = admin.tenant(tenant.as_deref())?;
    let (life, rights) = (Duration::from_secs(life_s), rights.into());
    let request = ApiKeyRequest { tenant: tenant.to_string(), agent, label, rights, life };
    let made = api.parts.api_keys.create(request, SystemTime::now()).await.map_err(problem);
    let on = made.as_ref().map_or_else(|_| "key".to_owned(), |(key, _)| format!("key/{}", key.id));
    record(&admin.caller, Act { what: "create_key", tenant: &tenant, on: &on }, &made);
    let (key, secret) = made?;
    let secret = secret.expose_text().to_owned();
    Ok((StatusCode::CREATED, Json(CreatedKey { secret, key: Key::from(key) })))
}

/// Ends a key, and every connection that lives by it, within a second.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    operation_id = "end_key",
    tag = "tokens",
    params(("id" = String, Path, pattern = "^[0-9a-f]{24}$"), OfTenant),
    responses((status = 204, description = "Ended"), Refusals),
    security(("token" = []))
)]
pub(super) async fn end(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    InPath(id): InPath,
    InQuery(OfTenant { tenant }): InQuery<OfTenant>,
) -> Result<StatusCode, Problem> {
    let tenant = admin.tenant(tenant.as_deref())?;
    let id = KeyId::parse(&id).ok_or_else(|| Problem::invalid("id"))?;
    let ended = api.parts.api_keys.revoke(&tenant, &id).await.map_err(problem);
    let ended = ended.and_then(|was| if was { Ok(()) } else { Err(Problem::not_found("no such key")) });
    record(&admin.caller, Act { what: "end_key", tenant: &tenant, on: &format!("key/{id}") }, &ended);
    ended.map(|()| StatusCode::NO_CONTENT)
}
