//! Centrifugo, as `centrifugal.dev/docs/transports/client_protocol` describes it.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::fake_peer::{Desk, Session, claims};

pub(crate) struct Centrifugo {
    desk: Desk,
    user: Option<String>,
    ponged: bool,
}

pub(crate) fn session(desk: Desk) -> Centrifugo {
    Centrifugo { desk, user: None, ponged: false }
}

impl Session for Centrifugo {
    fn greeting(&self) -> Option<Message> {
        None
    }

    fn hear(&mut self, message: &Message) {
        let text = message.to_text().expect("text");
        for line in text.lines() {
            let command: Value = serde_json::from_str(line).expect("a command");
            if let Some(reply) = self.answer(&command) {
                self.desk.say(reply.to_string());
            }
        }
    }
}

impl Centrifugo {
    fn answer(&mut self, command: &Value) -> Option<Value> {
        self.ponged |= *command == json!({});
        let id = command.get("id")?.as_u64().filter(|id| *id > 0).expect("an id");
        if let Some(connect) = command.get("connect") {
            let claims = claims(connect["token"].as_str().unwrap_or_default());
            self.user = claims.map(|claims| claims.sub);
            return Some(match self.user {
                // A ping comes at once.
                Some(_) => {
                    let connected = json!({ "client": "c1", "version": "0", "ping": 25, "pong": true });
                    self.desk.say(json!({ "id": id, "connect": connected }).to_string());
                    json!({})
                }
                None => json!({ "id": id, "error": { "code": 109, "message": "token expired" } }),
            });
        }
        let user = self.user.clone()?;
        if let Some(subscribe) = command.get("subscribe") {
            let channel = subscribe["channel"].as_str().expect("a channel");
            self.desk.subscribe(channel, channel);
            return Some(json!({ "id": id, "subscribe": {} }));
        }
        assert!(self.ponged, "the ping was answered by now");
        let publish = command.get("publish").expect("a command");
        let channel = publish["channel"].as_str().expect("a channel");
        let publication = json!({ "data": publish["data"], "info": { "user": user, "client": "c1" } });
        let push = json!({ "push": { "channel": channel, "pub": publication } });
        // Two to a message, as the server does under load.
        let other = json!({ "push": { "channel": channel, "join": { "info": { "user": user } } } });
        self.desk.publish(channel, |_| vec![Message::text(format!("{other}\n{push}"))]);
        Some(json!({ "id": id, "publish": {} }))
    }
}
