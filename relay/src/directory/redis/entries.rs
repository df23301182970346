//! Entries in Redis: a hash per agent, `r1:d:{tenant}:{agent}`, of sessions to `instance|generation`, and of `session|i` to
//! what else is known of them. A release that does not know of the latter passes over it. Tenants, agents and sessions are
//! checked names, in which neither `:` nor `|` can stand.

use std::sync::Arc;

use ahash::HashMap;

use crate::bus::InstanceId;
use crate::directory::{About, Entry, OwnEntry};
use crate::redis::Script;

/// What follows a session in the field of what else is known of it.
const ABOUT: &str = "|i";

/// How long entries outlive the last word of their owner, in seconds: three refreshes.
pub(super) const LIFE_S: &str = "90";

/// Enters a session unless a newer connect of it is there, and answers with what was there before.
pub(super) static REGISTER: Script = Script::new(
    r"
    local before = redis.call('HGETALL', KEYS[1])
    local newer = false
    for i = 1, #before, 2 do
        if before[i] == ARGV[1] then
            local generation = tonumber(string.match(before[i + 1], '|(%d+)$'))
            newer = generation ~= nil and generation > tonumber(ARGV[3])
        end
    end
    if not newer then
        redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. ARGV[3])
        if ARGV[5] ~= '' then
            redis.call('HSET', KEYS[1], ARGV[1] .. '|i', ARGV[5])
        end
    end
    redis.call('EXPIRE', KEYS[1], ARGV[4])
    return before
    ",
);

/// Deletes sessions, each with its value, where they are still those that are meant, and answers whether the agent has any
/// left.
pub(super) static UNREGISTER: Script = Script::new(
    r"
    for i = 1, #ARGV, 2 do
        if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
            redis.call('HDEL', KEYS[1], ARGV[i], ARGV[i] .. '|i')
        end
    end
    return redis.call('EXISTS', KEYS[1])
    ",
);

/// The key of an agent.
pub(super) fn key(tenant: &str, agent: &str) -> String {
    format!("r1:d:{tenant}:{agent}")
}

/// The arguments of [`REGISTER`].
pub(super) fn register_arguments<'a>(
    own: &'a OwnEntry,
    instance: &'a InstanceId,
    generation: &'a str,
    about: &'a str,
) -> [&'a str; 5] {
    [&own.session, instance.as_str(), generation, LIFE_S, about]
}

/// The value of a session.
pub(super) fn value(instance: &InstanceId, generation: u64) -> String {
    format!("{instance}|{generation}")
}

/// The entry of a field and its value, if this release can read it.
pub(super) fn entry(session: &str, value: &str) -> Option<Entry> {
    let (instance, generation) = value.split_once('|')?;
    let (instance, generation) = (InstanceId::parse(instance)?, generation.parse().ok()?);
    Some(Entry { session: Arc::from(session), instance, generation, about: None })
}

/// The entries of a hash as Redis tells it.
pub(super) fn entries(told: &[(String, String)]) -> Vec<Entry> {
    let known: HashMap<&str, &str> =
        told.iter().filter_map(|(field, value)| Some((field.strip_suffix(ABOUT)?, value.as_str()))).collect();
    let mut entries: Vec<Entry> = told.iter().filter_map(|(session, value)| entry(session, value)).collect();
    for entry in &mut entries {
        entry.about = known.get(&*entry.session).and_then(|text| About::parse(text));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written() {
        let instance = InstanceId::random();
        let read = entry("s|1", &value(&instance, u64::MAX)).unwrap();
        assert_eq!(read, Entry { session: "s|1".into(), instance, generation: u64::MAX, about: None });
        for unreadable in ["", "i", "i|", "i|x", "|1", "i!|1"] {
            assert_eq!(entry("s", unreadable), None, "{unreadable}");
        }
    }
}
