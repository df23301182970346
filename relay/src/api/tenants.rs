//! `/v1/tenants`: suspension, and limits of a tenant's own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::audit::{Act, record};
use crate::api::body::{Body, InPath};
use crate::api::caller::Admin;
use crate::api::object::object;
use crate::api::problem::{Problem, Refusals};
use crate::config::tenant_limits::TenantLimits;
use crate::tenants::{TenantError, Tenants};

/// How a tenant stands.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "as programs read it")]
pub(super) struct Tenant {
    /// Its name.
    #[schema(example = "acme")]
    tenant: String,
    /// Whether its agents may not connect, nor its programs call.
    suspended: bool,
    /// Those of its limits that differ from the configured ones.
    limits: OwnLimits,
}

/// Limits of a tenant's own. One that is absent is as configured; 0 is no limit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OwnLimits {
    /// Frames a second on each instance; five times that at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_messages: Option<u32>,
    /// Bytes a second on each instance; four times that at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_bytes: Option<u32>,
    /// Connections on each instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u32>,
    /// Subscriptions on each instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions: Option<u32>,
    /// Frames a second on all instances together; five times that at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_messages: Option<u32>,
    /// Bytes a second on all instances together; five times that at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_bytes: Option<u32>,
}

/// What is to change; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeTenant {
    /// Whether its agents may not connect, nor its programs call.
    suspended: Option<bool>,
    /// Its own limits.
    #[serde(default, deserialize_with = "limits")]
    #[schema(nullable = false)]
    limits: Option<ChangeLimits>,
}

/// Limits to change: a number, 0 for no limit, null for the configured one. What is absent stays. A limit of bytes must let
/// a message of full size pass at once.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::option_option, reason = "absent, null or a number")]
pub(super) struct ChangeLimits {
    /// Frames a second on each instance; five times that at once.
    #[serde(deserialize_with = "stated")]
    #[schema(value_type = Option<u32>, maximum = 1_000_000_000)]
    rate_messages: Option<Option<u32>>,
    /// Bytes a second on each instance; four times that at once.
    #[serde(deserialize_with = "stated")]
    #[schema(value_type = Option<u32>, maximum = 1_000_000_000)]
    rate_bytes: Option<Option<u32>>,
    /// Connections on each instance. Those beyond stay, and no further ones come.
    #[serde(deserialize_with = "stated")]
    #[schema(value_type = Option<u32>, maximum = 1_000_000_000)]
    connections: Option<Option<u32>>,
    /// Subscriptions on each instance. Those beyond stay, and no further ones come.
    #[serde(deserialize_with = "stated")]
    #[schema(value_type = Option<u32>, maximum = 1_000_000_000)]
    subscriptions: Option<Option<u32>>,
    /// Frames a second on all instances together; five times that at once.
    #[serde(deserialize_with = "stated")]
    #[schema(value_type = Option<u32>, maximum = 1_000_000_000)]
    quota_messages: Option<Option<u32>>,
    /// Bytes a second on all instances together; five times that at once.
    #[serde(deserialize_with = "stated")]
    #[schema(value_type = Option<u32>, maximum = 1_000_000_000)]
    quota_bytes: Option<Option<u32>>,
}

fn limits<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ChangeLimits>, D::Error> {
    object(from).map(Some)
}

/// Null is something that is said too.
#[expect(clippy::option_option, reason = "absent, null or a number")]
fn stated<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl ChangeLimits {
    /// The limits of a tenant that had these.
    fn over(&self, known: TenantLimits) -> TenantLimits {
        TenantLimits {
            rate_messages: self.rate_messages.unwrap_or(known.rate_messages),
            rate_bytes: self.rate_bytes.unwrap_or(known.rate_bytes),
            connections: self.connections.unwrap_or(known.connections),
            subscriptions: self.subscriptions.unwrap_or(known.subscriptions),
            quota_messages: self.quota_messages.unwrap_or(known.quota_messages),
            quota_bytes: self.quota_bytes.unwrap_or(known.quota_bytes),
        }
    }
}

fn standing(tenants: &Tenants, tenant: &str) -> Tenant {
    let limits = tenants.limits(tenant);
    Tenant {
        tenant: tenant.to_owned(),
        suspended: tenants.is_suspended(tenant),
        limits: OwnLimits {
            rate_messages: limits.rate_messages,
            rate_bytes: limits.rate_bytes,
            connections: limits.connections,
            subscriptions: limits.subscriptions,
            quota_messages: limits.quota_messages,
            quota_bytes: limits.quota_bytes,
        },
    }
}

/// A tenant.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}",
    operation_id = "show_tenant",
    tag = "tenants",
    params(("tenant" = String, Path, pattern = "^[A-Za-z0-9_-]{1,64}$")),
    responses((status = 200, description = "How it stands", body = Tenant), Refusals),
    security(("token" = []))
)]
pub(super) async fn show(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    InPath(name): InPath,
) -> Result<Json<Tenant>, Problem> {
    let tenant = admin.tenant(Some(&name))?;
    Ok(Json(standing(&api.parts.tenants, &tenant)))
}

/// Suspends a tenant or lifts that, and gives it limits of its own, on every instance within a second. The connections of a
/// suspended one are closed with 4007, and neither connections nor calls are let in. Limits hold for connections that are
/// there too. For operators only; their own tenant cannot be suspended, as nobody could lift that.
#[utoipa::path(
    patch,
    path = "/v1/tenants/{tenant}",
    operation_id = "change_tenant",
    tag = "tenants",
    params(("tenant" = String, Path, pattern = "^[A-Za-z0-9_-]{1,64}$")),
    request_body = ChangeTenant,
    responses((status = 200, description = "In force", body = Tenant), Refusals),
    security(("token" = []))
)]
pub(super) async fn change(
    State(api): State<Arc<ApiState>>,
    admin: Admin,
    InPath(name): InPath,
    body: Body<ChangeTenant>,
) -> Result<Json<Tenant>, Problem> {
    if !admin.is_operator() {
        return Err(Problem::forbidden("for operators only"));
    }
    let tenant = admin.tenant(Some(&name))?;
    let tenants = &api.parts.tenants;
    let own = body.value.limits.map(|limits| limits.over(tenants.limits(&tenant)));
    // Before anything is done: a call is carried out or refused as a whole.
    if let Some(name) = own.and_then(|own| own.impossible(api.limits.message_bytes())) {
        return Err(Problem::invalid(format!("{name} is too high, or lets no message of full size pass")));
    }
    if let Some(suspended) = body.value.suspended {
        let done = if suspended && tenant == *admin.caller.principal.tenant() {
            let why = "the operators' own tenant cannot be suspended";
            Err(Problem::new(StatusCode::CONFLICT, "conflict", why))
        } else {
            tenants.suspend(&tenant, suspended).await.map_err(problem)
        };
        let what = if suspended { "suspend" } else { "lift_suspension" };
        record(&admin.caller, Act { what, tenant: &tenant, on: "tenant" }, &done);
        done?;
    }
    if let Some(own) = own {
        let done = tenants.limit(&tenant, own).await.map_err(problem);
        let what = if own.any() { "limit" } else { "lift_limits" };
        record(&admin.caller, Act { what, tenant: &tenant, on: "tenant" }, &done);
        done?;
    }
    Ok(Json(standing(tenants, &tenant)))
}

fn problem(error: TenantError) -> Problem {
    match error {
        TenantError::Full => Problem::full("something was said of too many tenants").limit("tenants"),
        TenantError::Away => Problem::unavailable("in force on this instance only, for now"),
    }
}
