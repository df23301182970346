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

impl Feed {
    fn read(&self, epoch: &str, after: u64) -> Next {
        self.next(epoch, Instant::now(), after, 64)
    }
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
    assert_eq!(seqs(feed.read("e", 3)), [4, 5]);
    assert!(feed.append(&wake("e", 5, 2)), "it came twice");
    assert!(feed.append(&wake("e", 7, 3)), "one of them is known");
    assert_eq!(seqs(feed.read("e", 3)), [4, 5, 6, 7]);
    assert!(feed.append(&wake("e", 6, 0)), "nothing came along, and nothing is missing");
    assert!(matches!(feed.read("e", 2), Next::Behind), "what was before is read");
}

#[tokio::test]
async fn where_a_message_is_missing_before_what_came_along_it_is_read() {
    let feed = feed(3);
    assert!(!feed.append(&wake("e", 6, 2)));
    assert!(!feed.append(&wake("e", 4, 0)));
    assert!(!feed.append(&wake("another", 4, 1)));
    assert!(!feed.append(&wake("e", 1, 2)), "more than there are");
    assert_eq!(seqs(feed.read("e", 3)), [0; 0]);
}

#[tokio::test]
async fn a_read_that_was_under_way_gives_nothing_twice() {
    let feed = feed(3);
    let asked = feed.after();
    assert!(feed.append(&wake("e", 5, 2)));
    let message = |seq| StoredMessage { seq, at_ms: 0, expires_at_ms: 0, body: "x".into() };
    let marks = Marks { epoch: "e".into(), former: None, first: 1, head: 6 };
    let read = Range { marks, now_ms: 0, messages: (4..=6).map(message).collect() };
    feed.take(&asked, Ok(Some(read)));
    assert_eq!(seqs(feed.read("e", 3)), [4, 5, 6]);
}

#[tokio::test]
async fn what_fell_out_unread_is_noticed_though_nothing_follows() {
    let marks = |first, head| Marks { epoch: "e".into(), former: None, first, head };
    let feed = Feed::new(StreamKey::agent(&"acme".into(), "bob"), marks(1, 3));
    assert!(matches!(feed.read("e", 3), Next::UpToDate));
    feed.take(&feed.after(), Ok(Some(Range { marks: marks(7, 6), now_ms: 0, messages: Vec::new() })));
    assert!(matches!(feed.read("e", 3), Next::Behind));
    assert!(matches!(feed.read("e", 6), Next::UpToDate));
}

#[tokio::test]
async fn a_life_that_the_store_lost_is_not_read_on() {
    let feed = feed(0);
    let asked = feed.after();
    assert!(feed.append(&wake("e", 2, 2)));
    feed.take(&asked, Ok(None));
    assert_eq!(seqs(feed.read("e", 0)), [1, 2], "it has begun since");
    feed.take(&feed.after(), Ok(None));
    assert!(matches!(feed.read("e", 0), Next::UpToDate));
}

#[tokio::test(start_paused = true)]
async fn of_two_lives_the_one_counts_that_the_store_told_of_later() {
    let (feed, asked_before) = (feed(3), feed(3).after());
    tokio::time::advance(Duration::from_millis(1)).await;
    let since = Instant::now();
    let empty = |epoch: &str| {
        let marks = Marks { epoch: epoch.into(), former: None, first: 1, head: 0 };
        Ok(Some(Range { marks, now_ms: 0, messages: Vec::new() }))
    };
    assert!(matches!(feed.next("f", since, 0, 64), Next::UpToDate), "the store is being asked");
    assert!(!feed.take(&asked_before, empty("e")) && matches!(feed.next("f", since, 0, 64), Next::UpToDate));
    tokio::time::advance(Duration::from_millis(1)).await;
    feed.take(&feed.after(), empty("e"));
    assert!(matches!(feed.next("f", since, 0, 64), Next::Another(_)));
}
