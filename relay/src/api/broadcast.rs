//! `POST /v1/broadcast`: one message to several addresses, and an outcome for each.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::future::join_all;
use relay_protocol::{Address, ErrorCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::body::Body;
use crate::api::caller::Caller;
use crate::api::message::{MessageBody, Sender, frame, is_in_doubt, read};
use crate::api::object::object;
use crate::api::once::{Done, IdempotencyKey, mid, once};
use crate::api::problem::{Problem, Refusals};
use crate::api::receipt::Receipt;

/// The most addresses of a call: more are better reached by a topic.
const RECIPIENTS_MAX: usize = 100;

/// One message for several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Broadcast {
    /// Addresses.
    #[schema(min_items = 1, max_items = 100, example = json!(["agent/bob", "topic/news"]))]
    to: Vec<String>,
    #[serde(deserialize_with = "object")]
    message: MessageBody,
}

/// What became of a message for several.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Receipts {
    /// One for each address, in their order.
    receipts: Vec<ReceiptOf>,
}

/// What became of a message for one of several.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptOf {
    /// The address.
    to: String,
    #[serde(flatten)]
    receipt: Receipt,
}

/// Sends a message to each of up to 100 addresses and waits for the outcomes, 10 s at most. An address that the token does
/// not allow fails as `forbidden`, at `qos` 1 a session as `unsupported`; the others are sent to.
#[utoipa::path(
    post,
    path = "/v1/broadcast",
    tag = "messages",
    params(IdempotencyKey),
    request_body = Broadcast,
    responses((status = 200, description = "Taken; an outcome for each address", body = Receipts), Refusals),
    security(("token" = []))
)]
pub(super) async fn broadcast(
    State(api): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Broadcast>,
) -> Result<Response, Problem> {
    let Body { value: Broadcast { to, message }, bytes } = body;
    if !(1..=RECIPIENTS_MAX).contains(&to.len()) {
        return Err(Problem::invalid("to: 1 to 100 addresses").limit("recipients"));
    }
    let addresses = to.iter().map(|text| Address::parse(text.clone().into()));
    let addresses: Vec<Address<'static>> = addresses.collect::<Option<_>>().ok_or_else(|| {
        Problem::new(axum::http::StatusCode::BAD_REQUEST, ErrorCode::InvalidAddress.name(), "to")
    })?;
    let sender = Sender::new(&api, &caller.principal)?;
    let said: [&[u8]; 2] = [b"broadcast", &bytes];
    let text = frame(&to[0], &message.named(mid(&caller, &headers, &said)?))?;
    sender.unwelcome(&read(&text)?)?;
    api.may_send(&caller.principal, addresses.len(), bytes.len())?;
    once(&api, &caller, &headers, &said, async move {
        let send = read(&text)?;
        let settled = join_all(addresses.iter().map(|to| sender.send(&send, to))).await;
        let is_in_doubt = settled.iter().any(|settled| is_in_doubt(&send, settled));
        let receipt = |(to, settled)| ReceiptOf { to, receipt: Receipt::from(settled) };
        let receipts = Receipts { receipts: to.into_iter().zip(settled).map(receipt).collect() };
        let answer = serde_json::to_string(&receipts).map_err(|_| Problem::internal())?;
        Ok(Done { answer, is_in_doubt })
    })
    .await
}
