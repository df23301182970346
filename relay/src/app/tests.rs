//! Three whole relays in one process, joined by a real Redis, and real sockets: what administrators do ends connections
//! on every instance.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use clap::{Args as _, Command, FromArgMatches as _};
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::App;
use crate::api_keys::ApiKeyRequest;
use crate::auth::{Minter, RightsClaim, TokenRequest};
use crate::bus::conformance::eventually;
use crate::config::{Config, Secret};
use crate::redis::test_server::TestServer;
use crate::revocation::Revocation;

const SECRET: &str = "a secret of tests, 32 bytes long";
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of each instance that a revocation ends.
const CONCERNED: usize = 100;

struct Client(WebSocketStream<TcpStream>, VecDeque<Value>);

impl Client {
    /// Connects, with `token` in `hello` or in a header.
    async fn open(app: &App, token: &str, in_header: bool) -> Client {
        let mut request = format!("ws://{}/ws", app.address()).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "agent-relay.v1.json".parse().unwrap());
        if in_header {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let socket = TcpStream::connect(app.address()).await.unwrap();
        let mut client = Client(client_async(request, socket).await.unwrap().0, VecDeque::new());
        let shown = if in_header { String::new() } else { format!(r#","token":"{token}""#) };
        client.0.send(Message::text(format!(r#"{{"type":"hello","id":1{shown}}}"#))).await.unwrap();
        client
    }

    async fn join(app: &App, token: &str) -> Client {
        let mut client = Client::open(app, token, false).await;
        assert_eq!(client.hear().await["type"], "welcome");
        client
    }

    /// What it hears of its own matters: a machine with much to do says so besides.
    async fn hear(&mut self) -> Value {
        loop {
            while let Some(frame) = self.1.pop_front() {
                if frame["type"] != "degraded" {
                    return frame;
                }
            }
            let message = timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap();
            match serde_json::from_str(message.to_text().unwrap()).unwrap() {
                Value::Array(frames) => self.1.extend(frames),
                frame => self.1.push_back(frame),
            }
        }
    }

    /// Reads to the close; its code, and when it came.
    async fn closed(&mut self) -> (u16, Instant) {
        loop {
            match timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap() {
                Message::Close(frame) => return (frame.unwrap().code.into(), Instant::now()),
                Message::Text(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn assert_lives(&mut self) {
        self.0.send(Message::text(r#"{"type":"ping","id":2}"#)).await.unwrap();
        assert_eq!(self.hear().await["type"], "pong");
    }
}

async fn start(redis: &TestServer) -> App {
    let command = Config::augment_args(Command::new("relay").no_binary_name(true));
    let url = redis.url();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--auth-hmac-secret",
        SECRET,
        "--redis-url",
        &url,
        "--max-connections",
        "5000",
    ];
    let config = Config::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap();
    assert_eq!(config.validate(), Ok(()));
    App::start(&config).await.unwrap()
}

async fn fleet() -> (TestServer, [App; 3]) {
    let redis = TestServer::start().await;
    let apps = [start(&redis).await, start(&redis).await, start(&redis).await];
    (redis, apps)
}

/// A token that was made two seconds ago: within the very second of its making a revocation concerns it too.
fn token(tenant: &str, agent: &str) -> String {
    let minter = Minter::hs256(&Secret::from(SECRET.to_owned()), None, "agent-relay", "agent-relay").unwrap();
    let (tenant, agent, rights) = (tenant.to_owned(), agent.to_owned(), RightsClaim::everything());
    let request = TokenRequest { tenant, agent, ttl: Duration::from_hours(1), rights };
    minter.mint(&request, SystemTime::now() - Duration::from_secs(2)).unwrap()
}

fn token_id(token: &str) -> String {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["jti"].as_str().unwrap().to_owned()
}

async fn leave(apps: [App; 3]) {
    for left in join_all(apps.map(App::leave)).await {
        assert!(left, "something went on for too long");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn a_revoked_agent_is_gone_from_every_instance_within_a_second() {
    let (_redis, apps) = fleet().await;
    for round in 0..5 {
        let agent = format!("bob{round}");
        let (shown, other) = (token("acme", &agent), token("acme", "eve"));
        let (mut concerned, mut others) = (Vec::new(), Vec::new());
        for app in &apps {
            concerned.extend(join_all((0..CONCERNED).map(|_| Client::join(app, &shown))).await);
            others.extend(join_all((0..10).map(|_| Client::join(app, &other))).await);
        }
        let called = Instant::now();
        let revocation = Revocation::of_agent("acme", &agent, SystemTime::now()).unwrap();
        apps[round % 3].revocations().revoke(revocation).await.unwrap();
        let stored = called.elapsed();
        let closed = join_all(concerned.iter_mut().map(Client::closed)).await;
        assert!(closed.iter().all(|(code, _)| *code == 4006));
        let last = closed.iter().map(|(_, at)| *at - called).max().unwrap();
        println!("revoked: stored after {stored:?}, the last of {} closed after {last:?}", closed.len());
        assert!(last < Duration::from_secs(1), "{last:?}");
        join_all(others.iter_mut().map(Client::assert_lives)).await;
        for app in &apps {
            assert_eq!(
                Client::open(app, &shown, false).await.closed().await.0,
                4006,
                "nor does it come back"
            );
        }
    }
    leave(apps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_its_own_connections_and_a_refreshed_one_the_refreshed() {
    let (_redis, apps) = fleet().await;
    let (first, second) = (token("acme", "bob"), token("acme", "bob"));
    let mut by_first = Client::join(&apps[0], &first).await;
    let mut by_second = Client::join(&apps[1], &second).await;
    let mut changed = Client::join(&apps[2], &first).await;
    changed.0.send(Message::text(format!(r#"{{"type":"auth","id":2,"token":"{second}"}}"#))).await.unwrap();
    assert_eq!(changed.hear().await["type"], "ok");
    let revoke = async |token: &str| {
        let revocation = Revocation::of_token("acme", &token_id(token)).unwrap();
        apps[1].revocations().revoke(revocation).await.unwrap();
    };
    revoke(&first).await;
    assert_eq!(by_first.closed().await.0, 4006);
    eventually("the third instance knows", async || {
        Client::open(&apps[2], &first, false).await.hear().await["type"] == "closing"
    })
    .await;
    changed.0.send(Message::text(format!(r#"{{"type":"auth","id":3,"token":"{first}"}}"#))).await.unwrap();
    let refused = changed.hear().await;
    assert_eq!((&refused["code"], &refused["message"]), (&"token_invalid".into(), &"revoked".into()));
    by_second.assert_lives().await;
    revoke(&second).await;
    assert_eq!((by_second.closed().await.0, changed.closed().await.0), (4006, 4006));
    leave(apps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_tenant_is_gone_and_its_later_tokens_are_good() {
    let (_redis, apps) = fleet().await;
    let mut concerned = Client::join(&apps[0], &token("acme", "bob")).await;
    let mut other = Client::join(&apps[0], &token("other", "bob")).await;
    let before = SystemTime::now() - Duration::from_secs(1);
    apps[2].revocations().revoke(Revocation::of_tenant("acme", before).unwrap()).await.unwrap();
    assert_eq!(concerned.closed().await.0, 4006);
    other.assert_lives().await;
    let minter = Minter::hs256(&Secret::from(SECRET.to_owned()), None, "agent-relay", "agent-relay").unwrap();
    let (tenant, agent, rights) = ("acme".to_owned(), "bob".to_owned(), RightsClaim::everything());
    let later = TokenRequest { tenant, agent, ttl: Duration::from_hours(1), rights };
    let later = minter.mint(&later, SystemTime::now()).unwrap();
    Client::join(&apps[0], &later).await.assert_lives().await;
    leave(apps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_an_instance_that_could_not_hear_it() {
    let (redis, apps) = fleet().await;
    let mut concerned = Client::join(&apps[0], &token("acme", "bob")).await;
    // Every subscriber loses its connection, and the revocation comes before they are back.
    redis.say("CLIENT KILL TYPE pubsub").await;
    let called = Instant::now();
    let revocation = Revocation::of_agent("acme", "bob", SystemTime::now()).unwrap();
    apps[1].revocations().revoke(revocation).await.unwrap();
    let (code, at) = concerned.closed().await;
    assert_eq!(code, 4006);
    assert!(at - called < Duration::from_secs(1), "{:?}", at - called);
    leave(apps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_opens_connections_on_every_instance_until_it_is_revoked() {
    let (_redis, apps) = fleet().await;
    let request = ApiKeyRequest {
        tenant: "acme".to_owned(),
        agent: "worker".to_owned(),
        label: "test".to_owned(),
        rights: RightsClaim::everything(),
        life: Duration::from_hours(1),
    };
    let (key, text) = apps[0].api_keys().create(request, SystemTime::now()).await.unwrap();
    let mut clients = Vec::new();
    for app in &apps {
        for in_header in [false, true] {
            let mut client = Client::open(app, text.expose_text(), in_header).await;
            assert_eq!(client.hear().await["agent"], "agent/worker");
            clients.push(client);
        }
    }
    let called = Instant::now();
    assert_eq!(apps[1].api_keys().revoke("acme", &key.id).await, Ok(true));
    for (code, at) in join_all(clients.iter_mut().map(Client::closed)).await {
        assert_eq!(code, 4006);
        assert!(at - called < Duration::from_secs(1));
    }
    for app in &apps {
        assert_eq!(Client::open(app, text.expose_text(), true).await.closed().await.0, 4002);
    }
    leave(apps).await;
}
