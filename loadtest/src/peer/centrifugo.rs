//! Centrifugo's client protocol in JSON: commands and replies, several to a WebSocket message with a line each.
//!
//! An agent subscribes to a channel of its own before it counts as welcomed, and publishes from the client; the server tells
//! who published.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use relay_protocol::{Address, Chunk, ClientFrame, ServerFrame};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::agent::Dialect;
use crate::agent::Ended;
use crate::agent::dialect::{Reader, Writer};
use crate::peer::frames::{Names, broken, message, text};

/// The id of the agent's subscription to its own channel, which no command of its own reaches.
const OWN_ID: u64 = u32::MAX as u64;

pub(super) fn dialect(names: Names) -> Dialect {
    let writer = CentrifugoWriter { names: names.clone() };
    Dialect { writer: Box::new(writer), reader: Box::new(CentrifugoReader { names, ping: None }) }
}

#[derive(Debug)]
struct CentrifugoWriter {
    names: Names,
}

impl Writer for CentrifugoWriter {
    fn write(&mut self, frame: &ClientFrame<'_>, out: &mut Vec<u8>) {
        let prefix = &self.names.prefix;
        match frame {
            ClientFrame::Hello { id, token, .. } => {
                let connect =
                    json!({ "id": id, "connect": { "token": token.as_deref(), "name": "relay-loadtest" } });
                let subscribe = json!({ "id": OWN_ID, "subscribe": { "channel": self.names.own() } });
                out.extend_from_slice(format!("{connect}\n{subscribe}").as_bytes());
            }
            ClientFrame::Subscribe { id, topic, .. } => {
                let subscribe =
                    json!({ "id": id, "subscribe": { "channel": format!("{prefix}topic/{topic}") } });
                out.extend_from_slice(subscribe.to_string().as_bytes());
            }
            ClientFrame::Send(send) => {
                // Names hold nothing that JSON would escape.
                let (id, to, payload) = (send.id, send.to.as_str(), text(&send.payload));
                let command =
                    format!(r#"{{"id":{id},"publish":{{"channel":"{prefix}{to}","data":{payload}}}}}"#);
                out.extend_from_slice(command.as_bytes());
            }
            ClientFrame::Pong => out.extend_from_slice(b"{}"),
            _ => {}
        }
    }

    fn message(&self, written: &[Chunk]) -> Message {
        let joined = match written {
            [only] => only.bytes.clone(),
            several => {
                Bytes::from(several.iter().map(|chunk| &*chunk.bytes).collect::<Vec<_>>().join(&b'\n'))
            }
        };
        match Utf8Bytes::try_from(joined.clone()) {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(joined),
        }
    }
}

#[derive(Debug)]
struct CentrifugoReader {
    names: Names,
    /// How often the server says something.
    ping: Option<Duration>,
}

/// A reply to a command, a push, or with nothing in it a ping.
#[derive(Debug, Deserialize)]
struct Reply<'r> {
    #[serde(default)]
    id: u64,
    error: Option<Refusal>,
    connect: Option<Connected>,
    subscribe: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    push: Option<Push<'r>>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: u32,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
struct Connected {
    /// Seconds.
    ping: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Push<'r> {
    #[serde(borrow, default)]
    channel: Cow<'r, str>,
    #[serde(borrow, rename = "pub")]
    publication: Option<Publication<'r>>,
}

#[derive(Debug, Deserialize)]
struct Publication<'r> {
    #[serde(borrow)]
    data: &'r RawValue,
    #[serde(borrow)]
    info: Option<Publisher<'r>>,
}

#[derive(Debug, Deserialize)]
struct Publisher<'r> {
    #[serde(borrow)]
    user: Cow<'r, str>,
}

impl Reader for CentrifugoReader {
    fn read(&mut self, data: &[u8], each: &mut dyn FnMut(&ServerFrame<'_>)) -> Result<(), Ended> {
        for line in data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.understand(serde_json::from_slice(line).map_err(broken)?, each)?;
        }
        Ok(())
    }
}

