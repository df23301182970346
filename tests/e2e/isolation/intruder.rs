//! One who has every right in a tenant of its own, knows the names of another's agents, and tries.

use anyhow::{Context, ensure};
use relay_protocol::Encoding;
use relay_tests::Fleet;
use relay_tests::fleet::TENANT as VICTIMS;
use relay_tests::raw::{Raw, TEXT, frame};
use relay_tests::seed::Chance;
use serde_json::{Value, json};

use super::victims::{SECRET, Secrets, next_frames};

/// The intruder's own tenant.
pub(super) const TENANT: &str = "other";
const MARK: &str = "from an intruder";

pub(super) struct Intruder {
    socket: Raw,
    session: String,
    secrets: Secrets,
    last_id: u64,
}

impl Intruder {
    /// Comes in under the name of a victim.
    pub(super) async fn enter(fleet: &Fleet, instance: usize, secrets: &Secrets) -> anyhow::Result<Intruder> {
        let token = fleet.cluster.minter().identity(TENANT, "bob")?.token;
        let mut socket = Raw::upgraded(fleet.address(instance), Encoding::Json.subprotocol()).await?;
        let hello = json!({"type": "hello", "id": 1, "token": token, "tenant": VICTIMS, "tid": VICTIMS});
        socket.send(&frame(TEXT, hello.to_string().as_bytes())).await?;
        let welcome = next_frames(&mut socket).await?;
        let session =
            welcome.first().and_then(|welcome| welcome["session"].as_str()).context("no welcome")?;
        Ok(Intruder { session: session.to_owned(), socket, secrets: secrets.clone(), last_id: 1 })
    }

    /// Tries so many frames, and hears what comes of them.
    pub(super) async fn attack(&mut self, chance: &mut Chance, count: u32) -> anyhow::Result<()> {
        let frames: Vec<Value> = (0..count)
            .map(|_| {
                self.last_id += 1;
                attempt(&self.secrets, self.last_id, chance)
            })
            .collect();
        self.socket.send(&frame(TEXT, Value::Array(frames).to_string().as_bytes())).await?;
        self.hear().await
    }

    /// Hears everything up to the answer to a last command.
    async fn hear(&mut self) -> anyhow::Result<()> {
        self.last_id += 1;
        let ping = json!({"type": "ping", "id": self.last_id});
        self.socket.send(&frame(TEXT, ping.to_string().as_bytes())).await?;
        loop {
            for said in next_frames(&mut self.socket).await? {
                let text = said.to_string();
                ensure!(!text.contains(SECRET), "a victim is heard: {said}");
                if said["type"] == "message" {
                    ensure!(said["payload"] == MARK && said["from"] != "agent/alice", "{said}");
                }
                ensure!(said["type"] != "closing", "{said}");
                if said["type"] == "pong" && said["id"] == self.last_id {
                    return Ok(());
                }
            }
        }
    }

    /// What it sends to itself comes behind everything else that may still be on its way.
    pub(super) async fn heard_only_its_own(mut self) -> anyhow::Result<()> {
        self.last_id += 1;
        let send = json!({"type": "send", "id": self.last_id, "to": self.session, "payload": MARK});
        self.socket.send(&frame(TEXT, send.to_string().as_bytes())).await?;
        self.hear().await
    }
}

/// A name to reach somebody by.
fn name(secrets: &Secrets, chance: &mut Chance) -> String {
    let session = &secrets.sessions[chance.below(2) as usize];
    let plain = ["alice", "bob", "private.plans", "private.*", "*", "private", VICTIMS, session];
    let plain = plain[chance.below(8) as usize];
    match chance.below(12) {
        0 => format!("{VICTIMS}/{plain}"),
        1 => format!("{VICTIMS}:{plain}"),
        2 => format!("{VICTIMS}.{plain}"),
        3 => format!("../{VICTIMS}/{plain}"),
        4 => format!("{{{VICTIMS}}}:{plain}"),
        5 => format!("%2e%2e%2f{VICTIMS}%2f{plain}"),
        6 => format!("{plain}\u{0}{VICTIMS}"),
        _ => plain.to_owned(),
    }
}

fn address(secrets: &Secrets, chance: &mut Chance) -> String {
    let kinds = ["agent", "session", "topic", "group", "tenant"];
    format!("{}/{}", kinds[chance.below(5) as usize], name(secrets, chance))
}

