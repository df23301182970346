//! Server frames onto the wire.

use crate::client::Lane;
use crate::encoding::Encoding;
use crate::server::{Limits, Message, Presence, Receipt, ServerFrame, Welcome};
use crate::text::Text;
use crate::write::{JsonWriter, MsgpackWriter, Writer, headers};
use crate::write_client::write_position;

impl ServerFrame<'_> {
    /// Appends this frame, alone and without the brackets of a batch.
    pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) {
        match encoding {
            Encoding::Json => self.write(&mut JsonWriter(out)),
            Encoding::Msgpack => self.write(&mut MsgpackWriter::new(out)),
        }
    }

    fn write<W: Writer>(&self, w: &mut W) {
        w.open_map();
        w.name_field("type", self.type_name());
        match self {
            ServerFrame::Welcome(welcome) => write_welcome(w, welcome),
            ServerFrame::Ping => {}
            ServerFrame::Ok { id } | ServerFrame::Pong { id } => w.uint_field("id", *id),
            ServerFrame::Error { id, code, message, retry_after_ms, limit } => {
                w.optional_uint("id", *id);
                w.name_field("code", code.name());
                w.text_field("message", message);
                w.optional_uint("retry_after_ms", *retry_after_ms);
                w.optional_text("limit", limit.as_deref());
            }
            ServerFrame::Message(message) => write_message(w, message),
            ServerFrame::Receipt(receipt) => write_receipt(w, receipt),
            ServerFrame::Flow { state, queued_messages, queued_bytes } => {
                w.name_field("state", state.name());
                w.uint_field("queued_messages", *queued_messages);
                w.uint_field("queued_bytes", *queued_bytes);
            }
            ServerFrame::Gap { reason, direct, topics, dropped } => {
                w.name_field("reason", reason.name());
                w.boolean_field("direct", *direct);
                write_texts(w, "topics", topics);
                w.optional_uint("dropped", *dropped);
            }
            ServerFrame::Degraded { level, reduced } => {
                w.uint_field("level", *level);
                write_texts(w, "reduced", reduced);
            }
            ServerFrame::Presence(presence) => write_presence(w, presence),
            ServerFrame::Skip { first, to, reason } => {
                w.text_field("stream", &first.stream);
                w.text_field("epoch", &first.epoch);
                w.uint_field("from", first.seq);
                w.uint_field("to", *to);
                w.text_field("reason", reason);
            }
            ServerFrame::Resume { position, recovered, reason } => {
                write_position(w, position);
                w.boolean_field("recovered", *recovered);
                w.optional_text("reason", reason.as_deref());
            }
            ServerFrame::TokenExpiring { in_ms } => w.uint_field("in_ms", *in_ms),
            ServerFrame::Drain { reason, reconnect_after_ms, closes_in_ms, ticket } => {
                w.text_field("reason", reason);
                w.uint_field("reconnect_after_ms", *reconnect_after_ms);
                w.uint_field("closes_in_ms", *closes_in_ms);
                w.optional_text("ticket", ticket.as_deref());
            }
            ServerFrame::Closing { code, reason, message, reconnect, reconnect_after_ms } => {
                w.uint_field("code", u64::from(*code));
                w.text_field("reason", reason);
                w.text_field("message", message);
                w.name_field("reconnect", reconnect.name());
                w.optional_uint("reconnect_after_ms", *reconnect_after_ms);
            }
        }
        w.close_map();
    }

    /// The `type` field.
    pub const fn type_name(&self) -> &'static str {
        match self {
            ServerFrame::Welcome(_) => "welcome",
            ServerFrame::Ok { .. } => "ok",
            ServerFrame::Error { .. } => "error",
            ServerFrame::Message(_) => "message",
            ServerFrame::Receipt(_) => "receipt",
            ServerFrame::Ping => "ping",
            ServerFrame::Pong { .. } => "pong",
            ServerFrame::Flow { .. } => "flow",
            ServerFrame::Gap { .. } => "gap",
            ServerFrame::Degraded { .. } => "degraded",
            ServerFrame::Presence(_) => "presence",
            ServerFrame::Skip { .. } => "skip",
            ServerFrame::Resume { .. } => "resume",
            ServerFrame::TokenExpiring { .. } => "token_expiring",
            ServerFrame::Drain { .. } => "drain",
            ServerFrame::Closing { .. } => "closing",
        }
    }
}

fn write_presence<W: Writer>(w: &mut W, presence: &Presence<'_>) {
    w.optional_uint("id", presence.id);
    w.name_field("to", presence.to.as_str());
    w.uint_field("version", presence.version);
    w.uint_field("count", presence.count);
    if let Some(members) = &presence.members {
        write_texts(w, "members", members);
    }
    for (name, some) in [("joined", &presence.joined), ("left", &presence.left)] {
        if !some.is_empty() {
            write_texts(w, name, some);
        }
    }
}

