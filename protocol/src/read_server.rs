//! From flat fields to a server frame, for clients written in Rust and for changing the encoding of a message.

use crate::address::Address;
use crate::client::{Point, Position};
use crate::close::Reconnect;
use crate::error::{ErrorCode, FrameError};
use crate::read_client::{lane, payload, shortened};
use crate::server::{
    Earlier, Failed, FlowState, GapReason, Limits, Message, Presence, Receipt, ServerFrame, Welcome,
};
use crate::text::Text;
use crate::wire::{NameOrNumber, WireLimits, WirePayload, WireServer};

type Refusal<'a> = (ErrorCode, Text<'a>);

/// Understands a server frame.
pub(crate) fn server_frame<'a, P: WirePayload<'a>>(
    wire: WireServer<'a, P>,
) -> Result<ServerFrame<'a>, FrameError<'a>> {
    let id = wire.id;
    understand(wire).map_err(|(code, what)| FrameError { id, is_send: false, code, what })
}

fn understand<'a, P: WirePayload<'a>>(wire: WireServer<'a, P>) -> Result<ServerFrame<'a>, Refusal<'a>> {
    let kind = required(wire.kind.clone(), "type")?;
    Ok(match &*kind {
        "message" => ServerFrame::Message(message(wire)?),
        "receipt" => ServerFrame::Receipt(receipt(wire)),
        "welcome" => ServerFrame::Welcome(Box::new(welcome(wire)?)),
        "ok" => ServerFrame::Ok { id: required(wire.id, "id")? },
        "pong" => ServerFrame::Pong { id: required(wire.id, "id")? },
        "ping" => ServerFrame::Ping,
        "error" => ServerFrame::Error {
            id: wire.id,
            code: ErrorCode::from_name(&name(wire.code, "code")?),
            message: required(wire.message, "message")?,
            retry_after_ms: wire.retry_after_ms,
            limit: wire.limit,
        },
        "flow" => ServerFrame::Flow {
            state: match wire.state.as_deref() {
                Some("high") => FlowState::High,
                Some("full") => FlowState::Full,
                Some("normal") => FlowState::Normal,
                _ => return Err(invalid("state")),
            },
            queued_messages: required(wire.queued_messages, "queued_messages")?,
            queued_bytes: required(wire.queued_bytes, "queued_bytes")?,
        },
        "gap" => ServerFrame::Gap {
            reason: match wire.reason.as_deref() {
                Some("bus_lagged") => GapReason::BusLagged,
                Some("slow") => GapReason::Slow,
                Some("expired") => GapReason::Expired,
                // What a later release calls a gap is one all the same.
                _ => GapReason::BusInterrupted,
            },
            direct: wire.direct.unwrap_or(false),
            topics: wire.topics.unwrap_or_default(),
            dropped: wire.dropped,
        },
        "degraded" => ServerFrame::Degraded {
            level: required(wire.level, "level")?,
            reduced: wire.reduced.unwrap_or_default(),
        },
        "presence" => ServerFrame::Presence(presence(wire)?),
        "skip" => skip(wire)?,
        "resume" => ServerFrame::Resume {
            position: Position {
                stream: required(wire.stream, "stream")?,
                epoch: required(wire.epoch, "epoch")?,
                seq: required(wire.seq, "seq")?,
            },
            recovered: required(wire.recovered, "recovered")?,
            reason: wire.reason,
        },
        "token_expiring" => ServerFrame::TokenExpiring { in_ms: required(wire.in_ms, "in_ms")? },
        "drain" => drain(wire)?,
        "closing" => closing(wire)?,
        _ => return Err((ErrorCode::UnknownFrame, shortened(kind))),
    })
}

fn drain<P>(wire: WireServer<'_, P>) -> Result<ServerFrame<'_>, Refusal<'_>> {
    Ok(ServerFrame::Drain {
        reason: required(wire.reason, "reason")?,
        reconnect_after_ms: required(wire.reconnect_after_ms, "reconnect_after_ms")?,
        closes_in_ms: required(wire.closes_in_ms, "closes_in_ms")?,
        ticket: wire.ticket,
    })
}

fn presence<P>(wire: WireServer<'_, P>) -> Result<Presence<'_>, Refusal<'_>> {
    Ok(Presence {
        id: wire.id,
        to: address(name(wire.to, "to")?, "to")?,
        version: required(wire.version, "version")?,
        count: required(wire.count, "count")?,
        members: wire.members,
        joined: wire.joined.unwrap_or_default(),
        left: wire.left.unwrap_or_default(),
    })
}

fn skip<P>(wire: WireServer<'_, P>) -> Result<ServerFrame<'_>, Refusal<'_>> {
    let (Some(NameOrNumber::Number(from)), Some(NameOrNumber::Number(to))) = (wire.from, wire.to) else {
        return Err(invalid("from"));
    };
    let first = Position {
        stream: required(wire.stream, "stream")?,
        epoch: required(wire.epoch, "epoch")?,
        seq: from,
    };
    Ok(ServerFrame::Skip { first, to, reason: required(wire.reason, "reason")? })
}

