//! What every dialect hands on, and the names that it knows agents and topics by.

use std::time::Duration;

use relay_protocol::server::{Limits, Message, Welcome};
use relay_protocol::{Address, Payload, ServerFrame};

use crate::agent::Ended;

const UNLIMITED: Limits = Limits {
    payload: u64::MAX,
    message: u64::MAX,
    frames: u64::MAX,
    subscriptions: u64::MAX,
    in_flight: u64::MAX,
    rate_messages: u64::MAX,
    rate_burst: u64::MAX,
    rate_bytes: u64::MAX,
    queue_messages: u64::MAX,
    queue_bytes: u64::MAX,
};

/// The names that an agent and those it talks to have on a server without tenants: `load-1a2b3c4d-0.agent/agent-7`.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The tenant and a dot, before every name.
    pub(super) prefix: String,
    /// The agent's own address.
    pub(super) me: Address<'static>,
}

impl Names {
    /// The agent's own name.
    pub(super) fn own(&self) -> String {
        format!("{}{}", self.prefix, self.me.as_str())
    }

    /// The address that `name` stands for; one of another tenant is an error, as it must never arrive.
    pub(super) fn address<'n>(&self, name: &'n str) -> Result<Address<'n>, Ended> {
        name.strip_prefix(&self.prefix)
            .and_then(|rest| Address::parse(rest.into()))
            .ok_or_else(|| broken("a name of nobody"))
    }

    /// The agent may begin; a silence longer than twice `heartbeat` is none of the server's.
    pub(super) fn welcome(&self, heartbeat: Option<Duration>) -> ServerFrame<'_> {
        let heartbeat_ms = heartbeat.and_then(|every| u64::try_from(every.as_millis()).ok());
        ServerFrame::Welcome(Box::new(Welcome {
            id: 1,
            protocol: 1,
            agent: self.me.borrowed(),
            session: self.me.borrowed(),
            generation: 1,
            resumed: false,
            ticket: None,
            heartbeat_ms: heartbeat_ms.unwrap_or(u64::MAX),
            lease_ms: None,
            token_expires_in_ms: u64::MAX,
            server_time_ms: 0,
            limits: UNLIMITED,
        }))
    }
}

/// A message with nothing but what every server carries.
pub(super) fn message<'m>(from: Address<'m>, to: Address<'m>, payload: &'m str) -> ServerFrame<'m> {
    ServerFrame::Message(Message {
        session: from.clone(),
        from,
        to,
        ts: 0,
        payload: Payload::Json(payload.into()),
        mid: None,
        reply_to: None,
        correlation_id: None,
        deadline_ms: None,
        lane: relay_protocol::client::Lane::Normal,
        key: None,
        headers: Vec::new(),
        position: None,
        redelivered: false,
    })
}

/// The payload as these servers carry it: JSON text, as it is.
pub(super) fn text<'p>(payload: &'p Payload<'_>) -> &'p str {
    match payload {
        Payload::Json(text) => text,
        // Runs on peers are in JSON.
        Payload::Bytes(_) => "null",
    }
}

/// What ends a connection on which something came that the protocol has not.
pub(super) fn broken(what: impl std::fmt::Display) -> Ended {
    Ended { code: None, reason: format!("protocol: {what}") }
}

#[cfg(test)]
pub(super) mod testing {
    use bytes::Bytes;
    use relay_protocol::client::{Qos, ReceiptMode};
    use relay_protocol::{Address, Chunk, ClientFrame, Payload, Send, ServerFrame};
    use tokio_tungstenite::tungstenite::Message;

    use super::{Ended, Names};
    use crate::agent::dialect::{Reader, Writer};

    /// Agent 1 of a tenant.
    pub(in crate::peer) fn names() -> Names {
        Names { prefix: "t-0.".to_owned(), me: Address::parse("agent/agent-1".into()).unwrap().into_owned() }
    }

    /// What is handed on, in words.
    pub(in crate::peer) fn read(reader: &mut dyn Reader, data: &str) -> Result<Vec<String>, Ended> {
        let mut told = Vec::new();
        reader.read(data.as_bytes(), &mut |frame| told.push(words(frame)))?;
        Ok(told)
    }

    fn words(frame: &ServerFrame<'_>) -> String {
        match frame {
            ServerFrame::Welcome(welcome) => {
                format!("welcome {} {}", welcome.agent.as_str(), welcome.heartbeat_ms)
            }
            ServerFrame::Ok { id } => format!("ok {id}"),
            ServerFrame::Ping => "ping".to_owned(),
            ServerFrame::Message(message) => {
                let Payload::Json(payload) = &message.payload else { panic!("{frame:?}") };
                format!("{} > {}: {payload}", message.from.as_str(), message.to.as_str())
            }
            other => panic!("{other:?}"),
        }
    }

    /// What an agent says from `hello` on, each as it is written.
    pub(in crate::peer) fn write(writer: &mut dyn Writer) -> Vec<String> {
        let subscribe = ClientFrame::Subscribe {
            id: 2,
            topic: "news".into(),
            qos: Qos::AtMostOnce,
            rewind: None,
            from: None,
            present: false,
        };
        let hello =
            ClientFrame::Hello { id: 1, token: Some("tok".into()), client: None, resume: None, card: None };
        let mut send =
            Send::new(3, Address::parse("agent/agent-2".into()).unwrap(), Payload::Json("\"hi\"".into()));
        send.receipt = ReceiptMode::None;
        let frames = [hello, subscribe, ClientFrame::Send(send), ClientFrame::Pong, ClientFrame::Bye];
        let written = frames.iter().map(|frame| {
            let mut out = Vec::new();
            writer.write(frame, &mut out);
            String::from_utf8(out).unwrap()
        });
        written.collect()
    }

    /// Several as one WebSocket message.
    pub(in crate::peer) fn join(writer: &dyn Writer, written: &[&'static str]) -> Message {
        let chunks: Vec<Chunk> =
            written.iter().map(|text| Chunk::one(Bytes::from_static(text.as_bytes()))).collect();
        writer.message(&chunks)
    }
}