fn write_welcome<W: Writer>(w: &mut W, welcome: &Welcome<'_>) {
    w.uint_field("id", welcome.id);
    w.uint_field("protocol", welcome.protocol);
    w.name_field("agent", welcome.agent.as_str());
    w.name_field("session", welcome.session.as_str());
    w.uint_field("generation", welcome.generation);
    w.boolean_field("resumed", welcome.resumed);
    w.optional_text("ticket", welcome.ticket.as_deref());
    w.uint_field("heartbeat_ms", welcome.heartbeat_ms);
    w.optional_uint("lease_ms", welcome.lease_ms);
    w.uint_field("token_expires_in_ms", welcome.token_expires_in_ms);
    w.uint_field("server_time_ms", welcome.server_time_ms);
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
    } = welcome.limits;
    w.key("limits");
    w.open_map();
    w.uint_field("payload", payload);
    w.uint_field("message", message);
    w.uint_field("frames", frames);
    w.uint_field("subscriptions", subscriptions);
    w.uint_field("in_flight", in_flight);
    w.uint_field("rate_messages", rate_messages);
    w.uint_field("rate_burst", rate_burst);
    w.uint_field("rate_bytes", rate_bytes);
    w.uint_field("queue_messages", queue_messages);
    w.uint_field("queue_bytes", queue_bytes);
    w.close_map();
}

fn write_texts<W: Writer>(w: &mut W, key: &'static str, texts: &[Text<'_>]) {
    w.key(key);
    w.open_list();
    for text in texts {
        w.item();
        w.text(text);
    }
    w.close_list();
}

fn write_message<W: Writer>(w: &mut W, message: &Message<'_>) {
    w.name_field("from", message.from.as_str());
    w.name_field("session", message.session.as_str());
    w.name_field("to", message.to.as_str());
    w.uint_field("ts", message.ts);
    w.optional_text("mid", message.mid.as_deref());
    w.optional_name("reply_to", message.reply_to.as_ref().map(super::address::Address::as_str));
    w.optional_text("correlation_id", message.correlation_id.as_deref());
    w.optional_uint("deadline_ms", message.deadline_ms);
    if message.lane != Lane::Normal {
        w.name_field("lane", message.lane.name());
    }
    w.optional_text("key", message.key.as_deref());
    headers(w, &message.headers);
    if let Some(position) = &message.position {
        write_position(w, position);
    }
    if message.redelivered {
        w.boolean_field("redelivered", true);
    }
    w.payload(&message.payload);
}

fn write_receipt<W: Writer>(w: &mut W, receipt: &Receipt<'_>) {
    write_ranges(w, "queued", &receipt.queued);
    write_ranges(w, "accepted", &receipt.accepted);
    write_ranges(w, "delivered", &receipt.delivered);
    write_ranges(w, "unknown", &receipt.unknown);
    if !receipt.failed.is_empty() {
        w.key("failed");
        w.open_list();
        for failed in &receipt.failed {
            w.item();
            w.open_map();
            let (first, last) = failed.ids;
            w.uint_field("id", first);
            if last > first {
                w.uint_field("last", last);
            }
            w.name_field("reason", failed.reason.name());
            w.optional_uint("retry_after_ms", failed.retry_after_ms);
            w.optional_text("limit", failed.limit.as_deref());
            w.close_map();
        }
        w.close_list();
    }
    if !receipt.positions.is_empty() {
        w.key("positions");
        w.open_list();
        for (id, stream, point) in &receipt.positions {
            w.item();
            w.open_map();
            w.uint_field("id", *id);
            w.text_field("stream", stream);
            w.text_field("epoch", &point.epoch);
            w.uint_field("seq", point.seq);
            w.close_map();
        }
        w.close_list();
    }
    if !receipt.earlier.is_empty() {
        w.key("earlier");
        w.open_list();
        for earlier in &receipt.earlier {
            w.item();
            w.open_map();
            w.text_field("mid", &earlier.mid);
            w.name_field("outcome", if earlier.failed.is_some() { "failed" } else { "delivered" });
            if let Some(reason) = earlier.failed {
                w.name_field("reason", reason.name());
            }
            w.close_map();
        }
        w.close_list();
    }
}

fn write_ranges<W: Writer>(w: &mut W, key: &'static str, ranges: &[(u64, u64)]) {
    if ranges.is_empty() {
        return;
    }
    w.key(key);
    w.open_list();
    for (first, last) in ranges {
        w.item();
        w.open_list();
        w.item();
        w.uint(*first);
        w.item();
        w.uint(*last);
        w.close_list();
    }
    w.close_list();
}
