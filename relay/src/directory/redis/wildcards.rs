//! Whether some instance holds subscriptions with a wildcard: a key per tenant that its holders keep from expiring, and
//! what publishers remember of it.
//!
//! A publisher may believe "none" for [`LEASE`] from before it asked; a holder waits that long after the key was set. So
//! none believes it any longer when the holder goes on. What was never asked, or when Redis may have lost its memory, is
//! `true`.

use std::sync::Arc;
use std::time::Duration;

use ahash::{HashSet, RandomState};
use dashmap::DashMap;
use fred::error::Error;
use fred::interfaces::{HashesInterface as _, KeysInterface as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::InstanceId;
use crate::directory::redis::leases;
use crate::redis::{Commands, Question, Script};

/// How long an answer holds, from before it was asked for.
const LEASE: Duration = Duration::from_secs(1);

/// Asked again this long before an answer lapses, so that who publishes steadily always has one.
const AHEAD: Duration = Duration::from_millis(500);

/// What a holder waits beyond [`LEASE`]: clocks of two machines do not run exactly alike.
const MARGIN: Duration = Duration::from_millis(20);

/// How long nothing is believed after Redis lost its memory: time for the holders to come back.
const DISTRUST: Duration = Duration::from_secs(3);

/// How long the key outlives the last word of its holders, in milliseconds.
const LIFE_MS: &str = "10000";

/// Tenants remembered at a time; of one more nothing is known, so that its messages are copied.
const TENANTS_MAX: usize = 100_000;

/// Tenants nobody published for so long are forgotten.
const IDLE: Duration = Duration::from_mins(1);

/// Questions that wait, and that are under way.
const ASKS_WAITING_MAX: usize = 1024;
const ASKS_UNDER_WAY_MAX: usize = 256;

/// Keeps the key from expiring, and answers for how many milliseconds it has been there.
static HOLD: Script = Script::new(
    r"
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local since = tonumber(redis.call('GET', KEYS[1]) or now)
    if not since or since > now then
        since = now
    end
    redis.call('SET', KEYS[1], string.format('%.0f', since), 'PX', ARGV[1])
    return now - since
    ",
);

/// Both sides of it, of one instance.
#[derive(Debug)]
pub(super) struct Wildcards {
    held: RwLock<HashSet<Arc<str>>>,
    answers: DashMap<Arc<str>, Answer, RandomState>,
    asks: mpsc::Sender<Arc<str>>,
    distrusted_until: Mutex<Option<Instant>>,
}

/// What is remembered of a tenant.
#[derive(Debug)]
struct Answer {
    held: bool,
    until: Instant,
    used: Instant,
    asking: bool,
}

impl Wildcards {
    /// With the questions that [`Wildcards::ask`] is to carry out.
    pub(super) fn new() -> (Wildcards, mpsc::Receiver<Arc<str>>) {
        let (asks, asked) = mpsc::channel(ASKS_WAITING_MAX);
        let (held, answers, distrusted_until) = Default::default();
        (Wildcards { held, answers, asks, distrusted_until }, asked)
    }

    /// Whether somebody may hold them. Never waits.
    pub(super) fn may_be_held(&self, tenant: &str) -> bool {
        if self.held.read().contains(tenant) {
            return true;
        }
        let now = Instant::now();
        if !self.answers.contains_key(tenant) {
            if self.answers.len() >= TENANTS_MAX {
                return true;
            }
            let unknown = Answer { held: true, until: now, used: now, asking: false };
            self.answers.entry(tenant.into()).or_insert(unknown);
        }
        let Some(mut answer) = self.answers.get_mut(tenant) else { return true };
        answer.used = now;
        if !answer.asking && now + AHEAD >= answer.until {
            answer.asking = self.asks.try_send(answer.key().clone()).is_ok();
        }
        let believed = now < answer.until && self.distrusted_until.lock().is_none_or(|until| now >= until);
        answer.held || !believed
    }

    /// Nothing is believed for a while.
    pub(super) fn distrust(&self) {
        *self.distrusted_until.lock() = Some(Instant::now() + DISTRUST);
    }

    /// Remembers that this instance holds them.
    pub(super) fn wish(&self, tenant: &str) {
        self.held.write().insert(tenant.into());
    }

    /// This instance holds them no longer; the key expires unless others do.
    pub(super) fn release(&self, tenant: &str) {
        self.held.write().remove(tenant);
    }

    /// The tenants this instance holds them of.
    pub(super) fn held(&self) -> Vec<Arc<str>> {
        self.held.read().iter().cloned().collect()
    }

    /// Carries out questions until the token ends it.
    pub(super) async fn ask(
        self: Arc<Self>,
        own: InstanceId,
        commands: Commands,
        mut asked: mpsc::Receiver<Arc<str>>,
        token: CancellationToken,
    ) {
        let mut forget = tokio::time::interval(IDLE / 6);
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                Some(tenant) = asked.recv(), if under_way.len() < ASKS_UNDER_WAY_MAX => {
                    under_way.push(self.answer(&own, &commands, tenant));
                }
                Some(()) = under_way.next() => {}
                _ = forget.tick() => self.answers.retain(|_, answer| answer.used.elapsed() < IDLE),
            }
        }
    }

    async fn answer(&self, own: &InstanceId, commands: &Commands, tenant: Arc<str>) {
        let asked = Instant::now();
        let held = match commands.begin(0) {
            Ok(question) => is_held(&question, own, &tenant).await,
            Err(_) => None,
        };
        if let Some(mut answer) = self.answers.get_mut(&tenant) {
            answer.asking = false;
            answer.held = held.unwrap_or(true);
            answer.until = if held.is_some() { asked + LEASE } else { asked };
        }
    }
}

/// `None` when it is not known.
async fn is_held(question: &Question, own: &InstanceId, tenant: &str) -> Option<bool> {
    // Asked in this order on one connection: a memory lost before the first question shows in the second, until the next
    // beat restores the own lease, which begins the distrust. Of a Cluster they may be two nodes: there one that comes back
    // without its memory shows by its connection.
    let held = question.exists::<u64, _>(key(tenant));
    let remembers = question.hexists::<bool, _, _>(leases::KEY, own.as_str());
    let (held, remembers) = futures_util::future::join(held, remembers).await;
    let held = held.ok()? > 0;
    (held || remembers.ok()?).then_some(held)
}

/// Keeps the key of a tenant from expiring. Answers how long is left until no publisher can believe that there is none.
pub(super) async fn hold(question: &Question, tenant: &str) -> Result<Duration, Error> {
    let held_ms: u64 = HOLD.run(question, &key(tenant), &[LIFE_MS]).await?;
    let wait = LEASE + MARGIN;
    // Whoever held it this long has waited already.
    Ok(if Duration::from_millis(held_ms) >= wait { Duration::ZERO } else { wait })
}

fn key(tenant: &str) -> String {
    format!("r1:w:{tenant}")
}
