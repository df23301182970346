//! What a feed takes that came along with a hint, what it leaves to be read, and what it finds gone.

use super::*;

fn feed(head: u64) -> Feed {
    let marks = Marks { epoch: "e".into(), former: None, first: 1, head };
    Feed::new(StreamKey::agent(&"acme".into(), "bob"), marks)
}

/// The hint that the stream reaches up to `head`, and the last `count` messages.
fn wake(epoch: &'static str, head: u64, count: usize) -> Wake<&'static str> {
    let latest = Latest { expires_in_ms: 0, body: "x".into() };
    Wake { tenant: "acme", stream: "agent/bob", epoch, head, latest: vec![latest; count] }
}

fn seqs(next: Next) -> Vec<u64> {
    match next {
        Next::Entries(entries) => entries.iter().map(|entry| entry.seq).collect(),
        Next::UpToDate => Vec::new(),
        next => panic!("{next:?}"),
    }
}

#[tokio::test]
async fn what_comes_along_with_a_hint_is_not_read_again() {
    let feed = feed(3);
    assert!(feed.append(&wake("e", 5, 2)));
    assert_eq!(seqs(feed.next("e", 3, 64)), [4, 5]);
    assert!(feed.append(&wake("e", 5, 2)), "it came twice");
    assert!(feed.append(&wake("e", 7, 3)), "one of them is known");
    assert_eq!(seqs(feed.next("e", 3, 64)), [4, 5, 6, 7]);
    assert!(feed.append(&wake("e", 6, 0)), "nothing came along, and nothing is missing");
    assert!(matches!(feed.next("e", 2, 64), Next::Behind), "what was before is read");
}

#[tokio::test]
async fn where_a_message_is_missing_before_what_came_along_it_is_read() {
    let feed = feed(3);
    assert!(!feed.append(&wake("e", 6, 2)));
    assert!(!feed.append(&wake("e", 4, 0)));
    assert!(!feed.append(&wake("another", 4, 1)));
    assert!(!feed.append(&wake("e", 1, 2)), "more than there are");
    assert_eq!(seqs(feed.next("e", 3, 64)), [0; 0]);
}

#[tokio::test]
async fn a_read_that_was_under_way_gives_nothing_twice() {
    let feed = feed(3);
    let after = feed.after();
    assert!(feed.append(&wake("e", 5, 2)));
    let message = |seq| StoredMessage { seq, at_ms: 0, expires_at_ms: 0, body: "x".into() };
    let marks = Marks { epoch: "e".into(), former: None, first: 1, head: 6 };
    let read = Range { marks, now_ms: 0, messages: (4..=6).map(message).collect() };
    feed.take(after, Ok(Some(read)));
    assert_eq!(seqs(feed.next("e", 3, 64)), [4, 5, 6]);
}

#[tokio::test]
async fn what_fell_out_unread_is_noticed_though_nothing_follows() {
    let marks = |first, head| Marks { epoch: "e".into(), former: None, first, head };
    let feed = Feed::new(StreamKey::agent(&"acme".into(), "bob"), marks(1, 3));
    assert!(matches!(feed.next("e", 3, 1), Next::UpToDate));
    feed.take(("e".into(), 3), Ok(Some(Range { marks: marks(7, 6), now_ms: 0, messages: Vec::new() })));
    assert!(matches!(feed.next("e", 3, 1), Next::Behind));
    assert!(matches!(feed.next("e", 6, 1), Next::UpToDate));
}

#[tokio::test]
async fn a_life_that_the_store_lost_is_not_read_on() {
    let unmade = |history: &str| Marks { epoch: history.into(), former: None, first: 1, head: 0 };
    let life = |history: &str| Marks { former: Some((history.into(), 0)), ..unmade("e") };
    let feed = Feed::new(StreamKey::topic(&"acme".into(), "news"), life("@one"));
    assert!(feed.append(&wake("e", 2, 2)));
    assert_eq!(*feed.learn(&unmade("@one")).epoch, *"e", "it has begun since");
    assert_eq!(*feed.learn(&unmade("@two")).epoch, *"@two");
    assert!(matches!(feed.next("@two", 0, 64), Next::UpToDate));

    let feed = Feed::new(StreamKey::topic(&"acme".into(), "news"), life("@one"));
    let after = feed.after();
    assert!(feed.append(&wake("e", 2, 2)));
    feed.take(after, Ok(None));
    assert_eq!(seqs(feed.next("e", 0, 64)), [1, 2], "it has begun since");
    feed.take(feed.after(), Ok(None));
    assert!(matches!(feed.next("e", 0, 64), Next::UpToDate));
}
