//! `POST /v1/publish`: one message, and its outcome.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use relay_protocol::ErrorCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::body::Body;
use crate::api::caller::Caller;
use crate::api::message::{MessageBody, Sender, frame, is_in_doubt, is_unsupported, read};
use crate::api::object::object;
use crate::api::once::{Done, IdempotencyKey, mid, once};
use crate::api::problem::{Problem, Refusals};
use crate::api::receipt::Receipt;

/// One message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    /// An address: `agent/…`, `topic/…`, `group/…`, or, at `qos` 0, `session/…`.
    #[schema(example = "agent/bob")]
    to: String,
    #[serde(deserialize_with = "object")]
    message: MessageBody,
}

/// Sends a message and waits for its outcome, 10 s at most. A message that was taken is answered with a receipt,
/// whatever became of it; one that was not, with a problem. At `qos` 1 the outcome is that of being stored; who wants to
/// know of its delivery sends it again within two minutes under the same `mid`, or by a socket.
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
    let said: [&[u8]; 2] = [b"publish", &bytes];
    let text = frame(&to, &message.named(mid(&caller, &headers, &said)?))?;
    {
        let send = read(&text)?;
        sender.unwelcome(&send)?;
        if !sender.may_send(&send.to) {
            return Err(Problem::forbidden("to"));
        }
        if is_unsupported(&send, &send.to) {
            let code = ErrorCode::Unsupported.name();
            return Err(Problem::new(StatusCode::BAD_REQUEST, code, "qos 1 to a session"));
        }
    }
    api.may_send(&caller.principal, 1, bytes.len())?;
    once(&api, &caller, &headers, &said, async move {
        let send = read(&text)?;
        let settled = sender.send(&send, &send.to).await;
        let is_in_doubt = is_in_doubt(&send, &settled);
        let answer = serde_json::to_string(&Receipt::from(settled)).map_err(|_| Problem::internal())?;
        Ok(Done { answer, is_in_doubt })
    })
    .await
}
