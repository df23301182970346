//! Which topics of a tenant have a stream, so that their number has a bound: `r1:n:{tenant}`, a sorted set by the time
//! until which the stream may live. Streams are of many slots, so it is asked before them, and seldom: what this instance
//! entered lately is not entered again.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::redis::Script;
use crate::streams::StreamKey;

/// Entries that are remembered here. One more and all are forgotten, which costs a question for each.
const REMEMBERED_MAX: usize = 1 << 16;
/// An entry outlives the last message by this part of their age, and is made again as often.
const RENEWALS: u32 = 8;

pub(super) static ENTER: Script = Script::new(include_str!("enter.lua"));

/// What this instance entered.
#[derive(Debug, Default)]
pub(super) struct Entered(Mutex<HashMap<StreamKey, Instant, ahash::RandomState>>);

impl Entered {
    /// Whether a topic was entered so lately that its entry outlives whatever is stored now.
    pub(super) fn has(&self, stream: &StreamKey, age: Duration) -> bool {
        self.0.lock().get(stream).is_some_and(|at| at.elapsed() < age / RENEWALS)
    }

    /// A topic was entered at that time.
    pub(super) fn remember(&self, stream: &StreamKey, at: Instant) {
        let mut entered = self.0.lock();
        if entered.len() >= REMEMBERED_MAX {
            entered.clear();
        }
        entered.insert(stream.clone(), at);
    }
}

/// The key of a tenant's topics.
pub(super) fn key(tenant: &str) -> String {
    format!("r1:n:{{{tenant}}}")
}

/// How long an entry holds.
pub(super) fn life(age: Duration) -> Duration {
    age + 2 * age / RENEWALS
}
