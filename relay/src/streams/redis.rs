//! Streams in Redis. Each operation is one script on the keys of one stream, which are of one slot:
//!
//! | key | what |
//! | --- | --- |
//! | `r1:s:{tenant:address}:m` | epoch, numbers, bytes |
//! | `…:l` | the log |
//! | `…:r` | the readers of an agent's stream: position, connection, until when, instance |
//! | `…:t:SESSION` | a session of the agent: its ticket, connection, instance |
//! | `…:d:AGENT`, `…:e:AGENT` | the `mid`s of a sender, and those before them |
//! | `…:o:SESSION` | what became of what a session sent, while it was away |
//! | `…:c:SESSION` | the counter of a sending session |
//! | `r1:n:{tenant}` | which topics of a tenant have a stream |
//! | `r1:v:{tenant}` | its inboxes in which something waits, by when they are to be looked at |
//!
//! The pending lists of groups are told of in `jobs`.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fred::types::{FromValue, Key, Value};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::auth::Digest;
use crate::bus::InstanceId;
use crate::redis::{Commands, Redis, Replicas, Script, was_refused};
use crate::streams::{
    Ack, Answer, Append, Appended, COUNTER_MEMORY, Delivered, LateOutcome, MID_MEMORY, MIDS_MAX, Marks,
    OUTCOMES_MAX, Opened, Opening, READ_MAX, READERS_MAX, Range, ReturnAddress, Stored, StreamError,
    StreamKey, StreamSettings, StreamStore,
};

mod answer;
mod jobs;
#[cfg(test)]
mod tests;
mod topics;
mod unread;

use topics::Entered;

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("redis/prelude.lua"),
            include_str!(concat!("redis/", $name, ".lua"))
        ))
    };
}

static OPEN: Script = script!("open");
static RENEW: Script = script!("renew");
static CLOSE: Script = script!("close");
static APPEND: Script = script!("append");
static READ: Script = script!("read");
static ACKNOWLEDGE: Script = script!("acknowledge");
static KEEP: Script = script!("keep");
static KEPT: Script = script!("kept");
static MARKS: Script = script!("marks");
static BEFORE: Script = script!("before");

/// What a return address takes at most but for a long `mid`: an instance, a session's address, two numbers.
const RETURN_ADDRESS_BYTES: usize = 256;

/// Streams in Redis.
#[derive(Debug)]
pub struct RedisStreams {
    commands: Commands,
    replicas: Option<Arc<Replicas>>,
    settings: StreamSettings,
    entered: Arc<Entered>,
}

impl RedisStreams {
    /// The streams on `redis`.
    pub fn join(redis: &Redis, settings: StreamSettings) -> Arc<RedisStreams> {
        let (commands, replicas) = (redis.commands().clone(), redis.replicas().cloned());
        Arc::new(RedisStreams { commands, replicas, settings, entered: Arc::default() })
    }

    /// Runs a script on a stream and further keys of it. All of it is made before the call ends.
    fn ask<R: FromValue + Send + 'static>(
        &self,
        script: &'static Script,
        stream: &StreamKey,
        further: impl IntoIterator<Item = String>,
        arguments: Vec<Value>,
    ) -> Answer<R> {
        run(self.commands.clone(), script, keys(stream, further), arguments).boxed()
    }

    /// Runs what stores messages: answered when as many replicas have it as an operator asked for. What they may not have
    /// is stored all the same, so whether it stays is not known.
    fn store<R: FromValue + Send + 'static>(
        &self,
        script: &'static Script,
        stream: &StreamKey,
        keys: Vec<Key>,
        arguments: Vec<Value>,
    ) -> Answer<R> {
        let Some(replicas) = self.replicas.clone() else {
            return run(self.commands.clone(), script, keys, arguments).boxed();
        };
        let state = named(stream, "m");
        async move {
            let begun = replicas.ground(&state);
            let answer = run(replicas.commands().clone(), script, keys, arguments).await?;
            if replicas.have(&state, begun).await { Ok(answer) } else { Err(StreamError::Unanswered) }
        }
        .boxed()
    }

    /// Whether a topic may have a stream; entered as one that has.
    fn enter(&self, stream: &StreamKey) -> impl Future<Output = Result<bool, StreamError>> + use<> {
        let (entered, stream) = (Arc::clone(&self.entered), stream.clone());
        let (commands, settings) = (self.commands.clone(), self.settings);
        async move {
            if stream.as_topic().is_none() || entered.has(&stream, settings.age) {
                return Ok(true);
            }
            let begun = Instant::now();
            let keys = vec![topics::key(&stream.tenant).into()];
            let arguments =
                vec![text(&stream.address), millis(topics::life(settings.age)), text(settings.topics)];
            let has_room = run::<u64>(commands, &topics::ENTER, keys, arguments).await? == 1;
            if has_room {
                entered.remember(&stream, begun);
            }
            Ok(has_room)
        }
    }
}

