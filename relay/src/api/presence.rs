//! `GET /v1/presence`: who is present, as a watcher is told.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use relay_protocol::{Address, AddressKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::ApiState;
use crate::api::body::InQuery;
use crate::api::caller::Caller;
use crate::api::problem::{Problem, Refusals};

/// Where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Where {
    /// The address of an agent, a group or a topic of the caller's tenant.
    #[param(
        example = "topic/room.1",
        pattern = "^(agent/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}|(group|topic)/[A-Za-z0-9_-]{1,15}(\\.[A-Za-z0-9_-]{1,15}){0,7})$"
    )]
    of: String,
}

/// Who is present.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Present {
    /// Where.
    #[schema(example = "topic/room.1")]
    of: String,
    /// How many agents.
    count: u64,
    /// Their names; absent where there are more than 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<String>>,
}

/// Who is present. Needs the right to watch it.
#[utoipa::path(
    get,
    path = "/v1/presence",
    operation_id = "presence",
    tag = "agents",
    params(Where),
    responses((status = 200, description = "The agents that are present", body = Present), Refusals),
    security(("token" = []))
)]
pub(super) async fn presence(
    State(api): State<Arc<ApiState>>,
    caller: Caller,
    InQuery(Where { of }): InQuery<Where>,
) -> Result<Json<Present>, Problem> {
    let address = Address::parse(of.as_str().into());
    let address = address.filter(|address| address.kind() != AddressKind::Session);
    let address = address.ok_or_else(|| Problem::invalid("of"))?;
    if !caller.principal.rights().may_watch(&address) {
        return Err(Problem::forbidden("of"));
    }
    let members = api.parts.presence.find(caller.principal.tenant(), &address).await;
    let members = members.map_err(|_| Problem::unavailable("the directory is away"))?;
    let names = members.names().map(|names| names.into_iter().map(str::to_owned).collect());
    Ok(Json(Present { count: members.count(), members: names, of: address.as_str().to_owned() }))
}
