//! Which instances live. Each says so to Redis once a second and hears of all others; Redis's clock judges, not theirs.
//!
//! Who lapses while this instance's own lease held is dead. If the own lease lapsed as well it was Redis that was away or
//! lost its memory, and all others are spared until they had time to come back.

use std::time::Duration;

use ahash::HashMap;
use fred::error::Error;
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::redis::{Question, Script};

/// The key of all leases: instance to the time of its lapse.
pub(super) const KEY: &str = "r1:leases";

/// How often an instance says that it lives.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// How long one word holds, in milliseconds: three beats.
const LIFE_MS: &str = "3000";

/// How long the dead are remembered, in milliseconds: longer than their entries last, so that whoever reads an entry can
/// know that its instance is dead.
const MEMORY_MS: &str = "120000";
const MEMORY: Duration = Duration::from_mins(2);

/// How long others are spared after Redis was away: time for their next beat, on a new connection.
const SPARED: Duration = Duration::from_secs(3);

/// Answers whether the own lease had held, then every instance and whether its lease holds.
static BEAT_SCRIPT: Script = Script::new(
    r"
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local own = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
    redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[2]))
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    local answer = { own >= now and '1' or '0' }
    local leases = redis.call('HGETALL', KEYS[1])
    for i = 1, #leases, 2 do
        local lapse = tonumber(leases[i + 1]) or 0
        if lapse + ARGV[3] < now then
            redis.call('HDEL', KEYS[1], leases[i])
        else
            table.insert(answer, leases[i])
            table.insert(answer, lapse >= now and '1' or '0')
        end
    end
    return answer
    ",
);

/// Answers for each instance whether its lease holds.
static LOOK_SCRIPT: Script = Script::new(
    r"
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local answer = {}
    for i = 1, #ARGV do
        local lapse = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0) or 0
        answer[i] = lapse >= now and '1' or '0'
    end
    return answer
    ",
);

/// What this instance knows of the life of others.
#[derive(Debug)]
pub(super) struct Leases {
    own: InstanceId,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Instances that were seen, and since when they are dead.
    instances: HashMap<InstanceId, Option<Instant>>,
    spared_until: Option<Instant>,
}

impl Leases {
    pub(super) fn new(own: InstanceId) -> Leases {
        Leases { own, known: RwLock::default() }
    }

    /// This instance.
    pub(super) fn own(&self) -> &InstanceId {
        &self.own
    }

    /// Whether the entries of an instance count. One that was never seen began to live just now.
    pub(super) fn alive(&self, instance: &InstanceId) -> bool {
        let known = self.known.read();
        *instance == self.own
            || known.spared_until.is_some_and(|until| Instant::now() < until)
            || !matches!(known.instances.get(instance), Some(Some(_)))
    }

    /// Asks which of those taken for dead live after all: what the last beat told is up to a second old.
    pub(super) async fn revived(
        &self,
        question: &Question,
        dead: &[InstanceId],
    ) -> Result<Vec<InstanceId>, Error> {
        let arguments: Vec<&str> = dead.iter().map(InstanceId::as_str).collect();
        let answer: Vec<String> = LOOK_SCRIPT.run(question, KEY, &arguments).await?;
        let holds = dead.iter().zip(&answer).filter(|(_, holds)| *holds == "1");
        let revived: Vec<InstanceId> = holds.map(|(instance, _)| instance.clone()).collect();
        let mut known = self.known.write();
        known.instances.extend(revived.iter().map(|instance| (instance.clone(), None)));
        Ok(revived)
    }

    /// Nobody is dead until they had time to come back.
    pub(super) fn spare(&self) {
        self.known.write().spared_until = Some(Instant::now() + SPARED);
    }

    /// Says that this instance lives, and hears who else does. `false` when its own lease had lapsed.
    pub(super) async fn beat(&self, question: &Question) -> Result<bool, Error> {
        let arguments = [self.own.as_str(), LIFE_MS, MEMORY_MS];
        let answer: Vec<String> = BEAT_SCRIPT.run(question, KEY, &arguments).await?;
        let (held, leases) =
            answer.split_first().map_or((false, &[][..]), |(held, rest)| (held == "1", rest));
        let leases = leases.chunks_exact(2).filter_map(|lease| {
            let instance = InstanceId::parse(&lease[0])?;
            Some((instance, lease[1] == "1"))
        });
        self.hear(leases);
        Ok(held)
    }

    fn hear(&self, leases: impl Iterator<Item = (InstanceId, bool)>) {
        let now = Instant::now();
        let mut known = self.known.write();
        let mut before = std::mem::take(&mut known.instances);
        for (instance, alive) in leases {
            let since = before.remove(&instance).flatten();
            known.instances.insert(instance, if alive { None } else { since.or(Some(now)) });
        }
        // Whom Redis no longer knows is dead for longer than it remembers, or it lost its memory.
        before.retain(|_, since| since.get_or_insert(now).elapsed() < MEMORY);
        known.instances.extend(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases() -> (Leases, InstanceId) {
        (Leases::new(InstanceId::random()), InstanceId::random())
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_seen_and_lapsed_is_dead_and_who_was_never_seen_lives() {
        let (leases, other) = leases();
        assert!(leases.alive(&other));
        leases.hear([(other.clone(), true)].into_iter());
        assert!(leases.alive(&other));
        leases.hear([(other.clone(), false)].into_iter());
        assert!(!leases.alive(&other));
        leases.hear([(other.clone(), true)].into_iter());
        assert!(leases.alive(&other), "it was only late");
        leases.hear([].into_iter());
        assert!(!leases.alive(&other), "Redis no longer knows it");
        tokio::time::advance(MEMORY).await;
        leases.hear([].into_iter());
        assert!(leases.known.read().instances.is_empty(), "the dead are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn all_lapsing_together_is_no_death_for_a_while() {
        let (leases, other) = leases();
        leases.hear([(other.clone(), true)].into_iter());
        leases.spare();
        leases.hear([].into_iter());
        assert!(leases.alive(&other));
        tokio::time::advance(SPARED).await;
        assert!(!leases.alive(&other));
    }
}
