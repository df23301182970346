//! Engine.IO 4 and Socket.IO 5 in text over WebSocket alone, as the server in `loadtest/peers/socketio` speaks them: `send`
//! and `message` are its events, and it acknowledges a `subscribe`.

use std::borrow::Cow;
use std::time::Duration;

use relay_protocol::{Chunk, ClientFrame, ServerFrame};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::agent::Dialect;
use crate::agent::Ended;
use crate::agent::dialect::{Reader, Writer};
use crate::peer::frames::{Names, broken, message, text};

/// What carries a message of the application.
const MESSAGE_EVENT: &str = "message";

pub(super) fn dialect(names: Names) -> Dialect {
    let writer = SocketIoWriter;
    Dialect { writer: Box::new(writer), reader: Box::new(SocketIoReader { names, ping: None }) }
}

#[derive(Debug)]
struct SocketIoWriter;

impl Writer for SocketIoWriter {
    fn write(&mut self, frame: &ClientFrame<'_>, out: &mut Vec<u8>) {
        match frame {
            ClientFrame::Hello { token, .. } => {
                out.extend_from_slice(format!("40{}", json!({ "token": token.as_deref() })).as_bytes());
            }
            ClientFrame::Subscribe { id, topic, .. } => {
                out.extend_from_slice(format!("42{id}{}", json!(["subscribe", &**topic])).as_bytes());
            }
            ClientFrame::Send(send) => {
                // Addresses hold nothing that JSON would escape.
                let event = format!(r#"42["send","{}",{}]"#, send.to.as_str(), text(&send.payload));
                out.extend_from_slice(event.as_bytes());
            }
            ClientFrame::Pong => out.push(b'3'),
            _ => {}
        }
    }

    fn message(&self, written: &[Chunk]) -> Message {
        let bytes = written.first().map(|chunk| chunk.bytes.clone()).unwrap_or_default();
        match Utf8Bytes::try_from(bytes.clone()) {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(bytes),
        }
    }

    /// Over WebSocket a message is a packet.
    fn batch_max(&self) -> usize {
        1
    }
}

#[derive(Debug)]
struct SocketIoReader {
    names: Names,
    /// How often the server says something.
    ping: Option<Duration>,
}

/// What the server opens with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opening {
    /// Milliseconds.
    ping_interval: u64,
}

/// An event's name, who sent it, where to, and what.
#[derive(Debug, Deserialize)]
struct Event<'e>(
    #[serde(borrow)] Cow<'e, str>,
    #[serde(borrow)] Cow<'e, str>,
    #[serde(borrow)] Cow<'e, str>,
    #[serde(borrow)] &'e RawValue,
);

#[derive(Debug, Deserialize)]
struct Refusal {
    message: String,
}

impl Reader for SocketIoReader {
    fn read(&mut self, data: &[u8], each: &mut dyn FnMut(&ServerFrame<'_>)) -> Result<(), Ended> {
        let packet = str::from_utf8(data).map_err(broken)?;
        let (kind, rest) = packet.split_at_checked(1).ok_or_else(|| broken("an empty packet"))?;
        match kind {
            "0" => {
                let opening: Opening = serde_json::from_str(rest).map_err(broken)?;
                self.ping = Some(Duration::from_millis(opening.ping_interval));
            }
            "2" => each(&ServerFrame::Ping),
            "4" => return self.understand(rest, each),
            "6" => {}
            _ => return Err(Ended { code: None, reason: "the server closed the transport".to_owned() }),
        }
        Ok(())
    }
}

impl SocketIoReader {
    /// A packet of Socket.IO's own, within one of Engine.IO's.
    fn understand(&self, packet: &str, each: &mut dyn FnMut(&ServerFrame<'_>)) -> Result<(), Ended> {
        let (kind, rest) = packet.split_at_checked(1).ok_or_else(|| broken("an empty message"))?;
        match kind {
            "0" => each(&self.names.welcome(self.ping)),
            "2" => {
                let Event(name, from, to, payload) = serde_json::from_str(rest).map_err(broken)?;
                if name != MESSAGE_EVENT {
                    return Err(broken("an event that the server has not"));
                }
                let address =
                    |text| relay_protocol::Address::parse(text).ok_or_else(|| broken("a name of nobody"));
                each(&message(address(from)?, address(to)?, payload.get()));
            }
            "3" => {
                let digits = rest.split('[').next().unwrap_or_default();
                each(&ServerFrame::Ok { id: digits.parse().map_err(broken)? });
            }
            "4" => {
                let Refusal { message } = serde_json::from_str(rest).map_err(broken)?;
                return Err(Ended { code: None, reason: format!("refused: {message}") });
            }
            _ => return Err(Ended { code: None, reason: "the server disconnected the socket".to_owned() }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::frames::testing::{join, names, read, write};

    #[test]
    fn an_agent_speaks_as_a_client_of_socket_io_does() {
        let mut writer = dialect(names()).writer;
        let expected = [
            r#"40{"token":"tok"}"#,
            r#"422["subscribe","news"]"#,
            r#"42["send","agent/agent-2","hi"]"#,
            "3",
            "",
        ];
        assert_eq!(write(&mut *writer), expected);
        assert_eq!((join(&*writer, &["3"]), writer.batch_max()), (Message::text("3"), 1));
    }

    /// The handshake is that of the documentation of both protocols.
    #[test]
    fn packets_are_told_apart() {
        let mut reader = dialect(names()).reader;
        let opening = r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        let packets = [
            (opening, None),
            (r#"40{"sid":"wZX3oN0bSVIhsaknAAAI"}"#, Some("welcome agent/agent-1 25000")),
            ("2", Some("ping")),
            ("6", None),
            ("432[]", Some("ok 2")),
            (
                r#"42["message","agent/agent-2","topic/news",{"a":[1]}]"#,
                Some(r#"agent/agent-2 > topic/news: {"a":[1]}"#),
            ),
        ];
        for (packet, expected) in packets {
            let told = read(&mut *reader, packet).unwrap();
            assert_eq!(told.first().map(String::as_str), expected, "{packet}");
        }
    }

    #[test]
    fn a_refusal_and_what_is_no_packet_end_the_connection() {
        let refusal = read(&mut *dialect(names()).reader, r#"44{"message":"Not authorized"}"#);
        assert_eq!(refusal.unwrap_err().reason, "refused: Not authorized");
        let bad =
            ["", "1", "4", "41", "9", "43x[]", r#"42["message"]"#, r#"42["hey","agent/a","agent/b",1]"#];
        for packet in bad {
            assert!(read(&mut *dialect(names()).reader, packet).is_err(), "{packet}");
        }
    }
}
