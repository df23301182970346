//! One relay without a listener: sessions are given sockets that never leave the process.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use clap::{Args as _, Command, FromArgMatches as _};
use futures_util::future::{self, BoxFuture, FutureExt as _};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use relay_protocol::Encoding;
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::auth::{AuthError, Authenticator, Principal, Rights, RightsClaim, Validity};
use crate::bus::memory::MemoryHub;
use crate::bus::{Bus as _, Channel, InstanceId};
use crate::config::Config;
use crate::directory::memory::{MemoryDirectory, MemoryDirectoryHub};
use crate::lifecycle::Lifecycle;
use crate::limits::Limits;
use crate::presence::Presence;
use crate::quota::memory::MemoryQuota;
use crate::resilience::{Overload, Standing};
use crate::router::{Concerned, Router, RouterSettings};
use crate::session::{Returns, SessionContext, SessionSettings, Socket, Upgraded, serve};
use crate::streams::StreamSettings;
use crate::streams::memory::MemoryStreams;
use crate::telemetry::metrics::Metrics;

impl Socket for DuplexStream {
    fn poll_read_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A token `tenant/agent` is good for everything, `tenant/agent/none` for nothing; `?life=S` lets it expire, `?wait=S` takes
/// so long to check, `?refuse` is refused as its tenant says.
#[derive(Debug, Default)]
struct Table {
    withdrawn: Mutex<Option<(String, AuthError)>>,
}

impl Authenticator for Table {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Principal, AuthError>> {
        let (name, option) = token.split_once('?').unwrap_or((token, ""));
        let seconds = |option: Option<&str>| option.map(|value| Duration::from_secs(value.parse().unwrap()));
        let found = Table::find(name, option, now);
        match seconds(option.strip_prefix("wait=")) {
            Some(wait) => timeout(wait, future::pending::<()>()).map(move |_| found).boxed(),
            None => future::ready(found).boxed(),
        }
    }

    fn recheck(&self, principal: &Principal) -> Result<(), AuthError> {
        match &*self.withdrawn.lock() {
            Some((agent, error)) if **agent == **principal.agent() => Err(*error),
            _ => Ok(()),
        }
    }
}

impl Table {
    fn find(name: &str, option: &str, now: SystemTime) -> Result<Principal, AuthError> {
        let mut parts = name.split('/');
        let (Some(tenant), Some(agent)) = (parts.next(), parts.next()) else {
            return Err(AuthError::Malformed);
        };
        if option == "refuse" {
            return Err(if tenant == "away" { AuthError::KeysUnavailable } else { AuthError::Expired });
        }
        let claim = match parts.next() {
            None => RightsClaim::everything(),
            Some(_) => RightsClaim::default(),
        };
        let life = option.strip_prefix("life=").map_or(1_000_000, |life| life.parse().unwrap());
        let validity = Validity { issued_at: now, expires_at: now + Duration::from_secs(life) };
        Ok(Principal::new(tenant, agent, None, validity, Rights::new(&claim).unwrap()))
    }
}

/// How long who is lost stays present.
pub(super) const GRACE: Duration = Duration::from_secs(15);

pub(super) struct Rig {
    pub(super) context: Arc<SessionContext>,
    table: Arc<Table>,
    lifecycle: Lifecycle,
    /// How far the relay is from normal.
    pub(super) standing: watch::Sender<Standing>,
}

/// A client's end of a session.
pub(super) struct Client {
    socket: WebSocketStream<DuplexStream>,
    next_id: u64,
    /// Frames of a batch that were not asked for yet.
    rest: std::collections::VecDeque<Value>,
}

impl Rig {
    pub(super) async fn new(args: &[&str]) -> Rig {
        let command = Config::augment_args(Command::new("relay").no_binary_name(true));
        let matches = command.try_get_matches_from([&["--dev"], args].concat()).unwrap();
        let config = Config::from_arg_matches(&matches).unwrap();
        assert_eq!(config.validate(), Ok(()));
        let lifecycle = Lifecycle::default();
        let metrics = Metrics::new().unwrap();
        let instance = InstanceId::random();
        let hub = MemoryHub::new(lifecycle.services.clone(), lifecycle.stop.clone());
        let (bus, events) = hub.join(1_024);
        bus.subscribe(&Channel::inbox(&instance)).await.unwrap();
        let directory = MemoryDirectoryHub::new().join(instance.clone());
        let presence = Presence::new(
            Arc::<MemoryDirectory>::clone(&directory),
            Arc::clone(&metrics),
            lifecycle.services.clone(),
            GRACE,
        );
        lifecycle.services.spawn(Arc::clone(&presence).run(lifecycle.stop.clone()));
        let settings = RouterSettings {
            outcome_timeout: Duration::from_secs(5),
            route_ttl: Duration::from_secs(10),
            grace: config.streams.grace(),
        };
        let streams = MemoryStreams::new(StreamSettings {
            messages: config.streams.stream_messages,
            bytes: config.streams.stream_bytes,
            age: Duration::from_secs(config.streams.stream_age_s),
            grace: config.streams.grace(),
            topics: config.streams.stream_topics,
        });
        let tracker = lifecycle.services.clone();
        let router =
            Router::new(instance, bus, directory, streams, Arc::clone(&metrics), tracker.clone(), settings);
        tracker.spawn(Arc::clone(&router).run(events, lifecycle.stop.clone()));
        tracker.spawn(Arc::clone(&router).speak(lifecycle.stop.clone()));
        tracker.spawn(Arc::clone(&router).tell_of_unread(lifecycle.stop.clone()));
        tracker.spawn(Arc::clone(&router).sweep(lifecycle.stop.clone()));
        let quotas = Arc::new(MemoryQuota::default());
        let limits = Limits::new(&config.limits, &config.scopes, quotas, &metrics);
        tracker.spawn(Arc::clone(&limits).run(lifecycle.stop.clone()));
        let table = Arc::new(Table::default());
        let standing = watch::Sender::new(Standing::NORMAL);
        let context = Arc::new(SessionContext {
            router,
            presence,
            limits,
            overload: Overload::new(None, &metrics),
            authenticator: Arc::clone(&table) as Arc<dyn Authenticator>,
            metrics,
            tracker,
            standing: standing.subscribe(),
            drain: lifecycle.drain.clone(),
            returns: Returns::default(),
            settings: SessionSettings::new(&config),
        });
        Rig { context, table, lifecycle, standing }
    }