impl CentrifugoReader {
    fn understand(&mut self, reply: Reply<'_>, each: &mut dyn FnMut(&ServerFrame<'_>)) -> Result<(), Ended> {
        match reply {
            Reply { error: Some(Refusal { code, message }), .. } => {
                return Err(Ended { code: None, reason: format!("refused: {code} {message}") });
            }
            Reply { push: Some(Push { channel, publication: Some(publication) }), .. } => {
                let user = publication.info.ok_or_else(|| broken("a message from nobody"))?.user;
                let from = Address::parse(format!("agent/{user}").into());
                let from = from.ok_or_else(|| broken("a name of nobody"))?;
                each(&message(from, self.names.address(&channel)?, publication.data.get()));
            }
            Reply { connect: Some(connected), .. } => self.ping = connected.ping.map(Duration::from_secs),
            Reply { id: OWN_ID, subscribe: Some(_), .. } => each(&self.names.welcome(self.ping)),
            Reply { id, subscribe: Some(_), .. } => each(&ServerFrame::Ok { id }),
            Reply { id: 0, push: None, .. } => each(&ServerFrame::Ping),
            // Replies to publications, and pushes about others.
            Reply { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::frames::testing::{join, names, read, write};

    #[test]
    fn an_agent_speaks_as_a_client_of_centrifugo_does() {
        let mut writer = dialect(names()).writer;
        let expected = [
            "{\"connect\":{\"name\":\"relay-loadtest\",\"token\":\"tok\"},\"id\":1}\n\
             {\"id\":4294967295,\"subscribe\":{\"channel\":\"t-0.agent/agent-1\"}}",
            r#"{"id":2,"subscribe":{"channel":"t-0.topic/news"}}"#,
            r#"{"id":3,"publish":{"channel":"t-0.agent/agent-2","data":"hi"}}"#,
            "{}",
            "",
        ];
        assert_eq!(write(&mut *writer), expected);
        assert_eq!(join(&*writer, &["{}", "{}"]), Message::text("{}\n{}"));
    }

    #[test]
    fn replies_pushes_and_pings_are_told_apart() {
        let mut reader = dialect(names()).reader;
        let all = "{\"id\":1,\"connect\":{\"client\":\"421bf374\",\"version\":\"6.9.1\",\"ping\":25,\"pong\":true}}\n\
                   {\"id\":4294967295,\"subscribe\":{}}\n{}\n{\"id\":2,\"subscribe\":{\"recoverable\":true}}\n\
                   {\"id\":3,\"publish\":{}}\n{\"push\":{\"channel\":\"t-0.topic/news\",\"join\":{\"info\":{\"user\":\"x\"}}}}\n\
                   {\"push\":{\"channel\":\"t-0.agent/agent-1\",\"pub\":{\"data\":{\"input\":\"hello\"},\
                   \"info\":{\"user\":\"agent-2\",\"client\":\"b\"}}}}\n";
        let expected = [
            "welcome agent/agent-1 25000",
            "ping",
            "ok 2",
            r#"agent/agent-2 > agent/agent-1: {"input":"hello"}"#,
        ];
        assert_eq!(read(&mut *reader, all).unwrap(), expected);
    }

    #[test]
    fn a_refusal_and_what_is_no_reply_end_the_connection() {
        let refusal = read(
            &mut *dialect(names()).reader,
            r#"{"id":3,"error":{"code":103,"message":"permission denied"}}"#,
        );
        assert_eq!(refusal.unwrap_err().reason, "refused: 103 permission denied");
        for bad in ["[]", "{", r#"{"push":{"channel":"t-0.agent/agent-1","pub":{"data":1}}}"#] {
            assert!(read(&mut *dialect(names()).reader, bad).is_err(), "{bad}");
        }
    }
}
