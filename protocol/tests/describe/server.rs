//! Server frames as plain JSON.

use relay_protocol::Text;
use relay_protocol::client::Position;
use relay_protocol::server::{Earlier, Failed, Limits, Message, Presence, Receipt, ServerFrame, Welcome};
use serde_json::{Value, json};

/// Every field of a server frame.
pub(crate) fn server(frame: &ServerFrame<'_>) -> Value {
    match frame {
        ServerFrame::Welcome(frame) => welcome(frame),
        ServerFrame::Ok { id } => json!({ "type": "ok", "id": id }),
        ServerFrame::Error { id, code, message, retry_after_ms, limit } => json!({
            "type": "error", "id": id, "code": code.name(), "message": &**message,
            "retry_after_ms": retry_after_ms, "limit": super::text(limit.as_ref()),
        }),
        ServerFrame::Message(frame) => message(frame),
        ServerFrame::Receipt(frame) => receipt(frame),
        ServerFrame::Ping => json!({ "type": "ping" }),
        ServerFrame::Pong { id } => json!({ "type": "pong", "id": id }),
        ServerFrame::Flow { state, queued_messages, queued_bytes } => json!({
            "type": "flow", "state": state.name(), "queued_messages": queued_messages, "queued_bytes": queued_bytes,
        }),
        ServerFrame::Gap { reason, direct, topics, dropped } => json!({
            "type": "gap", "reason": reason.name(), "direct": direct,
            "topics": topics.iter().map(|topic| &**topic).collect::<Vec<_>>(), "dropped": dropped,
        }),
        ServerFrame::Degraded { level, reduced } => json!({
            "type": "degraded", "level": level, "reduced": reduced.iter().map(|what| &**what).collect::<Vec<_>>(),
        }),
        ServerFrame::Presence(Presence { id, to, version, count, members, joined, left }) => json!({
            "type": "presence", "id": id, "to": to.as_str(), "version": version, "count": count,
            "members": members.as_ref().map(|members| texts(members)), "joined": some_texts(joined), "left": some_texts(left),
        }),
        ServerFrame::Skip { first: Position { stream, epoch, seq }, to, reason } => json!({
            "type": "skip", "stream": &**stream, "epoch": &**epoch, "from": seq, "to": to, "reason": &**reason,
        }),
        ServerFrame::Resume { position: Position { stream, epoch, seq }, recovered, reason } => json!({
            "type": "resume", "stream": &**stream, "epoch": &**epoch, "seq": seq, "recovered": recovered,
            "reason": super::text(reason.as_ref()),
        }),
        ServerFrame::TokenExpiring { in_ms } => json!({ "type": "token_expiring", "in_ms": in_ms }),
        ServerFrame::Drain { reason, reconnect_after_ms, closes_in_ms, ticket } => json!({
            "type": "drain", "reason": &**reason, "reconnect_after_ms": reconnect_after_ms,
            "closes_in_ms": closes_in_ms, "ticket": super::text(ticket.as_ref()),
        }),
        ServerFrame::Closing { code, reason, message, reconnect, reconnect_after_ms } => json!({
            "type": "closing", "code": code, "reason": &**reason, "message": &**message,
            "reconnect": reconnect.name(), "reconnect_after_ms": reconnect_after_ms,
        }),
    }
}

fn texts<'t>(texts: &'t [Text<'_>]) -> Vec<&'t str> {
    texts.iter().map(|text| &**text).collect()
}

/// Nothing where there are none.
fn some_texts<'t>(some: &'t [Text<'_>]) -> Option<Vec<&'t str>> {
    (!some.is_empty()).then(|| texts(some))
}

fn welcome(frame: &Welcome<'_>) -> Value {
    let Welcome {
        id,
        protocol,
        agent,
        session,
        generation,
        resumed,
        ticket,
        heartbeat_ms,
        lease_ms,
        token_expires_in_ms,
        server_time_ms,
        limits,
    } = frame;
    json!({
        "type": "welcome", "id": id, "protocol": protocol, "agent": agent.as_str(), "session": session.as_str(),
        "generation": generation, "resumed": resumed, "ticket": super::text(ticket.as_ref()),
        "heartbeat_ms": heartbeat_ms, "lease_ms": lease_ms, "token_expires_in_ms": token_expires_in_ms,
        "server_time_ms": server_time_ms, "limits": bounds(*limits),
    })
}

fn bounds(limits: Limits) -> Value {
    let Limits {
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
    } = limits;
    json!({
        "payload": payload, "message": message, "frames": frames, "subscriptions": subscriptions,
        "in_flight": in_flight, "rate_messages": rate_messages, "rate_burst": rate_burst, "rate_bytes": rate_bytes,
        "queue_messages": queue_messages, "queue_bytes": queue_bytes,
    })
}

fn message(frame: &Message<'_>) -> Value {
    let Message {
        from,
        session,
        to,
        ts,
        payload,
        mid,
        reply_to,
        correlation_id,
        deadline_ms,
        lane,
        key,
        headers,
        position,
        redelivered,
    } = frame;
    json!({
        "type": "message", "from": from.as_str(), "session": session.as_str(), "to": to.as_str(), "ts": ts,
        "payload": super::payload(payload), "mid": super::text(mid.as_ref()),
        "reply_to": reply_to.as_ref().map(relay_protocol::Address::as_str),
        "correlation_id": super::text(correlation_id.as_ref()), "deadline_ms": deadline_ms,
        "lane": super::lane(*lane), "key": super::text(key.as_ref()), "headers": super::headers(headers),
        "stream": position.as_ref().map(|position| &*position.stream),
        "epoch": position.as_ref().map(|position| &*position.epoch),
        "seq": position.as_ref().map(|position| position.seq),
        "redelivered": redelivered.then_some(true),
    })
}

fn receipt(frame: &Receipt<'_>) -> Value {
    let Receipt { queued, accepted, delivered, unknown, failed, positions, earlier } = frame;
    let failed = failed.iter().map(|Failed { ids: (first, last), reason, retry_after_ms, limit }| {
        super::compact(&json!({
            "id": first, "last": (last > first).then_some(last), "reason": reason.name(), "retry_after_ms": retry_after_ms,
            "limit": super::text(limit.as_ref()),
        }))
    });
    let positions = positions.iter().map(|(id, stream, point)| {
        json!({ "id": id, "stream": &**stream, "epoch": &*point.epoch, "seq": point.seq })
    });
    let earlier = earlier.iter().map(|Earlier { mid, failed }| {
        let outcome = if failed.is_some() { "failed" } else { "delivered" };
        super::compact(
            &json!({ "mid": &**mid, "outcome": outcome, "reason": failed.map(relay_protocol::ErrorCode::name) }),
        )
    });
    json!({
        "type": "receipt", "queued": list(queued.iter().map(|range| json!(range))),
        "accepted": list(accepted.iter().map(|range| json!(range))),
        "delivered": list(delivered.iter().map(|range| json!(range))),
        "unknown": list(unknown.iter().map(|range| json!(range))), "failed": list(failed),
        "positions": list(positions),
        "earlier": list(earlier),
    })
}

fn list(elements: impl Iterator<Item = Value>) -> Value {
    let elements: Vec<Value> = elements.collect();
    if elements.is_empty() { Value::Null } else { elements.into() }
}
