//! NATS, as `docs.nats.io/reference/reference-protocols/nats-protocol` describes it, in binary WebSocket messages whose ends are
//! not those of operations.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

use crate::fake_peer::{Desk, Session};

const INFO: &str = "INFO {\"server_id\":\"x\",\"version\":\"2.15.2\",\"max_payload\":1048576}\r\n";

pub(crate) struct Nats {
    desk: Desk,
    connected: bool,
    ponged: bool,
}

pub(crate) fn session(desk: Desk) -> Nats {
    Nats { desk, connected: false, ponged: false }
}

impl Session for Nats {
    fn greeting(&self) -> Option<Message> {
        Some(Message::binary(INFO))
    }

    fn hear(&mut self, message: &Message) {
        let Message::Binary(bytes) = message else { panic!("NATS takes binary messages only") };
        let mut rest = str::from_utf8(bytes).expect("text");
        while let Some((line, behind)) = rest.split_once("\r\n") {
            rest = behind;
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["CONNECT", ..] => self.connected = true,
                // The server asks too.
                ["PING"] => self.desk.say(Message::binary("PONG\r\nPING\r\n")),
                ["PONG"] => self.ponged = true,
                ["SUB", subject, sid] => self.desk.subscribe(subject, sid),
                ["PUB", subject, reply, length] => {
                    assert!(
                        self.connected && self.ponged,
                        "CONNECT comes first, and the ping was answered by now"
                    );
                    let (payload, behind) = rest.split_at(length.parse().expect("a length"));
                    rest = behind.strip_prefix("\r\n").expect("the end of the payload");
                    let message =
                        |sid: &str| format!("MSG {subject} {sid} {reply} {length}\r\n{payload}\r\n");
                    // The two halves of each come in two messages.
                    self.desk.publish(subject, |sid| halves(&message(sid)));
                }
                other => panic!("{other:?} is no operation"),
            }
        }
        assert_eq!(rest, "", "a client's operations are whole");
    }
}

fn halves(message: &str) -> Vec<Message> {
    let (one, other) = message.as_bytes().split_at(message.len() / 2);
    [one, other].map(|half| Message::Binary(Bytes::copy_from_slice(half))).to_vec()
}
