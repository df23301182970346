//! Inboxes in which something waits whose sender is to hear if nobody presents it: `r1:v:{tenant}`, a sorted set by when
//! each is to be looked at. Inboxes are of many slots, so an inbox says once, by its answer to an append, that it is to be
//! entered; whoever looks claims it for a while, so that of many instances one does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use crate::redis::{Commands, Script};
use crate::streams::redis::{RedisStreams, answer, keys, millis, run, text};
use crate::streams::{Answer, Delivered, StreamError, StreamKey};

static NOTE: Script = Script::new(include_str!("note.lua"));
static CLAIM_DUE: Script = Script::new(include_str!("claim.lua"));
static LOOKED: Script = Script::new(include_str!("looked.lua"));
static EXPIRE: Script = Script::new(concat!(include_str!("prelude.lua"), include_str!("expire.lua")));

/// The most inboxes of one look.
const CLAIMED_MAX: usize = 64;
/// After so long another may look at an inbox whose look did not end.
const CLAIM: Duration = Duration::from_secs(30);
/// Inboxes looked at at a time.
const AT_ONCE: usize = 8;

/// The key of a tenant's inboxes that are to be looked at.
fn key(tenant: &str) -> String {
    format!("r1:v:{{{tenant}}}")
}

/// An inbox is to be looked at so soon, which is a number of milliseconds as text. If Redis does not take it, the inbox says
/// so again ten minutes after that time.
pub(super) async fn note(commands: Commands, inbox: &StreamKey, due: &str, age: Duration) {
    let arguments = vec![text(&inbox.address), due.into(), millis(age * 2)];
    let noted = run::<u64>(commands, &NOTE, vec![key(&inbox.tenant).into()], arguments).await;
    if let Err(error) = noted {
        tracing::debug!(%error, "an inbox is not entered");
    }
}

impl RedisStreams {
    /// Looks at inboxes of a tenant whose time has come.
    pub(super) fn look_at_inboxes(&self, tenant: Arc<str>) -> Answer<Vec<Delivered>> {
        let (commands, age) = (self.commands.clone(), self.settings.age);
        async move {
            let arguments = vec![text(CLAIMED_MAX), millis(CLAIM)];
            let index = key(&tenant);
            let claimed: Vec<String> =
                run(commands.clone(), &CLAIM_DUE, vec![index.as_str().into()], arguments).await?;
            let mut looks = Vec::with_capacity(claimed.len() / 2);
            for inbox in claimed.chunks_exact(2) {
                let stream = StreamKey { tenant: Arc::clone(&tenant), address: inbox[0].as_str().into() };
                looks.push(look(commands.clone(), stream, index.clone(), inbox[1].clone(), age));
            }
            let (mut looks, mut told) = (stream::iter(looks).buffer_unordered(AT_ONCE), Vec::new());
            while let Some(some) = looks.next().await {
                // One that fails is claimed again.
                told.extend(some.unwrap_or_default());
            }
            Ok(told)
        }
        .boxed()
    }
}

async fn look(
    commands: Commands,
    inbox: StreamKey,
    index: String,
    claimed: String,
    age: Duration,
) -> Result<Vec<Delivered>, StreamError> {
    let expired: Vec<String> = run(commands.clone(), &EXPIRE, keys(&inbox, []), vec![millis(age)]).await?;
    let Some((due, told)) = expired.split_first() else { return Err(StreamError::Unanswered) };
    let told = answer::delivered(told);
    let arguments = vec![text(&inbox.address), claimed.into(), due.as_str().into()];
    // Where this fails it is looked at once more.
    let _ = run::<u64>(commands, &LOOKED, vec![index.into()], arguments).await;
    Ok(told)
}
