//! `POST /v1/publish`: one message, and its outcome.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::body::Body;
use crate::api::caller::Caller;
use crate::api::message::{MessageBody, Receipt, Sender, frame, read};
use crate::api::object::object;
use crate::api::once::{IdempotencyKey, once};
use crate::api::problem::{Problem, Refusals};

/// One message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    /// An address: `agent/…`, `session/…` or `topic/…`.
    #[schema(example = "agent/bob")]
    to: String,
    #[serde(deserialize_with = "object")]
    message: MessageBody,
}

/// Sends a message and waits for its outcome, 10 s at most. A message that was taken is answered with a receipt,
/// whatever became of it; one that was not, with a problem.
#[utoipa::path(
    post,
    path = "/v1/publish",
    tag = "messages",
    params(IdempotencyKey),
    request_body = Publish,
    responses((status = 200, description = "Taken; its outcome", body = Receipt), Refusals),
    security(("token" = []))
)]
pub(super) async fn publish(
    State(api): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Publish>,
) -> Result<Response, Problem> {
    let Body { value: Publish { to, message }, bytes } = body;
    let sender = Sender::new(&api, &caller.principal)?;
    let text = frame(&to, &message)?;
    {
        let send = read(&text)?;
        sender.unwelcome(&send)?;
        if !sender.may_send(&send.to) {
            return Err(Problem::forbidden("to"));
        }
    }
    api.may_send(&caller.principal, 1, bytes.len())?;
    once(&api, &caller, &headers, &[b"publish", &bytes], async move {
        let send = read(&text)?;
        let outcome = sender.send(&send, &send.to).await;
        serde_json::to_string(&Receipt::from(outcome)).map_err(|_| Problem::internal())
    })
    .await
}
