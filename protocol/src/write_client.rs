//! Client frames onto the wire.

use crate::card::write_card;
use crate::client::{ClientFrame, Lane, Position, Qos, ReceiptMode, Resume, Rewind, Send};
use crate::encoding::Encoding;
use crate::write::{JsonWriter, MsgpackWriter, Writer, headers};

impl ClientFrame<'_> {
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
            ClientFrame::Hello { id, token, client, resume, card } => {
                w.uint_field("id", *id);
                w.optional_text("token", token.as_deref());
                w.optional_text("client", client.as_deref());
                if let Some(resume) = resume {
                    write_resume(w, resume);
                }
                if let Some(card) = card {
                    write_card(w, card);
                }
            }
            ClientFrame::Auth { id, token } => {
                w.uint_field("id", *id);
                w.text_field("token", token);
            }
            ClientFrame::Send(send) => write_send(w, send),
            ClientFrame::Subscribe { id, topic, qos, rewind, from, present } => {
                w.uint_field("id", *id);
                w.text_field("topic", topic);
                write_qos(w, *qos);
                write_rewind(w, *rewind);
                if let Some(from) = from {
                    w.key("from");
                    w.open_map();
                    w.text_field("epoch", &from.epoch);
                    w.uint_field("seq", from.seq);
                    w.close_map();
                }
                if *present {
                    w.boolean_field("present", true);
                }
            }
            ClientFrame::Unsubscribe { id, topic } => {
                w.uint_field("id", *id);
                w.text_field("topic", topic);
            }
            ClientFrame::Join { id, group } | ClientFrame::Leave { id, group } => {
                w.uint_field("id", *id);
                w.text_field("group", group);
            }
            ClientFrame::Watch { id, to } | ClientFrame::Unwatch { id, to } => {
                w.uint_field("id", *id);
                w.name_field("to", to.as_str());
            }
            ClientFrame::Ping { id } => w.uint_field("id", *id),
            ClientFrame::Pong | ClientFrame::Bye => {}
            ClientFrame::Ack(position) => write_position(w, position),
            ClientFrame::Credit { messages, bytes } => {
                w.uint_field("messages", *messages);
                w.uint_field("bytes", *bytes);
            }
        }
        w.close_map();
    }

    /// The `type` field.
    pub const fn type_name(&self) -> &'static str {
        match self {
            ClientFrame::Hello { .. } => "hello",
            ClientFrame::Auth { .. } => "auth",
            ClientFrame::Send(_) => "send",
            ClientFrame::Subscribe { .. } => "subscribe",
            ClientFrame::Unsubscribe { .. } => "unsubscribe",
            ClientFrame::Join { .. } => "join",
            ClientFrame::Leave { .. } => "leave",
            ClientFrame::Watch { .. } => "watch",
            ClientFrame::Unwatch { .. } => "unwatch",
            ClientFrame::Ping { .. } => "ping",
            ClientFrame::Pong => "pong",
            ClientFrame::Ack(_) => "ack",
            ClientFrame::Credit { .. } => "credit",
            ClientFrame::Bye => "bye",
        }
    }
}

fn write_send<W: Writer>(w: &mut W, send: &Send<'_>) {
    w.uint_field("id", send.id);
    w.name_field("to", send.to.as_str());
    write_qos(w, send.qos);
    if send.receipt != ReceiptMode::Failure {
        w.name_field("receipt", send.receipt.name());
    }
    w.optional_text("mid", send.mid.as_deref());
    w.optional_name("reply_to", send.reply_to.as_ref().map(super::address::Address::as_str));
    w.optional_text("correlation_id", send.correlation_id.as_deref());
    w.optional_uint("deadline_ms", send.deadline_ms);
    w.optional_uint("ttl_ms", send.ttl_ms);
    if send.lane != Lane::Normal {
        w.name_field("lane", send.lane.name());
    }
    w.optional_text("key", send.key.as_deref());
    headers(w, &send.headers);
    w.optional_uint("counter", send.counter);
    w.optional_uint("settled", send.settled);
    w.payload(&send.payload);
}

fn write_rewind<W: Writer>(w: &mut W, rewind: Option<Rewind>) {
    let Some(rewind) = rewind else { return };
    w.key("rewind");
    w.open_map();
    match rewind {
        Rewind::Last(count) => w.uint_field("last", count),
        Rewind::SinceMs(time) => w.uint_field("since_ms", time),
    }
    w.close_map();
}

fn write_qos<W: Writer>(w: &mut W, qos: Qos) {
    if qos == Qos::AtLeastOnce {
        w.uint_field("qos", 1);
    }
}

fn write_resume<W: Writer>(w: &mut W, resume: &Resume<'_>) {
    w.key("resume");
    w.open_map();
    w.text_field("ticket", &resume.ticket);
    w.key("streams");
    w.open_list();
    for position in &resume.streams {
        w.item();
        w.open_map();
        write_position(w, position);
        w.close_map();
    }
    w.close_list();
    w.close_map();
}

pub(crate) fn write_position<W: Writer>(w: &mut W, position: &Position<'_>) {
    w.text_field("stream", &position.stream);
    w.text_field("epoch", &position.epoch);
    w.uint_field("seq", position.seq);
}
