//! The pending lists of groups in Redis. Each operation is one script on the keys of one list, which are of one slot:
//!
//! | key | what |
//! | --- | --- |
//! | `r1:s:{tenant:address}:m` | epoch, numbers, bytes |
//! | `…:j`, `…:b` | jobs, their bodies |
//! | `…:w`, `…:x` | those that wait, by number and by when they fail |
//! | `…:h` | those in hand, by until when |
//! | `…:i` | the instances with members, by until when they count as living |
//! | `…:f` | those that failed lately |
//! | `…:d:AGENT`, `…:e:AGENT` | the `mid`s of a sender, and those before them |

use std::sync::Arc;
use std::time::Duration;

use fred::types::{Key, Value};
use futures_util::FutureExt as _;

use crate::bus::InstanceId;
use crate::redis::Script;
use crate::streams::redis::{RedisStreams, answer, fresh_epoch, millis, named, optional, run, text};
use crate::streams::{
    Answer, Append, Delivered, Found, GIVEN_MAX, Given, HOLD, JobFate, JobStore, Look, MID_MEMORY, MIDS_MAX,
    RIPE, Settled, Stored, StreamError, StreamKey, TAKE_BYTES,
};

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(include_str!("jobs_prelude.lua"), include_str!(concat!($name, ".lua"))))
    };
}

static GIVE: Script = script!("give");
static LOOK: Script = script!("look");
static SETTLE: Script = script!("settle");
static LEAVE: Script = script!("leave");

/// Keys outlive the youngest job by this, so that somebody finds those that fail.
const KEYS_OUTLIVE: Duration = Duration::from_mins(10);

impl RedisStreams {
    fn ask_list<R: fred::types::FromValue + Send + 'static>(
        &self,
        script: &'static Script,
        group: &StreamKey,
        further: impl IntoIterator<Item = String>,
        arguments: Vec<Value>,
    ) -> Answer<R> {
        run(self.commands.clone(), script, list_keys(group, further), arguments).boxed()
    }

    fn keys_live(&self) -> Value {
        millis(self.settings.age + KEYS_OUTLIVE)
    }
}

/// The keys that every script on a list is given, and further ones.
fn list_keys(group: &StreamKey, further: impl IntoIterator<Item = String>) -> Vec<Key> {
    let own = ["m", "j", "b", "w", "x", "h", "i", "f"].into_iter().map(|part| named(group, part));
    own.chain(further.into_iter().map(|part| named(group, &part))).map(Key::from).collect()
}

impl JobStore for RedisStreams {
    fn give(&self, group: StreamKey, jobs: Vec<Append>) -> Answer<Given> {
        let settings = &self.settings;
        let count = jobs.len();
        let mut further = Vec::with_capacity(2 * count);
        let mut arguments = vec![
            fresh_epoch(),
            text(settings.messages),
            text(settings.bytes),
            millis(settings.age),
            self.keys_live(),
            millis(MID_MEMORY),
            text(MIDS_MAX),
        ];
        for job in jobs {
            further.extend([format!("d:{}", job.from), format!("e:{}", job.from)]);
            arguments.extend([
                text(&job.mid),
                optional(job.expires_in_ms),
                optional(job.return_to.as_ref()),
                Value::Bytes(job.body),
            ]);
        }
        let given = self.store::<Vec<Value>>(&GIVE, &group, list_keys(&group, further), arguments);
        async move {
            let given = given.await?;
            if given.is_empty() {
                let stored = vec![Stored::NoRecipient; count];
                return Ok(Given { stored, instances: Vec::new(), told: Vec::new() });
            }
            answer::given(given, count).ok_or(StreamError::Unanswered)
        }
        .boxed()
    }

    fn look(&self, group: StreamKey, look: Look) -> Answer<Found> {
        let Look { by, told_of, takers } = look;
        let (instance, life) = match &by {
            Some((instance, life)) => (instance.as_str(), millis(*life)),
            None => ("", text(0)),
        };
        let mut arguments = vec![
            fresh_epoch(),
            self.keys_live(),
            millis(MID_MEMORY),
            text(GIVEN_MAX),
            millis(HOLD),
            millis(RIPE),
            text(TAKE_BYTES),
            text(instance),
            life,
            text(told_of),
        ];
        if by.is_some() {
            arguments.extend(takers.iter().map(text));
        }
        let found = self.ask_list::<Vec<Value>>(&LOOK, &group, [], arguments);
        async move { answer::found(found.await?).ok_or(StreamError::Unanswered) }.boxed()
    }

    fn settle(&self, group: StreamKey, settled: Vec<Settled>) -> Answer<Vec<Delivered>> {
        let mut arguments = vec![text(GIVEN_MAX)];
        for Settled { session, epoch, seq, fate } in settled {
            let fate = match fate {
                JobFate::Done => "done",
                JobFate::Left => "left",
                JobFate::Unwritten => "unwritten",
            };
            arguments.extend([text(session), text(epoch), text(seq), fate.into()]);
        }
        let told = self.ask_list::<Vec<String>>(&SETTLE, &group, [], arguments);
        async move { Ok(answer::delivered(&told.await?)) }.boxed()
    }

    fn leave(&self, group: StreamKey, instance: InstanceId) -> Answer<()> {
        let instance: Arc<str> = instance.as_str().into();
        let left = self.ask_list::<u64>(&LEAVE, &group, [], vec![text(instance)]);
        async move { left.await.map(drop) }.boxed()
    }
}