fn message<'a, P: WirePayload<'a>>(wire: WireServer<'a, P>) -> Result<Message<'a>, Refusal<'a>> {
    Ok(Message {
        from: address(name(wire.from, "from")?, "from")?,
        session: address(required(wire.session, "session")?, "session")?,
        to: address(name(wire.to, "to")?, "to")?,
        ts: required(wire.ts, "ts")?,
        payload: payload(wire.payload, wire.payload_b64)?,
        mid: wire.mid,
        reply_to: wire.reply_to.map(|text| address(text, "reply_to")).transpose()?,
        correlation_id: wire.correlation_id,
        deadline_ms: wire.deadline_ms,
        lane: lane(wire.lane.as_deref())?,
        key: wire.key,
        headers: wire.headers.map(|headers| headers.0).unwrap_or_default(),
        position: match (wire.stream, wire.epoch, wire.seq) {
            (Some(stream), Some(epoch), Some(seq)) => Some(Position { stream, epoch, seq }),
            _ => None,
        },
        redelivered: wire.redelivered.unwrap_or(false),
    })
}

fn receipt<P>(wire: WireServer<'_, P>) -> Receipt<'_> {
    Receipt {
        queued: wire.queued.unwrap_or_default(),
        accepted: wire.accepted.unwrap_or_default(),
        delivered: wire.delivered.unwrap_or_default(),
        unknown: wire.unknown.unwrap_or_default(),
        failed: wire
            .failed
            .unwrap_or_default()
            .into_iter()
            .map(|failed| Failed {
                ids: (failed.id, failed.last.unwrap_or(failed.id).max(failed.id)),
                reason: ErrorCode::from_name(&failed.reason),
                retry_after_ms: failed.retry_after_ms,
                limit: failed.limit,
            })
            .collect(),
        positions: wire
            .positions
            .unwrap_or_default()
            .into_iter()
            .map(|stored| (stored.id, stored.stream, Point { epoch: stored.epoch, seq: stored.seq }))
            .collect(),
        earlier: wire
            .earlier
            .unwrap_or_default()
            .into_iter()
            .map(|earlier| Earlier {
                mid: earlier.mid,
                failed: earlier.reason.map(|reason| ErrorCode::from_name(&reason)),
            })
            .collect(),
    }
}

fn welcome<P>(wire: WireServer<'_, P>) -> Result<Welcome<'_>, Refusal<'_>> {
    let WireLimits {
        payload,
        message,
        frames,
        subscriptions,
        in_flight,
        rate_messages,
        rate_burst,
        rate_bytes,
        queue_messages,
        queue_bytes,
    } = required(wire.limits, "limits")?;
    Ok(Welcome {
        id: required(wire.id, "id")?,
        protocol: required(wire.protocol, "protocol")?,
        agent: address(required(wire.agent, "agent")?, "agent")?,
        session: address(required(wire.session, "session")?, "session")?,
        generation: required(wire.generation, "generation")?,
        resumed: required(wire.resumed, "resumed")?,
        ticket: wire.ticket,
        heartbeat_ms: required(wire.heartbeat_ms, "heartbeat_ms")?,
        lease_ms: wire.lease_ms,
        token_expires_in_ms: required(wire.token_expires_in_ms, "token_expires_in_ms")?,
        server_time_ms: required(wire.server_time_ms, "server_time_ms")?,
        limits: Limits {
            payload,
            message,
            frames,
            subscriptions,
            in_flight,
            rate_messages,
            rate_burst,
            rate_bytes,
            queue_messages,
            queue_bytes,
        },
    })
}

fn closing<P>(wire: WireServer<'_, P>) -> Result<ServerFrame<'_>, Refusal<'_>> {
    let Some(NameOrNumber::Number(code)) = wire.code else {
        return Err(invalid("code"));
    };
    Ok(ServerFrame::Closing {
        code: u16::try_from(code).map_err(|_| invalid("code"))?,
        reason: required(wire.reason, "reason")?,
        message: required(wire.message, "message")?,
        reconnect: match wire.reconnect.as_deref() {
            Some("never") => Reconnect::Never,
            Some("now") => Reconnect::Now,
            // The safe reading of a word of a later release.
            _ => Reconnect::BackOff,
        },
        reconnect_after_ms: wire.reconnect_after_ms,
    })
}

fn address<'a>(text: Text<'a>, field: &'static str) -> Result<Address<'a>, Refusal<'a>> {
    Address::parse(text.0).ok_or((ErrorCode::InvalidAddress, field.into()))
}

fn name<'a>(value: Option<NameOrNumber<'a>>, field: &'static str) -> Result<Text<'a>, Refusal<'a>> {
    match value {
        Some(NameOrNumber::Name(text)) => Ok(text),
        _ => Err(invalid(field)),
    }
}

fn required<'a, T>(value: Option<T>, field: &'static str) -> Result<T, Refusal<'a>> {
    value.ok_or_else(|| invalid(field))
}

fn invalid<'a>(field: &'static str) -> Refusal<'a> {
    (ErrorCode::InvalidFrame, field.into())
}
