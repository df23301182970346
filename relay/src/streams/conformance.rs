//! What every [`StreamStore`] does: each sentence of its documentation, as a check that any store can be put to. A check
//! panics where a store does not conform.

#![expect(clippy::unwrap_used, reason = "a check is a test: it panics where a store does not conform")]

mod jobs;
mod order;
mod sessions;
mod topics;
#[cfg(test)]
pub(in crate::streams) mod unread;

use std::sync::Arc;
use std::time::Duration;

use crate::bus::InstanceId;
use crate::streams::{Append, Marks, Range, ReturnAddress, Stored, StreamKey, StreamSettings, StreamStore};

/// Of the stores that are checked: so little is kept that its bounds are met.
pub const SETTINGS: StreamSettings = StreamSettings {
    messages: 20,
    bytes: 100_000,
    age: Duration::from_hours(1),
    grace: Duration::from_mins(2),
    topics: 8,
};

/// Puts a store to every check. `join` adds an instance.
pub async fn check(join: impl AsyncFn() -> Arc<dyn StreamStore>) {
    let (a, b) = (join().await, join().await);
    numbers(&*a, &*b).await;
    bounds(&*a).await;
    topics::waiting(&*a, &*b).await;
    topics::bound(&*a, &*b).await;
    order::repeats(&*a, &*b).await;
    order::counters(&*a).await;
    order::settled(&*a, &*b).await;
    sessions::registration(&*a, &*b).await;
    sessions::readers(&*a).await;
    sessions::resumption(&*a, &*b).await;
    sessions::outcomes(&*a, &*b).await;
    jobs::hands(&*a, &*b).await;
    jobs::ends(&*a).await;
    jobs::losses(&*a, &*b).await;
    sessions::room(&*a).await;
}

fn topic(name: &str) -> StreamKey {
    StreamKey::topic(&"acme".into(), name)
}

pub(in crate::streams) fn message(mid: &str, body: &str) -> Append {
    Append {
        from: "alice".into(),
        mid: mid.into(),
        session: "alice~1".into(),
        generation: 1,
        counter: None,
        settled: None,
        expires_in_ms: None,
        return_to: None,
        body: body.to_owned().into(),
    }
}

pub(in crate::streams) fn to_hear(instance: &InstanceId, id: u64) -> ReturnAddress {
    let (instance, session) = (instance.clone(), "alice~1".into());
    ReturnAddress { instance, session, generation: 1, id, failure_only: false, mid: format!("g{id}").into() }
}

async fn append(store: &dyn StreamStore, stream: &StreamKey, messages: Vec<Append>) -> Vec<Stored> {
    store.append(stream.clone(), messages).await.unwrap().stored
}

async fn read(store: &dyn StreamStore, stream: &StreamKey, after: u64) -> Range {
    store.read(stream.clone(), after, 1_000_000).await.unwrap().unwrap()
}

fn seqs(range: &Range) -> Vec<u64> {
    range.messages.iter().map(|message| message.seq).collect()
}

/// Numbers are contiguous from 1 whoever appends, and a range is read from any of them on.
async fn numbers(a: &dyn StreamStore, b: &dyn StreamStore) {
    let stream = topic("numbers");
    assert_eq!(a.read(stream.clone(), 0, 1_000).await, Ok(None));
    assert_eq!(a.before(stream.clone(), 0).await, Ok(0));
    let two = vec![message("n1", "one"), Append { expires_in_ms: Some(60_000), ..message("n2", "\u{0}two") }];
    assert_eq!(append(a, &stream, two).await, [Stored::At(1), Stored::At(2)]);
    assert_eq!(append(b, &stream, vec![message("n3", "three")]).await, [Stored::At(3)]);
    let all = read(b, &stream, 0).await;
    assert_eq!((seqs(&all), all.marks.first, all.marks.head), (vec![1, 2, 3], 1, 3));
    assert_eq!(&all.messages[1].body[..], b"\0two");
    assert_eq!(all.messages[0].expires_at_ms, 0);
    assert_eq!(all.messages[1].expires_at_ms, all.messages[1].at_ms + 60_000);
    assert!(all.now_ms >= all.messages[2].at_ms);
    assert_eq!(seqs(&read(a, &stream, 2).await), [3]);
    assert_eq!(seqs(&read(a, &stream, 3).await), [0; 0]);
    let least = a.read(stream.clone(), 0, 1).await.unwrap().unwrap();
    assert_eq!(seqs(&least), [1], "one at least, however few bytes");
    assert_eq!(a.before(stream.clone(), all.messages[0].at_ms).await, Ok(0));
    assert_eq!(a.before(stream, all.now_ms + 1_000).await, Ok(3));
    // Another tenant's stream of the same name is another.
    let other = StreamKey::topic(&"other".into(), "numbers");
    assert_eq!(a.read(other, 0, 1_000).await, Ok(None));
}

/// A topic keeps the latest, by count and by bytes.
async fn bounds(a: &dyn StreamStore) {
    let stream = topic("bounds");
    let many = (0..25).map(|number| message(&format!("b{number}"), "x")).collect();
    assert_eq!(append(a, &stream, many).await.last(), Some(&Stored::At(25)));
    let kept = read(a, &stream, 0).await;
    assert_eq!((kept.marks.first, kept.marks.head, kept.messages.len()), (6, 25, 20));
    let large = "y".repeat(40_000);
    let many = (0..4).map(|number| message(&format!("large{number}"), &large)).collect();
    append(a, &stream, many).await;
    let kept: Marks = read(a, &stream, 0).await.marks;
    assert_eq!((kept.first, kept.head), (28, 29));
    let enormous = "z".repeat(200_000);
    append(a, &stream, vec![message("enormous", &enormous)]).await;
    let kept = read(a, &stream, 0).await;
    assert_eq!(seqs(&kept), [30], "one larger than all that may be kept is kept alone");
}
