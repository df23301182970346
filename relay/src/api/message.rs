//! A message from somebody without a session: the same rules as for a `send`, because it is read as one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use indexmap::IndexMap;
use relay_protocol::client::Qos;
use relay_protocol::{
    Address, AddressKind, ClientFrame, Data, Encoding, ErrorCode, Message, Send, ServerFrame, Text,
    decode_client,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::problem::Problem;
use crate::auth::Principal;
use crate::outbound::{Settled, Settlement};
use crate::router::{Caller as Place, Outgoing, Routed};
use crate::telemetry::outcome::Outcome;

/// How long an outcome is waited for: twice what the report of another instance may take by default.
const OUTCOME_PATIENCE: Duration = Duration::from_secs(10);

/// What is sent, as PROTOCOL.md §5 has it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Message)]
pub(super) struct MessageBody {
    /// Any JSON. Carried byte for byte, never looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Instead of `payload`: bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_b64: Option<String>,
    /// 1: stored before it is `accepted`, presented once and in order, also after its recipient was away. 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1)]
    qos: Option<u8>,
    /// The message's name for good, under which it is stored once. Required at `qos` 1, unless an `Idempotency-Key` names
    /// the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Za-z0-9_.:~-]{1,64}$")]
    mid: Option<String>,
    /// Where an answer goes: the caller's own agent, or what it may send to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "agent/bob")]
    reply_to: Option<String>,
    /// Joins request and reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Za-z0-9_.:~-]{1,64}$")]
    correlation_id: Option<String>,
    /// When an answer becomes worthless, in milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 86_400_000)]
    deadline_ms: Option<u64>,
    /// When the message expires, in milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 86_400_000)]
    ttl_ms: Option<u64>,
    /// `normal` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<LaneName>,
    /// Carried untouched: at most 16, 2 KiB together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    headers: Option<IndexMap<String, String>>,
}

/// What goes first to a session.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Lane)]
pub(super) enum LaneName {
    High,
    Normal,
}

impl MessageBody {
    /// At `qos` 1 the name of its call is that of a message which has none.
    pub(super) fn named(self, call: Option<String>) -> MessageBody {
        if self.qos == Some(1) { MessageBody { mid: self.mid.or(call), ..self } } else { self }
    }
}

/// A message as a frame, for the one reader of frames.
#[derive(Serialize)]
struct AsFrame<'a> {
    r#type: &'static str,
    id: u64,
    to: &'a str,
    #[serde(flatten)]
    message: &'a MessageBody,
}

/// A `send` to an address, as text.
pub(super) fn frame(to: &str, message: &MessageBody) -> Result<String, Problem> {
    serde_json::to_string(&AsFrame { r#type: "send", id: 1, to, message }).map_err(|_| Problem::internal())
}

/// Reads what [`frame`] wrote, by the rules that hold for sockets.
pub(super) fn read(frame: &str) -> Result<Send<'_>, Problem> {
    let mut read = None;
    let decoded = decode_client(Data::Json(frame), 1, |frame| {
        read = Some(match frame.map(|frame| std::mem::replace(frame, ClientFrame::Pong)) {
            Ok(ClientFrame::Send(send)) => Ok(send),
            Ok(_) => Err(Problem::internal()),
            Err(error) => Err(refusal(error.code, &error.what)),
        });
    });
    match (read, decoded) {
        (Some(read), _) => read,
        (None, _) => Err(Problem::invalid("not a message")),
    }
}

fn refusal(code: ErrorCode, field: &Text<'_>) -> Problem {
    let field = field.to_string();
    match code {
        ErrorCode::InvalidFrame => Problem::invalid(field),
        ErrorCode::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, code.name(), field),
        code => Problem::new(StatusCode::BAD_REQUEST, code.name(), field),
    }
}

/// Somebody who sends.
pub(super) struct Sender {
    api: Arc<ApiState>,
    principal: Principal,
    place: Place,
    agent: Address<'static>,
    session: Address<'static>,
}

