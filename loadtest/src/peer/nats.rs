//! NATS's client protocol in binary WebSocket messages: `CONNECT`, `SUB`, `PUB` and `MSG`, with the sender as reply subject.
//!
//! A subscription is answered by nothing; a `PONG` behind it says that it stands.

use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::{Bytes, BytesMut};
use relay_protocol::{Chunk, ClientFrame, ServerFrame};
use tokio_tungstenite::tungstenite::Message;

use crate::agent::Dialect;
use crate::agent::Ended;
use crate::agent::dialect::{Reader, Writer};
use crate::peer::frames::{Names, broken, message, text};

/// The server's own bound of a line (`max_control_line`).
const LINE_BYTES_MAX: usize = 4_096;
/// The server's own bound of a payload is 1 MiB (`max_payload`) unless raised.
const PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;

const CONNECT: &str = concat!(
    r#"CONNECT {"verbose":false,"pedantic":false,"lang":"rust","name":"relay-loadtest","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","protocol":1,"headers":false}"#
);

pub(super) fn dialect(names: Names) -> Dialect {
    let (asked, answered) = channel();
    let writer = NatsWriter { names: names.clone(), own: names.own(), asked };
    let reader = NatsReader { names, answered, welcomed: false, partial: BytesMut::new() };
    Dialect { writer: Box::new(writer), reader: Box::new(reader) }
}

#[derive(Debug)]
struct NatsWriter {
    names: Names,
    own: String,
    /// The commands whose `PONG` is to come.
    asked: Sender<u64>,
}

impl NatsWriter {
    fn ask(&self, id: u64) {
        // The reader lives as long as the connection; behind that nobody waits.
        let _ = self.asked.send(id);
    }
}

