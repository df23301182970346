//! `/v1/tenants`: suspension.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::audit::{Act, record};
use crate::api::body::{Body, InPath};
use crate::api::caller::Admin;
use crate::api::problem::{Problem, Refusals};
use crate::tenants::TenantError;

/// How a tenant stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tenant {
    /// Its name.
    #[schema(example = "acme")]
    tenant: String,
    /// Whether its agents may not connect, nor its programs call.
    suspended: bool,
}

/// What is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeTenant {
    /// Whether its agents may not connect, nor its programs call.
    suspended: bool,
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
    let suspended = api.parts.tenants.is_suspended(&tenant);
    Ok(Json(Tenant { tenant: name, suspended }))
}

/// Suspends a tenant or lifts that, on every instance within a second: its connections are closed with 4007, and neither
/// connections nor calls are let in. For operators only, and not for their own tenant, which nobody could lift.
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
    let suspended = body.value.suspended;
    let done = if suspended && tenant == *admin.caller.principal.tenant() {
        Err(Problem::new(StatusCode::CONFLICT, "conflict", "the operators' own tenant cannot be suspended"))
    } else {
        api.parts.tenants.set(&tenant, suspended).await.map_err(|error| match error {
            TenantError::Full => Problem::full("something was said of too many tenants").limit("tenants"),
            TenantError::Away => Problem::unavailable("in force on this instance only, for now"),
        })
    };
    let act = if suspended { "suspend" } else { "lift_suspension" };
    record(&admin.caller, Act { what: act, tenant: &tenant, on: "tenant" }, &done);
    done.map(|()| Json(Tenant { tenant: name, suspended }))
}
