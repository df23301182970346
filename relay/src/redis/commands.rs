//! Asking Redis: the client for commands, and scripts.
//!
//! Bound: [`UNDER_WAY_MAX`] questions and [`BYTES_MAX`] under way at a time. One more is refused, as everything is while
//! Redis is away: what waits longer than a command may take would end as unknown.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, LuaInterface as _, PubsubInterface as _};
use fred::types::{FromValue, Key, Value};
use fred::util::sha1_hash;

use crate::redis::Link;
use crate::redis::options;
use crate::resilience::{Breaker, Call, Failure};

/// Questions under way at a time. At the 30,000 publishes of 5 KB a second that two busy cores managed it is half of what
/// a command may take; and what waits inside fred until Redis is found hung (3 s of this) stays far below the bound at
/// which fred miscounts.
const UNDER_WAY_MAX: usize = 1 << 14;

/// Bytes under way at a time: some half second of a gigabit.
const BYTES_MAX: usize = 64 << 20;
/// How often it is looked at the end whether all is answered: a hundredth of what a goodbye may take.
const LOOK: Duration = Duration::from_millis(5);

/// Hands out questions to Redis. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Commands {
    publisher: WithOptions<Client>,
    client: WithOptions<Client>,
    link: Arc<Link>,
    under_way: Arc<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    questions: AtomicUsize,
    bytes: AtomicUsize,
    is_over: AtomicBool,
}

/// Redis is away, or too many questions are under way: nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl Commands {
    /// Questions by this client, whose state `link` knows.
    pub(crate) fn new(client: &Client, link: Arc<Link>) -> Commands {
        let publisher = client.with_options(&options::at_most_once_at_once());
        let is_cluster = link.topology().is_cluster();
        let asking = if is_cluster { options::repeatable_at_once() } else { options::at_most_once_at_once() };
        let client = client.with_options(&asking);
        Commands { publisher, client, link, under_way: Arc::default() }
    }

    /// The same, asked by another client.
    pub(super) fn over(&self, client: WithOptions<Client>) -> Commands {
        Commands { client, ..self.clone() }
    }

    /// Leave to ask one question of so many bytes, or as many as are asked after one another.
    pub(crate) fn begin(&self, bytes: usize) -> Result<Question, Refused> {
        self.begin_behind(self.link.storing(), bytes)
    }

    /// Leave to publish so many bytes.
    pub(crate) fn begin_publish(&self, bytes: usize) -> Result<Question, Refused> {
        self.begin_behind(self.link.publishing(), bytes)
    }

    fn begin_behind(&self, breaker: &Arc<Breaker>, bytes: usize) -> Result<Question, Refused> {
        let call = breaker.call().map_err(|_| Refused)?;
        let question = self.question(bytes, Some(call))?;
        // Counted before it is compared, and counted out when it is dropped.
        let UnderWay { questions, bytes, .. } = &*self.under_way;
        let full =
            questions.load(Ordering::Relaxed) > UNDER_WAY_MAX || bytes.load(Ordering::Relaxed) > BYTES_MAX;
        if full { Err(Refused) } else { Ok(question) }
    }

    /// Leave to ask what tells life from death, however much is under way.
    pub(crate) fn begin_beat(&self) -> Result<Question, Refused> {
        self.question(0, None)
    }

    fn question(&self, bytes: usize, call: Option<Call>) -> Result<Question, Refused> {
        if !self.link.reachable() || self.under_way.is_over.load(Ordering::Relaxed) {
            return Err(Refused);
        }
        self.under_way.questions.fetch_add(1, Ordering::Relaxed);
        self.under_way.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Question { commands: self.clone(), bytes, call })
    }

    /// Nothing more is asked; ends when all that was has its answer. What is asked of a client that has said goodbye fred lets
    /// wait for its whole time.
    pub(super) async fn end(self) {
        self.under_way.is_over.store(true, Ordering::Relaxed);
        while self.under_way.questions.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The state of the connection.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands")
            .field("link", &self.link)
            .field("under_way", &self.under_way)
            .finish_non_exhaustive()
    }
}

/// A question that counts as under way until it is dropped.
pub(crate) struct Question {
    commands: Commands,
    bytes: usize,
    call: Option<Call>,
}

impl Question {
    /// Hears what became of it: an answer is a sign of life, a failure may open the circuit.
    pub(crate) fn judge<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        let failure = answer.as_ref().err().and_then(failure);
        if answer.is_ok() {
            self.commands.link.hear();
        }
        match (&self.call, failure) {
            (None, _) => {}
            (Some(call), Some(why)) => call.failed(why),
            (Some(call), None) => call.succeeded(),
        }
        answer
    }
}

/// What an error says about Redis itself; nothing if it is the question that was wrong.
fn failure(error: &Error) -> Option<Failure> {
    /// What Redis answers when it cannot do now what it could otherwise.
    const UNABLE: [&str; 8] =
        ["OOM", "READONLY", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "MISCONF"];
    match error.kind() {
        ErrorKind::Timeout | ErrorKind::IO => Some(Failure::Silence),
        _ if UNABLE.iter().any(|unable| error.details().starts_with(unable)) => Some(Failure::Inability),
        _ => None,
    }
}

impl Question {
    /// Publishes once: never twice. In a Cluster the channel is a sharded one, which its slot's node alone carries.
    pub(crate) async fn publish_once(&self, channel: &str, payload: Bytes) -> Result<u64, Error> {
        let Commands { publisher, link, .. } = &self.commands;
        if !link.topology().is_cluster() {
            return publisher.publish(channel, payload).await;
        }
        match publisher.spublish(channel, payload.clone()).await {
            // The node refused it, and who holds the slot is known meanwhile.
            Err(error) if *error.kind() == ErrorKind::Routing => publisher.spublish(channel, payload).await,
            answer => answer,
        }
    }
}

/// Whether a question that failed was certainly not carried out: Redis said so, or was not asked.
pub(crate) fn was_refused(error: &Error) -> bool {
    /// What fred says of a question that it takes back from a connection, answered or not.
    const TAKEN_BACK: &str = "Too many failed write attempts";
    let details = error.details();
    match error.kind() {
        ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled => false,
        // fred says it of all that was under way to that node.
        ErrorKind::Cluster => !details.starts_with("CLUSTERDOWN"),
        _ => !details.starts_with(TAKEN_BACK),
    }
}

impl Deref for Question {
    type Target = WithOptions<Client>;

    fn deref(&self) -> &Self::Target {
        &self.commands.client
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.commands.under_way.questions.fetch_sub(1, Ordering::Relaxed);
        self.commands.under_way.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A script that Redis keeps under its hash, and that is sent whole when Redis does not know it, as after a restart.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    /// The script of this text.
    pub(crate) const fn new(text: &'static str) -> Script {
        Script { text, hash: OnceLock::new() }
    }

    /// Runs it on one key.
    pub(crate) async fn run<R: FromValue>(
        &self,
        question: &Question,
        key: &str,
        arguments: &[&str],
    ) -> Result<R, Error> {
        self.run_on(question, vec![key.into()], arguments.iter().map(|argument| (*argument).into()).collect())
            .await
    }

    /// Runs it on keys of one slot.
    pub(crate) async fn run_on<R: FromValue>(
        &self,
        question: &Question,
        keys: Vec<Key>,
        arguments: Vec<Value>,
    ) -> Result<R, Error> {
        let hash = self.hash.get_or_init(|| sha1_hash(self.text)).as_str();
        question.judge(match question.evalsha(hash, keys.clone(), arguments.clone()).await {
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                question.eval(self.text, keys, arguments).await
            }
            answer => answer,
        })
    }
}