/// Put together without a format: a message that is stored has three keys.
fn named(stream: &StreamKey, part: &str) -> String {
    ["r1:s:{", &stream.tenant, ":", &stream.address, "}:", part].concat()
}

/// The keys that every script is given, and further ones.
fn keys(stream: &StreamKey, further: impl IntoIterator<Item = String>) -> Vec<Key> {
    let own = ["m", "l", "r"].map(str::to_owned);
    own.into_iter().chain(further).map(|part| named(stream, &part).into()).collect()
}

/// The keys of a message's sender: its `mid`s, those before, the counter of its session.
fn sender_keys(stream: &StreamKey, from: &str, session: &str) -> [Key; 3] {
    [["d:", from], ["e:", from], ["c:", session]].map(|part| named(stream, &part.concat()).into())
}

async fn run<R: FromValue>(
    commands: Commands,
    script: &'static Script,
    keys: Vec<Key>,
    arguments: Vec<Value>,
) -> Result<R, StreamError> {
    let bytes = arguments.iter().map(|argument| argument.as_bytes().map_or(8, <[u8]>::len)).sum();
    let question = commands.begin(bytes).map_err(|_| StreamError::Away)?;
    let answer = script.run_on(&question, keys, arguments).await;
    answer.map_err(|error| if was_refused(&error) { StreamError::Away } else { StreamError::Unanswered })
}

fn text(value: impl fmt::Display) -> Value {
    format!("{value}").into()
}

fn optional(value: Option<impl fmt::Display>) -> Value {
    value.map_or_else(|| Value::from(""), text)
}

/// Written where there is room for it at once.
fn return_address(to: &ReturnAddress) -> Value {
    let mut text = String::with_capacity(RETURN_ADDRESS_BYTES);
    // Writing into a string meets no error.
    let _ = write!(text, "{to}");
    text.into()
}

fn millis(time: Duration) -> Value {
    text(time.as_millis())
}

/// A name of an epoch: 64 random bits, beside a stream they are enough.
fn fresh_epoch() -> Value {
    let bits: [u8; 8] = rand::random();
    URL_SAFE_NO_PAD.encode(bits).into()
}

fn ticket(hash: &Digest) -> Value {
    URL_SAFE_NO_PAD.encode(hash).into()
}

impl StreamStore for RedisStreams {
    fn open(&self, opening: Opening) -> Answer<Opened> {
        let Opening { inbox, session, generation, ticket: given, resume, instance } = opening;
        let (resumed, shown) = match &resume {
            Some((session, shown)) => (&**session, ticket(shown)),
            None => ("", "".into()),
        };
        let kept = [&*session, if resumed.is_empty() { &*session } else { resumed }];
        let arguments = vec![
            fresh_epoch(),
            millis(self.settings.age),
            millis(self.settings.grace),
            text(&session),
            ticket(&given),
            text(resumed),
            shown,
            text(instance),
            text(READERS_MAX),
            text(generation),
        ];
        let kept = kept.map(|session| format!("t:{session}"));
        let opened = self.ask::<Vec<String>>(&OPEN, &inbox, kept, arguments);
        async move { answer::opened(&opened.await?).ok_or(StreamError::Unanswered) }.boxed()
    }

    fn renew(&self, inbox: StreamKey, sessions: Vec<Arc<str>>) -> Answer<Option<Marks>> {
        let mut arguments = vec![fresh_epoch(), millis(self.settings.age), millis(self.settings.grace)];
        arguments.extend(sessions.iter().map(text));
        let kept = sessions.iter().map(|session| format!("t:{session}"));
        let renewed = self.ask::<Vec<String>>(&RENEW, &inbox, kept, arguments);
        async move { Ok(answer::marks(&renewed.await?)) }.boxed()
    }

    fn close(&self, inbox: StreamKey, session: Arc<str>, generation: u64) -> Answer<()> {
        let arguments = vec![text(&session), text(generation)];
        let closed = self.ask::<u64>(&CLOSE, &inbox, [format!("t:{session}")], arguments);
        async move { closed.await.map(drop) }.boxed()
    }