    /// From now on the tokens of this agent are good no longer.
    pub(super) fn withdraw(&self, agent: &str, error: AuthError) {
        *self.table.withdrawn.lock() = Some((agent.to_owned(), error));
    }

    /// They are good again.
    pub(super) fn forgive(&self) {
        *self.table.withdrawn.lock() = None;
    }

    /// Asks every session to look.
    pub(super) fn recheck_all(&self) {
        self.context.router.recheck(&Concerned::All);
    }

    /// A client that has not said anything.
    pub(super) async fn dial(&self) -> Client {
        self.dial_through(1024 * 1024).await
    }

    /// The same, with so many bytes of room on the way.
    pub(super) async fn dial_through(&self, room: usize) -> Client {
        let (near, far) = tokio::io::duplex(room);
        let upgraded = Box::new(Upgraded {
            socket: far,
            encoding: Encoding::Json,
            token: None,
            place: self.context.limits.address(std::net::Ipv4Addr::LOCALHOST.into()).unwrap(),
            unauthenticated: (),
            since: Instant::now(),
        });
        self.lifecycle.sessions.spawn(serve(Arc::clone(&self.context), upgraded));
        let socket = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        Client { socket, next_id: 2, rest: std::collections::VecDeque::new() }
    }

    /// A client that goes on with a session, and its welcome.
    pub(super) async fn resume(&self, token: &str, ticket: &str, streams: &str) -> (Client, Value) {
        let mut client = self.dial().await;
        let resume = format!(r#"{{"ticket":"{ticket}","streams":[{streams}]}}"#);
        client.say(&format!(r#"{{"type":"hello","id":1,"token":"{token}","resume":{resume}}}"#)).await;
        let welcome = client.next_frame("welcome").await;
        (client, welcome)
    }

    /// A welcomed client.
    pub(super) async fn join(&self, token: &str) -> Client {
        let mut client = self.dial().await;
        client.hello(token).await;
        client
    }
}

impl Client {
    pub(super) async fn hello(&mut self, token: &str) -> Value {
        self.say(&format!(r#"{{"type":"hello","id":1,"token":"{token}"}}"#)).await;
        let welcome = self.hear().await;
        assert_eq!(welcome["type"], "welcome");
        welcome
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(super) async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Says a frame with the next `id`, which it returns.
    pub(super) async fn command(&mut self, fields: &str) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.say(&format!(r#"{{"id":{id},{fields}}}"#)).await;
        id
    }

    /// The next WebSocket message as one value: a frame, or a batch.
    pub(super) async fn hear(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?} where frames were expected"),
        }
    }

    /// The next frames of `kind`, one by one or in a batch; others are passed over.
    pub(super) async fn hear_kind(&mut self, kind: &str) -> Value {
        loop {
            let heard = self.hear().await;
            let frames = heard.as_array().cloned().unwrap_or(vec![heard]);
            if let Some(frame) = frames.into_iter().find(|frame| frame["type"] == kind) {
                return frame;
            }
        }
    }

    /// The next frame of one of these kinds; of a batch none is lost.
    pub(super) async fn next_of(&mut self, kinds: &[&str]) -> Value {
        loop {
            while let Some(frame) = self.rest.pop_front() {
                if kinds.iter().any(|kind| frame["type"] == *kind) {
                    return frame;
                }
            }
            let heard = self.hear().await;
            self.rest.extend(heard.as_array().cloned().unwrap_or(vec![heard]));
        }
    }

    /// The next frame of `kind`; of a batch none is lost.
    pub(super) async fn next_frame(&mut self, kind: &str) -> Value {
        self.next_of(&[kind]).await
    }

    /// Whether `text` stands in one of the next two WebSocket messages: what is nested too deeply for a reader is heard so.
    pub(super) async fn hear_text_with(&mut self, text: &str) -> bool {
        let said = [self.next().await, self.next().await];
        said.iter().any(|message| matches!(message, Message::Text(said) if said.contains(text)))
    }

    pub(super) async fn next(&mut self) -> Message {
        self.socket.next().await.unwrap().unwrap()
    }

    /// The reason told before the close, and its code; frames before it are passed over.
    pub(super) async fn hear_close(&mut self) -> (Value, u16) {
        let mut last = Value::Null;
        loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Text(text) => last = serde_json::from_str(&text).unwrap(),
                Message::Close(Some(frame)) => return (last, frame.code.into()),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What failed by a receipt, one by one: its id, and the entry that tells of it.
pub(super) fn failures(receipt: &Value) -> Vec<(u64, &Value)> {
    let entries = receipt["failed"].as_array().into_iter().flatten();
    let ids = |entry: &Value| {
        let first = entry["id"].as_u64().unwrap();
        first..=entry["last"].as_u64().unwrap_or(first)
    };
    entries.flat_map(|entry| ids(entry).map(move |id| (id, entry))).collect()
}
