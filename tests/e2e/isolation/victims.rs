//! Two agents of one tenant, on two instances, that talk while they are attacked.

use anyhow::{Context, ensure};
use relay_tests::Fleet;
use relay_tests::raw::{Raw, TEXT, frame, hello};
use serde_json::{Value, json};

/// What stands in every payload of theirs.
pub(super) const SECRET: &str = "strictly among ourselves";
const AGENTS: [&str; 2] = ["alice", "bob"];

/// What an intruder is assumed to have found out.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    /// The sessions' names.
    pub(super) sessions: Vec<String>,
    /// Their tickets, where sessions can be resumed.
    pub(super) tickets: Vec<String>,
}

pub(super) struct Victims {
    sockets: Vec<Raw>,
    welcomes: Vec<Value>,
    last_id: u64,
    rounds: usize,
}

impl Victims {
    pub(super) async fn gather(fleet: &Fleet) -> anyhow::Result<Victims> {
        let mut victims = Victims { sockets: Vec::new(), welcomes: Vec::new(), last_id: 1, rounds: 0 };
        for (instance, agent) in AGENTS.into_iter().enumerate() {
            let mut socket = Raw::upgraded(fleet.address(instance), "agent-relay.v1.json").await?;
            socket.send(&frame(TEXT, hello(&fleet.token(agent)?).as_bytes())).await?;
            let (_, welcome) = socket.next().await?.context("no welcome")?;
            victims.welcomes.push(serde_json::from_slice(&welcome)?);
            victims.sockets.push(socket);
        }
        let id = victims.next_id();
        for socket in &mut victims.sockets {
            let wish = json!({"type": "subscribe", "id": id, "topic": "private.*"});
            socket.send(&frame(TEXT, wish.to_string().as_bytes())).await?;
            while !saw(socket, |frame| frame["id"] == id).await? {}
        }
        Ok(victims)
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn secrets(&self) -> Secrets {
        let text = |key: &str| {
            self.welcomes.iter().filter_map(|welcome| Some(welcome[key].as_str()?.to_owned())).collect()
        };
        let sessions: Vec<String> = text("session");
        Secrets {
            sessions: sessions.iter().map(|session| session.replacen("session/", "", 1)).collect(),
            tickets: text("ticket"),
        }
    }

    /// Each sends to the other, and to a topic that both hear; all of it comes.
    pub(super) async fn talk(&mut self) -> anyhow::Result<()> {
        self.rounds += 1;
        for (own, other) in [(0, AGENTS[1]), (1, AGENTS[0])] {
            let (direct, topic) = (self.next_id(), self.next_id());
            let said = json!([
                {"type": "send", "id": direct, "to": format!("agent/{other}"), "payload": SECRET},
                {"type": "send", "id": topic, "to": "topic/private.plans", "payload": SECRET},
            ]);
            self.sockets[own].send(&frame(TEXT, said.to_string().as_bytes())).await?;
        }
        for socket in &mut self.sockets {
            // One message from the other, and two of the topic.
            let mut heard = 0;
            while heard < 3 {
                let frames = next_frames(socket).await?;
                for frame in frames.iter().filter(|frame| frame["type"] == "message") {
                    ensure!(frame["payload"] == SECRET, "an intruder is heard: {frame}");
                    heard += 1;
                }
                let refused =
                    frames.iter().find(|frame| frame["type"] == "closing" || frame["type"] == "error");
                ensure!(refused.is_none(), "{refused:?}");
            }
            ensure!(heard == 3, "{heard} messages where 3 were sent");
        }
        Ok(())
    }

    /// Nothing more waits for them.
    pub(super) async fn heard_only_each_other(mut self) -> anyhow::Result<()> {
        let id = self.next_id();
        for socket in &mut self.sockets {
            socket.send(&frame(TEXT, json!({"type": "ping", "id": id}).to_string().as_bytes())).await?;
            let frames = next_frames(socket).await?;
            ensure!(frames.iter().all(|frame| frame["type"] == "pong"), "{frames:?}");
        }
        Ok(())
    }
}

/// The frames of the next WebSocket message.
pub(super) async fn next_frames(socket: &mut Raw) -> anyhow::Result<Vec<Value>> {
    let (_, said) = socket.next().await?.context("the relay closed")?;
    Ok(match serde_json::from_slice(&said)? {
        Value::Array(frames) => frames,
        frame => vec![frame],
    })
}

async fn saw(socket: &mut Raw, is: impl Fn(&Value) -> bool) -> anyhow::Result<bool> {
    Ok(next_frames(socket).await?.iter().any(is))
}
