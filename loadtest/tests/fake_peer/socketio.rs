//! Socket.IO, as `socket.io/docs/v4/engine-io-protocol` and `/socket-io-protocol` describe it, and the events of our server.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::fake_peer::{Claims, Desk, Session, claims};

const OPENING: &str = r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

pub(crate) struct SocketIo {
    desk: Desk,
    who: Option<Claims>,
    ponged: bool,
}

pub(crate) fn session(desk: Desk) -> SocketIo {
    SocketIo { desk, who: None, ponged: false }
}

impl Session for SocketIo {
    fn greeting(&self) -> Option<Message> {
        Some(OPENING.into())
    }

    fn hear(&mut self, message: &Message) {
        let text = message.to_text().expect("text");
        if let Some(auth) = text.strip_prefix("40") {
            let auth: Value = serde_json::from_str(auth).expect("what proves who it is");
            self.who = claims(auth["token"].as_str().unwrap_or_default());
            match &self.who {
                Some(Claims { sub, tid }) => {
                    self.desk.subscribe(&format!("{tid}.agent/{sub}"), "");
                    self.desk.say(r#"40{"sid":"wZX3oN0bSVIhsaknAAAI"}"#);
                    self.desk.say("2");
                }
                None => self.desk.say(r#"44{"message":"unauthorized"}"#),
            }
        } else if let Some(event) = text.strip_prefix("42") {
            let begin = event.find('[').expect("an event");
            let (id, event) = event.split_at(begin);
            self.event(id, &serde_json::from_str(event).expect("an event"));
        } else {
            assert_eq!(text, "3", "no packet that an agent sends");
            self.ponged = true;
        }
    }
}

impl SocketIo {
    fn event(&self, id: &str, event: &Value) {
        let Claims { sub, tid } = self.who.as_ref().expect("it connected first");
        let to = event[1].as_str().expect("a name");
        match event[0].as_str() {
            Some("subscribe") => {
                self.desk.subscribe(&format!("{tid}.topic/{to}"), "");
                self.desk.say(format!("43{id}[]"));
            }
            Some("send") => {
                assert!(self.ponged, "the ping was answered by now");
                let packet = json!(["message", format!("agent/{sub}"), to, event[2]]);
                self.desk.publish(&format!("{tid}.{to}"), |_| vec![format!("42{packet}").into()]);
            }
            other => panic!("{other:?} is no event"),
        }
    }
}
