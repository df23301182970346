//! The queue keeps its bound and its order, and every send is settled once.

use std::sync::Arc;
use std::time::Duration;

use relay_protocol::client::Lane;
use relay_protocol::server::{GapReason, ServerFrame};
use relay_protocol::{Chunk, ErrorCode};
use tokio::time::Instant;

use super::*;
use crate::telemetry::metrics::Metrics;

fn queue(messages: usize, bytes: usize) -> Arc<Outbound> {
    Arc::new(Outbound::new(Encoding::Json, Bounds { messages, bytes }))
}

fn item(text: &'static str, lane: Lane) -> Item {
    Item { lane, ..Item::new(Chunk::one(text), Instant::now()) }
}

fn texts(taken: &Taken) -> Vec<&str> {
    taken.items.iter().map(|item| std::str::from_utf8(&item.chunk.bytes).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_message_being_added_counts() {
    let outbound = queue(3, 10);
    assert_eq!(outbound.push(item("aaaa", Lane::Normal)), Ok(()));
    assert_eq!(outbound.push(item("bbbbbb", Lane::Normal)), Ok(()));
    assert_eq!(outbound.push(item("c", Lane::Normal)), Err(PushError::Full));
    let taken = outbound.take(5, 100);
    assert_eq!(texts(&taken), ["aaaa"]);
    assert_eq!(outbound.push(item("d", Lane::High)), Ok(()));
    assert_eq!(outbound.push(item("e", Lane::Normal)), Ok(()));
    assert_eq!(outbound.push(item("f", Lane::Normal)), Err(PushError::Full));
    assert_eq!(texts(&outbound.take(100, 100)), ["d", "bbbbbb", "e"]);
    assert!(outbound.take(100, 100).items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_queue_is_taken_by_an_empty_one_alone() {
    let outbound = queue(3, 4);
    assert_eq!(outbound.push(item("aaaaaaaa", Lane::Normal)), Ok(()));
    assert_eq!(outbound.push(item("b", Lane::Normal)), Err(PushError::Full));
}

#[tokio::test(start_paused = true)]
async fn marks_are_told_once_and_fullness_is_measured() {
    let outbound = queue(100, 1_000);
    let fill = |count: usize| (0..count).filter(|_| outbound.push(item("x", Lane::Normal)).is_ok()).count();
    assert_eq!(fill(77), 77);
    assert_eq!(outbound.take(0, 0).flow.map(|flow| flow.0), Some(FlowState::High));
    assert_eq!(outbound.take(0, 0).flow, None);
    assert_eq!(fill(100), 25);
    let begun = Instant::now();
    tokio::time::advance(Duration::from_secs(3)).await;
    let taken = outbound.take(0, 0);
    assert_eq!(taken.flow.map(|flow| flow.0), Some(FlowState::Full));
    assert_eq!(taken.full_since, Some(begun));
    let taken = outbound.take(1_000, 60);
    assert_eq!((taken.flow.map(|flow| flow.0), taken.full_since), (Some(FlowState::Normal), None));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_of_a_topic_is_told_as_one_gap() {
    let outbound = queue(1, 1_000);
    for pattern in ["a", "b", "a", "b"] {
        let _ = outbound.push_topic(item("x", Lane::Normal), &Arc::from(pattern));
    }
    let mut gaps = Vec::new();
    outbound.take(100, 100).told.frames(std::iter::empty(), |frame| {
        if let ServerFrame::Gap { reason, topics, dropped, direct } = frame {
            gaps.push((
                *reason,
                topics.iter().map(ToString::to_string).collect::<Vec<_>>(),
                *dropped,
                *direct,
            ));
        }
    });
    assert_eq!(gaps, [(GapReason::Slow, vec!["b".to_owned(), "a".to_owned()], Some(3), false)]);
}

fn keyed(text: &'static str, key: &str, lane: Lane) -> Item {
    Item { key: Some(key.into()), ..item(text, lane) }
}

#[tokio::test(start_paused = true)]
async fn of_one_key_the_newest_waits_in_the_place_of_the_first() {
    let outbound = queue(4, 1_000);
    for (text, key) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a")] {
        outbound.push(keyed(text, key, Lane::Normal)).unwrap();
    }
    outbound.push(keyed("a4", "a", Lane::High)).unwrap();
    outbound.push(item("c", Lane::Normal)).unwrap();
    assert_eq!(outbound.push(item("d", Lane::Normal)), Err(PushError::Full));
    outbound.push(keyed("b2", "b", Lane::Normal)).expect("a full queue takes what replaces");
    let taken = outbound.take(1_000, 2);
    assert_eq!((texts(&taken), taken.conflated.0), (vec!["a4", "a3"], 3), "lanes have keys of their own");
    outbound.push(keyed("a5", "a", Lane::Normal)).unwrap();
    outbound.push(keyed("b3", "b", Lane::Normal)).unwrap();
    let taken = outbound.take(1_000, 100);
    assert_eq!((texts(&taken), taken.conflated.0), (vec!["b3", "c", "a5"], 1));
    outbound.push(keyed("a6", "a", Lane::Normal)).unwrap();
    outbound.push(keyed("a7", "a", Lane::Normal)).unwrap();
    let left = outbound.abandon();
    assert_eq!((left.messages, left.conflated), (1, 1), "what gave way is counted though nothing was taken");
}

#[tokio::test(start_paused = true)]
async fn what_replaces_keeps_within_the_bytes_and_keys_count() {
    let outbound = queue(100, 20);
    outbound.push(keyed("12345", "key", Lane::Normal)).unwrap();
    outbound.push(item("1234567890", Lane::Normal)).unwrap();
    assert_eq!(outbound.push(keyed("123456789", "key", Lane::Normal)), Err(PushError::Full));
    outbound.push(keyed("1234567", "key", Lane::Normal)).unwrap();
    assert_eq!(
        texts(&outbound.take(1_000, 100)),
        ["1234567", "1234567890"],
        "the refused one changed nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn the_normal_lane_is_not_starved() {
    let outbound = queue(1_000, 100_000);
    for _ in 0..100 {
        outbound.push(item("h", Lane::High)).unwrap();
        outbound.push(item("n", Lane::Normal)).unwrap();
    }
    // However much is taken at a time, and though more of the high lane keeps coming.
    let mut order = String::new();
    for _ in 0..34 {
        order.push_str(&texts(&outbound.take(1_000, 3)).concat());
        (0..3).for_each(|_| outbound.push(item("h", Lane::High)).unwrap());
    }
    assert_eq!(order, format!("{}n", "h".repeat(16)).repeat(6));
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_takes_nothing_and_says_what_it_left() {
    let outbound = queue(10, 1_000);
    outbound.push(item("x", Lane::Normal)).unwrap();
    outbound.push(item("y", Lane::High)).unwrap();
    let left = |left: Abandoned| (left.messages, left.conflated, left.bytes, left.jobs.len());
    assert_eq!(left(outbound.abandon()), (2, 0, 2, 0));
    assert_eq!(outbound.push(item("z", Lane::Normal)), Err(PushError::Closed));
    assert_eq!(left(outbound.abandon()), (0, 0, 0, 0));
}

fn receipts(outbound: &Outbound) -> Vec<String> {
    let mut told = Vec::new();
    outbound.take(0, 0).told.frames(std::iter::empty(), |frame| {
        let mut bytes = Vec::new();
        frame.encode(Encoding::Json, &mut bytes);
        told.push(String::from_utf8(bytes).unwrap());
    });
    told
}

#[test]
fn every_place_is_told_with_its_send() {
    let mut told = Told::default();
    let place = Place { stream: "agent/a".into(), epoch: "e".into(), seq: 1 };
    for id in 1..=9 {
        told.outcome(id, Outcome::Accepted);
        told.place(id, place.clone());
    }
    told.outcome(3, Outcome::Delivered);
    told.frames(std::iter::empty(), |frame| {
        let ServerFrame::Receipt(receipt) = frame else { panic!("{frame:?}") };
        assert_eq!((&*receipt.accepted, &*receipt.delivered), (&[(1, 9)][..], &[(3, 3)][..]));
        assert!(receipt.positions.iter().map(|(id, ..)| *id).eq(1..=9));
    });
}

#[test]
fn sends_in_a_row_that_fail_alike_are_told_as_one_range() {
    let mut told = Told::default();
    let saturated = Outcome::failed_for(ErrorCode::Saturated, 9);
    for id in [4, 1, 2, 3, 6, 9] {
        told.outcome(id, saturated);
    }
    told.outcome(5, Outcome::failed_for(ErrorCode::Saturated, 10));
    told.outcome(7, Outcome::Queued);
    told.outcome(8, saturated);
    let mut receipts = Vec::new();
    told.frames(std::iter::empty(), |frame| {
        let ServerFrame::Receipt(receipt) = frame else { panic!("{frame:?}") };
        receipts.push(receipt.failed.iter().map(|failed| failed.ids).collect::<Vec<_>>());
    });
    assert_eq!(receipts, [[(1, 4), (5, 5), (6, 6), (8, 9)]]);
}

#[tokio::test(start_paused = true)]
async fn each_send_is_settled_once_whatever_happens_to_it() {
    let (outbound, metrics) = (queue(10, 1_000), Metrics::new().unwrap());
    let send = |id, mode| Settlement::new(&outbound, &metrics, id, mode);
    for id in [1, 2, 3, 5] {
        send(id, ReceiptMode::All).settle(Outcome::Queued);
    }
    send(6, ReceiptMode::Failure).settle(Outcome::Queued);
    send(7, ReceiptMode::None).settle(Outcome::failed(ErrorCode::Saturated));
    send(8, ReceiptMode::Failure).settle(Outcome::failed_for(ErrorCode::Unavailable, 9));
    drop(send(9, ReceiptMode::Failure));
    assert_eq!(outbound.in_flight(), 0);
    let expected = r#"{"type":"receipt","queued":[[1,3],[5,5]],"unknown":[[9,9]],"failed":[{"id":8,"reason":"unavailable","retry_after_ms":9}]}"#;
    assert_eq!(receipts(&outbound), [expected]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_outcome_gets_it_once() {
    let metrics = Metrics::new().unwrap();
    let (settlement, settled) = Settlement::awaited(&metrics);
    settlement.settle(Outcome::Queued);
    assert_eq!(settled.await, Ok(Outcome::Queued.into()));
    let (settlement, settled) = Settlement::awaited(&metrics);
    drop(settlement.split(2));
    assert_eq!(settled.await, Ok(Outcome::Unknown.into()));
    let (settlement, settled) = Settlement::awaited(&metrics);
    let place = Place { stream: "topic/a".into(), epoch: "e".into(), seq: 7 };
    settlement.settle_at(place.clone());
    assert_eq!(settled.await, Ok(Settled { outcome: Outcome::Accepted, place: Some(place) }));
    assert!(metrics.render().contains("relay_sends_in_flight 0"), "{}", metrics.render());
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_send_have_one_outcome_the_best() {
    let (outbound, metrics) = (queue(10, 1_000), Metrics::new().unwrap());
    let mut parts = Settlement::new(&outbound, &metrics, 4, ReceiptMode::All).split(3);
    let more = parts.pop().unwrap().split(2);
    parts.pop().unwrap().settle(Outcome::failed(ErrorCode::NoRecipient));
    parts.pop().unwrap().settle(Outcome::Queued);
    assert_eq!((receipts(&outbound).len(), outbound.in_flight()), (0, 1));
    drop(more);
    assert_eq!(receipts(&outbound), [r#"{"type":"receipt","queued":[[4,4]]}"#]);
    assert_eq!(outbound.in_flight(), 0);
}

fn job(outbound: &Arc<Outbound>, metrics: &Arc<Metrics>, id: u64) -> Job {
    let settlement = Settlement::new(outbound, metrics, id, ReceiptMode::All);
    Job { group: "group/work".into(), settlement, stored: false }
}

#[tokio::test(start_paused = true)]
async fn work_comes_back_from_a_session_that_ended_and_is_taken_within_its_credit() {
    let (outbound, sender, metrics) = (queue(10, 1_000), queue(10, 1_000), Metrics::new().unwrap());
    let push = |text, id| {
        let pushed = outbound.push_job(item(text, Lane::Normal), job(&sender, &metrics, id));
        pushed.map_err(|(error, job)| {
            job.settlement.settle(Outcome::failed(ErrorCode::Saturated));
            error
        })
    };
    assert_eq!((push("a", 1), outbound.room()), (Ok(()), 9), "a client that grants nothing has its queue");
    outbound.grant(2, 3);
    assert_eq!((push("bb", 2), push("cc", 3)), (Ok(()), Err(PushError::Full)), "bytes");
    assert_eq!((push("d", 4), push("e", 5)), (Ok(()), Err(PushError::Full)), "messages");
    assert_eq!(outbound.room(), 0);
    assert_eq!(outbound.push(item("f", Lane::Normal)), Ok(()), "credit is for work only");
    let mut settled = outbound.take(1_000, 1).items;
    let left = outbound.abandon();
    assert_eq!((left.messages, left.jobs.len()), (3, 2), "two of them are work");
    settled.extend(left.jobs);
    for item in settled {
        item.job.unwrap().settlement.settle(Outcome::Queued);
    }
    assert_eq!(sender.in_flight(), 0);
    let told = r#"{"type":"receipt","queued":[[1,2],[4,4]],"failed":[{"id":3,"reason":"saturated"},{"id":5,"reason":"saturated"}]}"#;
    assert_eq!(receipts(&sender), [told]);
}

#[test]
fn frames_written_in_line_keep_bound_and_order_among_others() {
    let pong = |id| ServerFrame::Pong { id };
    let length = Chunk::of(&pong(1), Encoding::Json).bytes.len();
    let outbound = queue(5, 1_000);
    let write = |id| outbound.push_frame(&pong(id), Lane::Normal, Instant::now());
    assert_eq!(write(1), Ok(length));
    // A second one brings the brackets of a batch and a comma.
    assert_eq!(write(2), Ok(length + 3));
    assert_eq!(outbound.push(item("a", Lane::Normal)), Ok(()));
    assert_eq!(write(3), Ok(length));
    assert_eq!(outbound.push_frame(&pong(4), Lane::High, Instant::now()), Ok(length));
    assert_eq!(write(5), Err(PushError::Full));
    let taken = outbound.take(1_000, 100);
    let frame = |id| format!(r#"{{"type":"pong","id":{id}}}"#);
    assert_eq!(texts(&taken), [frame(4), format!("[{},{}]", frame(1), frame(2)), "a".to_owned(), frame(3)]);
    assert_eq!(outbound.take(1_000, 100).full_since, None);
    assert!(write(6).is_ok() && write(7).is_ok());
    let left = outbound.abandon();
    assert_eq!((left.messages, left.bytes), (2, 2 * length + 3));
    assert_eq!(write(8), Err(PushError::Closed));
}

#[test]
fn a_frame_that_does_not_fit_by_its_bytes_is_taken_back() {
    let outbound = queue(100, 60);
    let write = |id| outbound.push_frame(&ServerFrame::Pong { id }, Lane::Normal, Instant::now());
    assert!(write(1).is_ok() && write(2).is_ok());
    assert_eq!(write(3), Err(PushError::Full));
    assert_eq!(texts(&outbound.take(1_000, 100)), [r#"[{"type":"pong","id":1},{"type":"pong","id":2}]"#]);
}