impl Writer for NatsWriter {
    fn write(&mut self, frame: &ClientFrame<'_>, out: &mut Vec<u8>) {
        let own = &self.own;
        match frame {
            ClientFrame::Hello { id, .. } => {
                out.extend_from_slice(format!("{CONNECT}\r\nSUB {own} 0\r\nPING\r\n").as_bytes());
                self.ask(*id);
            }
            ClientFrame::Subscribe { id, topic, .. } => {
                let prefix = &self.names.prefix;
                out.extend_from_slice(format!("SUB {prefix}topic/{topic} {id}\r\nPING\r\n").as_bytes());
                self.ask(*id);
            }
            ClientFrame::Send(send) => {
                let (payload, to) = (text(&send.payload), send.to.as_str());
                let line = format!("PUB {}{to} {own} {}\r\n", self.names.prefix, payload.len());
                out.reserve(line.len() + payload.len() + 2);
                out.extend_from_slice(line.as_bytes());
                out.extend_from_slice(payload.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            ClientFrame::Pong => out.extend_from_slice(b"PONG\r\n"),
            _ => {}
        }
    }

    fn message(&self, written: &[Chunk]) -> Message {
        Message::Binary(match written {
            [only] => only.bytes.clone(),
            several => {
                Bytes::from(several.iter().flat_map(|chunk| chunk.bytes.iter().copied()).collect::<Vec<u8>>())
            }
        })
    }
}

#[derive(Debug)]
struct NatsReader {
    names: Names,
    answered: Receiver<u64>,
    welcomed: bool,
    /// The beginning of something whose end is in a later WebSocket message.
    partial: BytesMut,
}

impl Reader for NatsReader {
    fn read(&mut self, data: &[u8], each: &mut dyn FnMut(&ServerFrame<'_>)) -> Result<(), Ended> {
        if self.partial.is_empty() {
            let whole = self.understand(data, each)?;
            self.partial.extend_from_slice(&data[whole..]);
        } else {
            self.partial.extend_from_slice(data);
            let mut joined = std::mem::take(&mut self.partial);
            let whole = self.understand(&joined, each)?;
            self.partial = joined.split_off(whole);
        }
        Ok(())
    }
}

impl NatsReader {
    /// Hands on what is whole, and says how many bytes that was.
    fn understand(&mut self, data: &[u8], each: &mut dyn FnMut(&ServerFrame<'_>)) -> Result<usize, Ended> {
        let mut whole = 0;
        while let Some((operation, length)) = Operation::parse(&data[whole..])? {
            match operation {
                Operation::Message { subject, reply, payload } => {
                    let from = self.names.address(reply.ok_or_else(|| broken("a message from nobody"))?)?;
                    each(&message(from, self.names.address(subject)?, payload));
                }
                Operation::Ping => each(&ServerFrame::Ping),
                Operation::Pong => {
                    let id = self.answered.try_recv().map_err(|_| broken("a PONG too many"))?;
                    if self.welcomed {
                        each(&ServerFrame::Ok { id });
                    } else {
                        self.welcomed = true;
                        each(&self.names.welcome(None));
                    }
                }
                Operation::Refusal(why) => return Err(Ended { code: None, reason: why.to_owned() }),
                Operation::Other => {}
            }
            whole += length;
        }
        Ok(whole)
    }
}

/// One operation of the server's.
#[derive(Debug, PartialEq, Eq)]
enum Operation<'o> {
    Message {
        subject: &'o str,
        reply: Option<&'o str>,
        payload: &'o str,
    },
    Ping,
    Pong,
    /// `-ERR`, behind which the server mostly closes.
    Refusal(&'o str),
    /// `INFO` and `+OK`.
    Other,
}

impl Operation<'_> {
    /// The operation that `data` begins with and its length; nothing while it is not all there.
    fn parse(data: &[u8]) -> Result<Option<(Operation<'_>, usize)>, Ended> {
        let Some(end) = data.windows(2).position(|pair| pair == b"\r\n") else {
            // What a server says of itself may be longer than a line of ours.
            let long = data.len() > LINE_BYTES_MAX && !data.starts_with(b"INFO ");
            return if long || data.len() > PAYLOAD_BYTES_MAX {
                Err(broken("a line without end"))
            } else {
                Ok(None)
            };
        };
        let line = str::from_utf8(&data[..end]).map_err(broken)?;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let operation = match word {
            "MSG" => return Operation::parse_message(rest, data, end + 2),
            "PING" => Operation::Ping,
            "PONG" => Operation::Pong,
            "INFO" | "+OK" => Operation::Other,
            "-ERR" => Operation::Refusal(rest),
            _ => return Err(broken("an operation of no server")),
        };
        Ok(Some((operation, end + 2)))
    }

    /// `MSG <subject> <sid> [reply] <bytes>`, then the payload from `begin` on.
    fn parse_message<'o>(
        line: &'o str,
        data: &'o [u8],
        begin: usize,
    ) -> Result<Option<(Operation<'o>, usize)>, Ended> {
        let mut words = line.split_ascii_whitespace();
        let (subject, sid, third, fourth) = (words.next(), words.next(), words.next(), words.next());
        let (reply, bytes) = if fourth.is_some() { (third, fourth) } else { (None, third) };
        let bytes =
            bytes.and_then(|bytes| bytes.parse::<usize>().ok()).filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX);
        let (Some(subject), Some(_), Some(bytes)) = (subject, sid, bytes) else {
            return Err(broken("a message without subject or size"));
        };
        let end = begin + bytes;
        let Some(tail) = data.get(end..end + 2) else { return Ok(None) };
        if tail != b"\r\n" {
            return Err(broken("a payload longer than it said"));
        }
        let payload = str::from_utf8(&data[begin..end]).map_err(broken)?;
        Ok(Some((Operation::Message { subject, reply, payload }, end + 2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::frames::testing::{join, names, read, write};

    #[test]
    fn an_agent_speaks_as_a_client_of_nats_does() {
        let mut writer = dialect(names()).writer;
        let connect = format!("{CONNECT}\r\nSUB t-0.agent/agent-1 0\r\nPING\r\n");
        let expected = [
            &*connect,
            "SUB t-0.topic/news 2\r\nPING\r\n",
            "PUB t-0.agent/agent-2 t-0.agent/agent-1 4\r\n\"hi\"\r\n",
            "PONG\r\n",
            "",
        ];
        assert_eq!(write(&mut *writer), expected);
        assert_eq!(join(&*writer, &["PING\r\n", "PONG\r\n"]), Message::binary("PING\r\nPONG\r\n"));
    }

    #[test]
    fn what_comes_is_understood_however_it_is_cut() {
        let all = "INFO {\"server_id\":\"x\"}\r\nPONG\r\nPING\r\nMSG t-0.agent/agent-1 0 t-0.agent/agent-2 4\r\n\"hi\"\r\n\
                   PONG\r\nMSG t-0.topic/news 2 t-0.agent/agent-3 6\r\n\"\r\n\r\n\"\r\n+OK\r\n";
        let expected = [
            format!("welcome agent/agent-1 {}", u64::MAX),
            "ping".to_owned(),
            "agent/agent-2 > agent/agent-1: \"hi\"".to_owned(),
            "ok 2".to_owned(),
            "agent/agent-3 > topic/news: \"\r\n\r\n\"".to_owned(),
        ];
        for cut in 0..all.len() {
            let Dialect { mut writer, mut reader } = dialect(names());
            write(&mut *writer);
            let (one, other) = all.split_at(cut);
            let mut told = read(&mut *reader, one).unwrap();
            told.extend(read(&mut *reader, other).unwrap());
            assert_eq!(told, expected, "cut at {cut}");
        }
    }

    /// The examples of NATS's documentation.
    #[test]
    fn the_examples_of_the_documentation_are_read() {
        let plain = "MSG FOO.BAR 9 11\r\nHello World\r\n";
        let message = |reply| Operation::Message { subject: "FOO.BAR", reply, payload: "Hello World" };
        assert_eq!(Operation::parse(plain.as_bytes()), Ok(Some((message(None), plain.len()))));
        let replied = "MSG FOO.BAR 9 GREETING.34 11\r\nHello World\r\n";
        let expected = Ok(Some((message(Some("GREETING.34")), replied.len())));
        assert_eq!(Operation::parse(replied.as_bytes()), expected);
        let refused = Operation::parse(b"-ERR 'Unknown Protocol Operation'\r\n");
        assert_eq!(refused, Ok(Some((Operation::Refusal("'Unknown Protocol Operation'"), 35))));
    }

    #[test]
    fn what_is_no_operation_ends_the_connection() {
        let long = "M".repeat(LINE_BYTES_MAX + 1);
        for bad in
            ["HELLO\r\n", "MSG a 1\r\n", "MSG a 1 99999999\r\n", "MSG a 1 2\r\nabc\r\n", "PONG\r\n", &long]
        {
            assert!(read(&mut *dialect(names()).reader, bad).is_err(), "{bad}");
        }
        for stranger in
            ["MSG t-0.agent/agent-1 0 2\r\nhi\r\n", "MSG t-1.agent/agent-1 0 t-1.agent/agent-2 2\r\nhi\r\n"]
        {
            assert!(read(&mut *dialect(names()).reader, stranger).is_err(), "{stranger}");
        }
    }
}
