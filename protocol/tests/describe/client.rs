//! Client frames as plain JSON.

use relay_protocol::card::Card;
use relay_protocol::client::{ClientFrame, Point, Qos, ReceiptMode, Resume, Rewind, Send};
use serde_json::{Value, json};

/// Every field of a client frame.
pub(crate) fn client(frame: &ClientFrame<'_>) -> Value {
    match frame {
        ClientFrame::Hello { id, token, client, resume, card } => json!({
            "type": "hello", "id": id, "token": super::text(token.as_ref()),
            "client": super::text(client.as_ref()), "resume": resume.as_ref().map(resumption),
            "card": card.as_ref().map(carded),
        }),
        ClientFrame::Auth { id, token } => json!({ "type": "auth", "id": id, "token": &**token }),
        ClientFrame::Send(frame) => send(frame),
        ClientFrame::Subscribe { id, topic, qos, rewind, from, present } => json!({
            "type": "subscribe", "id": id, "topic": &**topic, "qos": quality(*qos),
            "rewind": rewind.map(|rewind| match rewind {
                Rewind::Last(count) => json!({ "last": count }),
                Rewind::SinceMs(time) => json!({ "since_ms": time }),
            }),
            "from": from.as_ref().map(|Point { epoch, seq }| json!({ "epoch": &**epoch, "seq": seq })),
            "present": present.then_some(true),
        }),
        ClientFrame::Unsubscribe { id, topic } => {
            json!({ "type": "unsubscribe", "id": id, "topic": &**topic })
        }
        ClientFrame::Join { id, group } => json!({ "type": "join", "id": id, "group": &**group }),
        ClientFrame::Leave { id, group } => json!({ "type": "leave", "id": id, "group": &**group }),
        ClientFrame::Watch { id, to } => json!({ "type": "watch", "id": id, "to": to.as_str() }),
        ClientFrame::Unwatch { id, to } => json!({ "type": "unwatch", "id": id, "to": to.as_str() }),
        ClientFrame::Ping { id } => json!({ "type": "ping", "id": id }),
        ClientFrame::Pong => json!({ "type": "pong" }),
        ClientFrame::Ack(at) => {
            json!({ "type": "ack", "stream": &*at.stream, "epoch": &*at.epoch, "seq": at.seq })
        }
        ClientFrame::Credit { messages, bytes } => {
            json!({ "type": "credit", "messages": messages, "bytes": bytes })
        }
        ClientFrame::Bye => json!({ "type": "bye" }),
    }
}

fn send(frame: &Send<'_>) -> Value {
    let Send {
        id,
        to,
        payload,
        qos,
        receipt,
        mid,
        reply_to,
        correlation_id,
        deadline_ms,
        ttl_ms,
        lane,
        key,
        headers,
        counter,
        settled,
    } = frame;
    json!({
        "type": "send", "id": id, "to": to.as_str(), "payload": super::payload(payload), "qos": quality(*qos),
        "receipt": match receipt {
            ReceiptMode::None => Some("none"),
            ReceiptMode::Failure => None,
            ReceiptMode::All => Some("all"),
        },
        "mid": super::text(mid.as_ref()), "reply_to": reply_to.as_ref().map(relay_protocol::Address::as_str),
        "correlation_id": super::text(correlation_id.as_ref()), "deadline_ms": deadline_ms, "ttl_ms": ttl_ms,
        "lane": super::lane(*lane), "key": super::text(key.as_ref()), "headers": super::headers(headers),
        "counter": counter, "settled": settled,
    })
}

fn resumption(resume: &Resume<'_>) -> Value {
    let Resume { ticket, streams } = resume;
    json!({ "ticket": &**ticket, "streams": streams.iter().map(super::position).collect::<Vec<_>>() })
}

fn carded(card: &Card<'_>) -> Value {
    let Card { name, skills, version } = card;
    let skills: Vec<&str> = skills.iter().map(|skill| &**skill).collect();
    super::compact(&json!({
        "name": super::text(name.as_ref()), "skills": (!skills.is_empty()).then_some(skills),
        "version": super::text(version.as_ref()),
    }))
}

fn quality(qos: Qos) -> Value {
    match qos {
        Qos::AtMostOnce => Value::Null,
        Qos::AtLeastOnce => json!(1),
    }
}
