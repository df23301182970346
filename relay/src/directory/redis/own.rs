//! The sessions of this instance: what Redis is to hold of them, whatever it forgets.

use std::sync::Arc;
use std::time::Duration;

use ahash::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::directory::{About, OwnEntry};

/// Goodbyes kept while Redis is away; what is over is left to expire.
const GOODBYES_MAX: usize = 10_000;

/// Bound: the sessions of this instance, which are bounded where connections are let in.
#[derive(Debug, Default)]
pub(super) struct Own(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    wished: HashMap<Key, Wish>,
    /// Which of them Redis has not said that it holds, since when.
    unsaid: HashMap<Key, Instant>,
    goodbyes: Vec<OwnEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: Arc<str>,
    agent: Arc<str>,
    session: Arc<str>,
}

/// Which connect of a session is wished, and what is known of it.
#[derive(Debug)]
struct Wish {
    generation: u64,
    about: Option<Arc<About>>,
}

impl Key {
    fn of(own: &OwnEntry) -> Key {
        let OwnEntry { tenant, agent, session, .. } = own.clone();
        Key { tenant, agent, session }
    }

    fn at(self, wish: &Wish) -> OwnEntry {
        let Key { tenant, agent, session } = self;
        OwnEntry { tenant, agent, session, generation: wish.generation, about: wish.about.clone() }
    }
}

impl Own {
    /// Wishes for an entry; of two generations the newer counts.
    pub(super) fn wish(&self, own: &OwnEntry) {
        let mut state = self.0.lock();
        let wish = Wish { generation: own.generation, about: own.about.clone() };
        let wished = state.wished.entry(Key::of(own)).or_insert(Wish { generation: 0, about: None });
        if wish.generation >= wished.generation {
            *wished = wish;
            state.unsaid.insert(Key::of(own), Instant::now());
        }
    }

    /// Redis holds an entry.
    pub(super) fn is_entered(&self, own: &OwnEntry) {
        let mut state = self.0.lock();
        let key = Key::of(own);
        if state.wished.get(&key).is_some_and(|wish| wish.generation == own.generation) {
            state.unsaid.remove(&key);
        }
    }

    /// What is wished for so long and Redis has not said that it holds.
    pub(super) fn overdue(&self, age: Duration) -> Vec<OwnEntry> {
        let state = self.0.lock();
        let overdue = state.unsaid.iter().filter(|(_, since)| since.elapsed() >= age);
        let entry = |(key, _): (&Key, _)| Some(key.clone().at(state.wished.get(key)?));
        overdue.filter_map(entry).collect()
    }

    /// Takes the wish for this generation back.
    pub(super) fn take_back(&self, own: &OwnEntry) {
        let mut state = self.0.lock();
        let session = Key::of(own);
        if state.wished.get(&session).is_some_and(|wish| wish.generation == own.generation) {
            state.wished.remove(&session);
            state.unsaid.remove(&session);
        }
    }

    /// Whether this very entry is wished.
    pub(super) fn wishes(&self, own: &OwnEntry) -> bool {
        self.0.lock().wished.get(&Key::of(own)).is_some_and(|wish| wish.generation == own.generation)
    }

    /// Everything that is wished.
    pub(super) fn all(&self) -> Vec<OwnEntry> {
        let state = self.0.lock();
        state.wished.iter().map(|(session, wish)| session.clone().at(wish)).collect()
    }

    /// Redis could not be told of a goodbye; it is told later.
    pub(super) fn owe_goodbye(&self, own: OwnEntry) {
        let mut state = self.0.lock();
        if state.goodbyes.len() < GOODBYES_MAX {
            state.goodbyes.push(own);
        }
    }

    /// The goodbyes that Redis was not told of.
    pub(super) fn goodbyes(&self) -> Vec<OwnEntry> {
        std::mem::take(&mut self.0.lock().goodbyes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::conformance::own;

    #[test]
    fn the_newest_generation_is_wished_and_only_it_is_taken_back() {
        let all = Own::default();
        let (old, new) = (own("t", "a", "s", 1), own("t", "a", "s", 2));
        all.wish(&new);
        all.wish(&old);
        assert!(all.wishes(&new) && !all.wishes(&old));
        all.take_back(&old);
        assert_eq!(all.all(), std::slice::from_ref(&new));
        all.take_back(&new);
        assert_eq!(all.all(), []);
    }

    #[test]
    fn what_redis_did_not_take_is_overdue_until_it_does_or_nobody_wishes_it() {
        let all = Own::default();
        let (old, new, other) = (own("t", "a", "s", 1), own("t", "a", "s", 2), own("t", "b", "s", 1));
        all.wish(&old);
        all.wish(&new);
        all.wish(&other);
        assert_eq!(all.overdue(Duration::from_mins(1)), []);
        all.is_entered(&old);
        all.take_back(&other);
        assert_eq!(all.overdue(Duration::ZERO), std::slice::from_ref(&new), "an older connect is not it");
        all.is_entered(&new);
        assert_eq!(all.overdue(Duration::ZERO), []);
    }
}