/// A frame that names what is not the intruder's.
fn attempt(secrets: &Secrets, id: u64, chance: &mut Chance) -> Value {
    let mut tried = match chance.below(10) {
        0 | 1 => json!({"type": "subscribe", "topic": name(secrets, chance)}),
        2 => json!({"type": "subscribe", "topic": name(secrets, chance), "qos": 1, "rewind": {"last": 100}}),
        3 => json!({"type": "join", "group": name(secrets, chance)}),
        4 => {
            json!({"type": "ack", "stream": address(secrets, chance), "epoch": "1", "seq": chance.below(100)})
        }
        5 => json!({"type": "watch", "agent": name(secrets, chance), "topic": name(secrets, chance)}),
        _ => json!({"type": "send", "to": address(secrets, chance), "payload": MARK}),
    };
    tried["id"] = id.into();
    // Members that are known, with values of others; and members that would name a tenant if there were any.
    for _ in 0..chance.below(4) {
        let (key, value) = match chance.below(9) {
            0 => ("reply_to", json!(address(secrets, chance))),
            1 => ("from", json!("agent/alice")),
            2 => ("session", json!(format!("session/{}", secrets.sessions[0]))),
            3 => ("tenant", json!(VICTIMS)),
            4 => ("tid", json!(VICTIMS)),
            5 => ("headers", json!({"tenant": VICTIMS, "traceparent": name(secrets, chance)})),
            6 => ("key", json!(format!("{VICTIMS}:key"))),
            7 => ("qos", json!(1)),
            _ => ("mid", json!(format!("{VICTIMS}-{id}"))),
        };
        tried[key] = value;
    }
    tried
}

/// Whether a ticket that was stolen or guessed gives a session to an agent of another tenant.
pub(super) async fn resumes(fleet: &Fleet, secrets: &Secrets, chance: &mut Chance) -> anyhow::Result<bool> {
    let agent = ["alice", "bob", "eve"][chance.below(3) as usize];
    let token = fleet.cluster.minter().identity(TENANT, agent)?.token;
    let guessed = format!("{:022}", chance.below(u32::MAX));
    let ticket = secrets.tickets.get(chance.below(3) as usize).unwrap_or(&guessed);
    let stream = |agent| json!({"stream": format!("agent/{agent}"), "epoch": "1", "seq": 0});
    let hello = json!({
        "type": "hello", "id": 1, "token": token,
        "resume": {"ticket": ticket, "streams": [stream("alice"), stream("bob")]},
    });
    let mut socket =
        Raw::upgraded(fleet.address(chance.below(2) as usize), Encoding::Json.subprotocol()).await?;
    socket.send(&frame(TEXT, hello.to_string().as_bytes())).await?;
    socket.send(&frame(TEXT, br#"{"type":"ping","id":2}"#)).await?;
    let mut resumed = false;
    loop {
        for said in next_frames(&mut socket).await? {
            ensure!(!said.to_string().contains(SECRET), "a victim is heard: {said}");
            resumed |= said["resumed"] == true || said["recovered"] == true;
            let session = said["session"].as_str().unwrap_or_default();
            resumed |= secrets.sessions.iter().any(|theirs| session.ends_with(theirs.as_str()));
            if said["type"] == "pong" {
                return Ok(resumed);
            }
        }
    }
}

/// A call of the HTTP API by an administrator of the intruder's tenant.
pub(super) fn call(secrets: &Secrets, chance: &mut Chance) -> (&'static str, String, Option<Value>) {
    let named: String = name(secrets, chance)
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'~' | b'_' | b'-' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    let tenant = ["", "?tenant=acme", "?tenant=other", "?tenant=acme&tenant=other"][chance.below(4) as usize];
    let mut body = json!({"to": address(secrets, chance), "message": {"payload": MARK}});
    if chance.below(2) == 0 {
        body["tenant"] = json!(VICTIMS);
    }
    let aim = |key: &str, value: String| Some(json!({"tenant": VICTIMS, key: value}));
    match chance.below(11) {
        0 => ("GET", format!("/v1/agents{tenant}"), None),
        1 => ("GET", format!("/v1/agents/{named}{tenant}"), None),
        2 => ("GET", format!("/v1/sessions/{named}{tenant}"), None),
        3 => ("POST", "/v1/disconnect".into(), aim("agent", "alice".into())),
        4 => ("POST", "/v1/disconnect".into(), aim("session", secrets.sessions[1].clone())),
        5 => ("POST", "/v1/revoke".into(), aim("agent", "bob".into())),
        6 => ("GET", format!("/v1/keys{tenant}"), None),
        7 => ("PATCH", format!("/v1/tenants/{VICTIMS}"), Some(json!({"suspended": true}))),
        8 => (
            "POST",
            "/v1/broadcast".into(),
            Some(json!({"to": [address(secrets, chance)], "message": {"payload": MARK}})),
        ),
        9 => ("GET", format!("/v1/presence/{named}{tenant}"), None),
        _ => ("POST", "/v1/publish".into(), Some(body)),
    }
}