    fn append(&self, stream: StreamKey, messages: Vec<Append>) -> Answer<Appended> {
        let settings = &self.settings;
        let mut keys = keys(&stream, []);
        // Most that come together are of one sender.
        let mut sender: Option<(Arc<str>, Arc<str>, [Key; 3])> = None;
        let mut arguments = vec![
            text(u8::from(stream.as_topic().is_some())),
            fresh_epoch(),
            text(settings.messages),
            text(settings.bytes),
            millis(settings.age),
            millis(MID_MEMORY),
            text(MIDS_MAX),
            millis(COUNTER_MEMORY),
        ];
        let count = messages.len();
        for message in messages {
            let is_same = |(from, session, _): &(Arc<str>, Arc<str>, _)| {
                *from == message.from && *session == message.session
            };
            if !sender.as_ref().is_some_and(is_same) {
                let keys = sender_keys(&stream, &message.from, &message.session);
                sender = Some((message.from, message.session, keys));
            }
            keys.extend(sender.iter().flat_map(|(_, _, keys)| keys.clone()));
            arguments.extend([
                Value::from(&*message.mid),
                text(message.generation),
                optional(message.counter),
                optional(message.settled),
                optional(message.expires_in_ms),
                message.return_to.as_ref().map_or_else(|| Value::from(""), return_address),
                text(u8::from(message.return_to.is_some_and(|to| !to.failure_only))),
                Value::Bytes(message.body),
            ]);
        }
        let (entered, commands, age) = (self.enter(&stream), self.commands.clone(), self.settings.age);
        let appended = self.store::<Vec<String>>(&APPEND, &stream, keys, arguments);
        async move {
            // One that was not asked has changed nothing.
            if !entered.await.map_err(|_| StreamError::Away)? {
                return Ok(Appended {
                    stored: vec![Stored::TooManyTopics; count],
                    marks: None,
                    readers: Vec::new(),
                });
            }
            let words = appended.await?;
            if let Some(due) = answer::due(&words) {
                unread::note(commands, &stream, due, age).await;
            }
            answer::appended(&words, count).ok_or(StreamError::Unanswered)
        }
        .boxed()
    }

    fn read(&self, stream: StreamKey, after: u64, bytes_max: usize) -> Answer<Option<Range>> {
        let arguments = vec![fresh_epoch(), text(after), text(READ_MAX), text(bytes_max)];
        let read = self.ask::<Vec<Value>>(&READ, &stream, [], arguments);
        async move {
            let read = read.await?;
            if read.is_empty() {
                return Ok(None);
            }
            answer::range(read).ok_or(StreamError::Unanswered).map(Some)
        }
        .boxed()
    }

    fn acknowledge(&self, inbox: StreamKey, ack: Ack) -> Answer<Option<Vec<Delivered>>> {
        let Ack { session, generation, epoch, seq, expired } = ack;
        let mut between_commas = ",".to_owned();
        for seq in expired {
            // Writing into a string meets no error.
            let _ = write!(between_commas, "{seq},");
        }
        let age = millis(self.settings.age);
        let arguments =
            vec![age, text(session), text(generation), text(epoch), text(seq), between_commas.into()];
        let told = self.ask::<Vec<String>>(&ACKNOWLEDGE, &inbox, [], arguments);
        async move { Ok(answer::acknowledged(&told.await?)) }.boxed()
    }

    fn expire_unread(&self, tenant: Arc<str>) -> Answer<Vec<Delivered>> {
        self.look_at_inboxes(tenant)
    }

    fn keep(
        &self,
        inbox: StreamKey,
        session: Arc<str>,
        outcomes: Vec<LateOutcome>,
    ) -> Answer<Option<InstanceId>> {
        let mut arguments = vec![millis(self.settings.grace), text(OUTCOMES_MAX)];
        let word =
            |late: LateOutcome| text(format_args!("{} {}", if late.expired { 'e' } else { 'd' }, late.mid));
        arguments.extend(outcomes.into_iter().map(word));
        let keys = [format!("t:{session}"), format!("o:{session}")];
        let instance = self.ask::<String>(&KEEP, &inbox, keys, arguments);
        async move { Ok(InstanceId::parse(&instance.await?)) }.boxed()
    }

    fn kept(&self, inbox: StreamKey, session: Arc<str>) -> Answer<Vec<LateOutcome>> {
        let kept = self.ask::<Vec<String>>(&KEPT, &inbox, [format!("o:{session}")], Vec::new());
        async move {
            let late = |word: &String| {
                let (kind, mid) = word.split_once(' ')?;
                Some(LateOutcome { mid: mid.into(), expired: kind == "e" })
            };
            Ok(kept.await?.iter().filter_map(late).collect())
        }
        .boxed()
    }

    fn marks(&self, topic: StreamKey) -> Answer<Marks> {
        let marks = self.ask::<Vec<String>>(&MARKS, &topic, [], vec![fresh_epoch()]);
        async move { answer::found_marks(&marks.await?).ok_or(StreamError::Unanswered) }.boxed()
    }

    fn before(&self, topic: StreamKey, unix_ms: u64) -> Answer<u64> {
        self.ask::<u64>(&BEFORE, &topic, [], vec![text(unix_ms)])
    }
}
