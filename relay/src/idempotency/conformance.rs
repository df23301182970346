//! What every [`IdempotencyStore`] does: each sentence of its documentation, as a check that any store can be put to. A
//! check panics where a store does not conform.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a check is a test: it panics where a store does not conform"
)]

use std::sync::Arc;

use futures_util::future::join_all;

use crate::auth::digest;
use crate::idempotency::{Call, IdempotencyStore, Known};

/// Puts a store to every check. `join` adds an instance.
pub async fn check(join: impl AsyncFn() -> Arc<dyn IdempotencyStore>) {
    let (a, b) = (join().await, join().await);
    let call =
        |key: &str, said: &str| Call { key: digest(&[key.as_bytes()]), said: digest(&[said.as_bytes()]) };

    assert_eq!(a.begin(call("k", "x")).await, Ok(Known::First));
    assert_eq!(b.begin(call("k", "x")).await, Ok(Known::UnderWay));
    assert_eq!(b.begin(call("k", "y")).await, Ok(Known::Other));
    a.finish(call("k", "x"), "done".to_owned()).await.unwrap();
    for store in [&a, &b] {
        assert_eq!(store.begin(call("k", "x")).await, Ok(Known::Answered("done".to_owned())));
        assert_eq!(store.begin(call("k", "y")).await, Ok(Known::Other));
    }
    assert_eq!(b.begin(call("other", "x")).await, Ok(Known::First));
    b.forget(call("other", "x")).await.unwrap();
    assert_eq!(a.begin(call("other", "z")).await, Ok(Known::First), "it was not carried out");
    a.finish(call("never begun", "x"), "done".to_owned()).await.unwrap();
    assert_eq!(a.begin(call("never begun", "x")).await, Ok(Known::First));

    let at_once = (0..20).map(|number| if number % 2 == 0 { &a } else { &b }.begin(call("at once", "x")));
    let first = join_all(at_once).await.into_iter().filter(|known| *known == Ok(Known::First)).count();
    assert_eq!(first, 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idempotency::memory::MemoryIdempotency;

    #[tokio::test]
    async fn memory_conforms() {
        let store = Arc::new(MemoryIdempotency::default());
        check(async || Arc::clone(&store) as Arc<dyn IdempotencyStore>).await;
    }
}
