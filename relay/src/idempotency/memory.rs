//! Answers in this process: of a relay without Redis.

use std::collections::{HashMap, VecDeque};

use futures_util::future::{self, BoxFuture, FutureExt as _};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::auth::Digest;
use crate::idempotency::{Call, IdempotencyError, IdempotencyStore, Known, REMEMBERED_FOR, REMEMBERED_MAX};

/// Answers in memory.
#[derive(Debug, Default)]
pub struct MemoryIdempotency(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    calls: HashMap<Digest, Entry>,
    /// In the order they were begun.
    begun: VecDeque<(Instant, Digest)>,
}

#[derive(Debug)]
struct Entry {
    said: Digest,
    begun_at: Instant,
    answer: Option<String>,
}

impl Kept {
    fn expire(&mut self) {
        while let Some((at, key)) = self.begun.front()
            && at.elapsed() >= REMEMBERED_FOR
        {
            // Forgotten and begun again, it has a later place in line.
            if self.calls.get(key).is_some_and(|entry| entry.begun_at == *at) {
                self.calls.remove(key);
            }
            self.begun.pop_front();
        }
    }
}

impl IdempotencyStore for MemoryIdempotency {
    fn begin(&self, call: Call) -> BoxFuture<'static, Result<Known, IdempotencyError>> {
        let mut kept = self.0.lock();
        kept.expire();
        let known = match kept.calls.get(&call.key) {
            Some(entry) if entry.said != call.said => Ok(Known::Other),
            Some(entry) => Ok(entry.answer.clone().map_or(Known::UnderWay, Known::Answered)),
            None if kept.begun.len() >= REMEMBERED_MAX => Err(IdempotencyError::Full),
            None => {
                let begun_at = Instant::now();
                kept.calls.insert(call.key, Entry { said: call.said, begun_at, answer: None });
                kept.begun.push_back((begun_at, call.key));
                Ok(Known::First)
            }
        };
        future::ready(known).boxed()
    }

    fn finish(&self, call: Call, answer: String) -> BoxFuture<'static, Result<(), IdempotencyError>> {
        if let Some(entry) = self.0.lock().calls.get_mut(&call.key) {
            entry.answer = Some(answer);
        }
        future::ready(Ok(())).boxed()
    }

    fn forget(&self, call: Call) -> BoxFuture<'static, Result<(), IdempotencyError>> {
        self.0.lock().calls.remove(&call.key);
        future::ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_ends() {
        let store = MemoryIdempotency::default();
        let call = |number: usize| {
            let key = crate::auth::digest(&[&number.to_be_bytes()]);
            Call { key, said: key }
        };
        for number in 0..REMEMBERED_MAX {
            assert_eq!(store.begin(call(number)).await, Ok(Known::First));
        }
        assert_eq!(store.begin(call(REMEMBERED_MAX)).await, Err(IdempotencyError::Full));
        assert_eq!(store.begin(call(0)).await, Ok(Known::UnderWay));
        tokio::time::advance(REMEMBERED_FOR).await;
        assert_eq!(store.begin(call(REMEMBERED_MAX)).await, Ok(Known::First));
        assert_eq!(store.0.lock().calls.len(), 1);
    }
}