impl Sender {
    /// The caller. Its messages carry a session that nobody can reach.
    pub(super) fn new(api: &Arc<ApiState>, principal: &Principal) -> Result<Sender, Problem> {
        let bits: [u8; 16] = rand::random();
        let address = |text: String| Address::parse(text.into()).ok_or_else(Problem::internal);
        Ok(Sender {
            api: Arc::clone(api),
            place: Place::enter(&api.parts.router, principal.tenant()),
            agent: address(format!("agent/{}", principal.agent()))?,
            session: address(format!("session/{}~{}", principal.agent(), URL_SAFE_NO_PAD.encode(bits)))?,
            principal: principal.clone(),
        })
    }

    /// Why a message is not taken, whomever it is for.
    pub(super) fn unwelcome(&self, send: &Send<'_>) -> Result<(), Problem> {
        let bytes_max = self.api.limits.payload_bytes;
        if send.payload.len() > bytes_max {
            let detail = format!("a payload has at most {bytes_max} bytes");
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge.name(), detail);
            return Err(problem.limit("payload"));
        }
        let rights = self.principal.rights();
        let strange = send.reply_to.as_ref().is_some_and(|to| *to != self.agent && !rights.may_send(to));
        if strange { Err(Problem::forbidden("reply_to")) } else { Ok(()) }
    }

    /// Whether it may send to an address.
    pub(super) fn may_send(&self, to: &Address<'_>) -> bool {
        self.principal.rights().may_send(to)
    }

    /// Sends, and waits for the outcome.
    pub(super) async fn send(&self, send: &Send<'_>, to: &Address<'_>) -> Settled {
        let metrics = &self.api.parts.metrics;
        metrics.sends.increment(1);
        let refused = if !self.may_send(to) {
            Some(ErrorCode::Forbidden)
        } else if is_unsupported(send, to) {
            Some(ErrorCode::Unsupported)
        } else {
            None
        };
        if let Some(code) = refused {
            let outcome = Outcome::failed(code);
            metrics.outcome(outcome);
            return outcome.into();
        }
        let mut waiting = None;
        let routed = self.route(send, to, || {
            let (settlement, settled) = Settlement::awaited(metrics);
            waiting = Some(settled);
            settlement
        });
        match (routed, waiting) {
            (Routed::Settled(outcome), _) => {
                metrics.outcome(outcome);
                outcome.into()
            }
            (Routed::Pending, Some(settled)) => {
                let settled = tokio::time::timeout(OUTCOME_PATIENCE, settled).await;
                settled.ok().and_then(Result::ok).unwrap_or(Outcome::Unknown.into())
            }
            (Routed::Pending, None) => Outcome::Unknown.into(),
        }
    }

    fn route(&self, send: &Send<'_>, to: &Address<'_>, settlement: impl FnOnce() -> Settlement) -> Routed {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let frame = ServerFrame::Message(Message {
            from: self.agent.borrowed(),
            session: self.session.borrowed(),
            to: to.borrowed(),
            ts: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            payload: send.payload.borrowed(),
            mid: send.mid.as_ref().map(Text::borrowed),
            reply_to: send.reply_to.as_ref().map(Address::borrowed),
            correlation_id: send.correlation_id.as_ref().map(Text::borrowed),
            deadline_ms: send.deadline_ms,
            lane: send.lane,
            key: None,
            headers: send.headers.iter().map(|(name, value)| (name.borrowed(), value.borrowed())).collect(),
            position: None,
            redelivered: false,
        });
        let outgoing = Outgoing {
            frame: &frame,
            encoding: Encoding::Json,
            taken_at: Instant::now(),
            expires_in_ms: send.expires_in_ms(),
        };
        match send.qos {
            Qos::AtMostOnce => self.place.route(&outgoing, settlement),
            Qos::AtLeastOnce => self.place.store(&outgoing, settlement),
        }
    }
}

/// Nothing is stored for one session alone.
pub(super) fn is_unsupported(send: &Send<'_>, to: &Address<'_>) -> bool {
    send.qos == Qos::AtLeastOnce && to.kind() == AddressKind::Session
}

/// Whether a repeat hears more. At `qos` 0 it would be another message.
pub(super) fn is_in_doubt(send: &Send<'_>, settled: &Settled) -> bool {
    send.qos == Qos::AtLeastOnce && settled.outcome == Outcome::Unknown
}
