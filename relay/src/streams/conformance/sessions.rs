//! The sessions of an agent: what makes its stream, who reads it, and how one goes on.

use std::sync::Arc;

use crate::auth::{Digest, digest};
use crate::bus::InstanceId;
use crate::streams::conformance::{append, message, read, seqs, to_hear};
use crate::streams::{
    Ack, Append, LateOutcome, OUTCOMES_MAX, Opened, Opening, ReturnAddress, Stored, StreamKey, StreamStore,
};

fn inbox(agent: &str) -> StreamKey {
    StreamKey::agent(&"acme".into(), agent)
}

fn ticket(text: &str) -> Digest {
    digest(&[text.as_bytes()])
}

struct Door<'s> {
    store: &'s dyn StreamStore,
    instance: InstanceId,
}

impl Door<'_> {
    async fn open(&self, agent: &str, session: &str, given: &str, resume: Option<(&str, &str)>) -> Opened {
        let opening = Opening {
            inbox: inbox(agent),
            session: session.into(),
            generation: 1,
            ticket: ticket(given),
            resume: resume.map(|(session, shown)| (session.into(), ticket(shown))),
            instance: self.instance.clone(),
        };
        self.store.open(opening).await.unwrap()
    }
}

fn door(store: &dyn StreamStore) -> Door<'_> {
    Door { store, instance: InstanceId::random() }
}

fn ack(opened: &Opened, session: &str, seq: u64) -> Ack {
    let (epoch, generation) = (Arc::clone(&opened.marks.epoch), opened.generation);
    Ack { session: session.into(), generation, epoch, seq, expired: Vec::new() }
}

/// Naming an agent makes no stream, its session does; it outlives the session, and is full at its bound.
pub(super) async fn registration(a: &dyn StreamStore, b: &dyn StreamStore) {
    let stream = inbox("bob");
    assert_eq!(append(a, &stream, vec![message("e1", "x")]).await, [Stored::NoRecipient]);
    let door = door(b);
    let opened = door.open("bob", "bob~1", "t", None).await;
    assert_eq!((opened.resumed, opened.generation, opened.position), (false, 1, Some(0)));
    let told = a.append(stream.clone(), vec![message("e1", "x")]).await.unwrap();
    assert_eq!((told.stored, told.readers), (vec![Stored::At(1)], vec![door.instance.clone()]));
    b.close(stream.clone(), "bob~1".into(), 7).await.unwrap();
    assert_eq!(a.append(stream.clone(), vec![]).await.unwrap().readers.len(), 1, "another connection has it");
    b.close(stream.clone(), "bob~1".into(), 1).await.unwrap();
    assert_eq!(a.append(stream.clone(), vec![]).await.unwrap().readers, []);
    let many = (0..25).map(|number| message(&format!("f{number}"), "x")).collect();
    let told = append(a, &stream, many).await;
    assert_eq!((told[18], told[19], told[24]), (Stored::At(20), Stored::Saturated, Stored::Saturated));
    // Who comes alone gets all that nobody has presented.
    let opened = door.open("bob", "bob~2", "t", None).await;
    assert_eq!((opened.position, opened.marks.head), (Some(0), 20));
    assert_eq!(b.renew(stream, vec!["bob~2".into()]).await, Ok(Some(opened.marks)));
    assert_eq!(b.renew(inbox("bob"), vec!["bob~2".into(), "bob~1".into()]).await, Ok(None), "one has ended");
    assert_eq!(b.renew(inbox("nobody"), vec!["x".into()]).await, Ok(None));
}

/// A stream keeps what any of its readers has not presented; a sender hears of the first who has.
pub(super) async fn readers(a: &dyn StreamStore) {
    let (stream, door) = (inbox("carol"), door(a));
    let one = door.open("carol", "carol~1", "t", None).await;
    let sent =
        |id: u64| Append { return_to: Some(to_hear(&door.instance, id)), ..message(&format!("g{id}"), "x") };
    append(a, &stream, (1..=4).map(sent).collect()).await;
    append(a, &stream, (5..=6).map(sent).collect()).await;
    let ids = async |ack: Ack| {
        let told = a.acknowledge(stream.clone(), ack).await.unwrap().unwrap();
        told.into_iter().map(|told| (told.to.id, told.expired)).collect::<Vec<_>>()
    };
    let partly = Ack { expired: vec![2], ..ack(&one, "carol~1", 3) };
    assert_eq!(ids(partly).await, [(1, false), (2, true), (3, false)]);
    let two = door.open("carol", "carol~2", "t", None).await;
    assert_eq!(two.position, Some(3), "a further one begins with what nobody has presented");
    assert_eq!(ids(ack(&one, "carol~1", 2)).await, [], "backwards is nothing");
    assert_eq!(ids(Ack { epoch: "another".into(), ..ack(&one, "carol~1", 6) }).await, []);
    let another = Ack { generation: 2, ..ack(&one, "carol~1", 6) };
    assert_eq!(a.acknowledge(stream.clone(), another).await, Ok(None), "another connection");
    assert_eq!(ids(ack(&one, "nobody", 6)).await, []);
    assert_eq!(seqs(&read(a, &stream, 0).await), [4, 5, 6]);
    assert_eq!(ids(ack(&two, "carol~2", 5)).await, [(4, false), (5, false)]);
    assert_eq!(seqs(&read(a, &stream, 0).await), [4, 5, 6], "the other has not");
    assert_eq!(ids(ack(&one, "carol~1", 99)).await, [(6, false)]);
    assert_eq!(seqs(&read(a, &stream, 0).await), [6]);
    a.close(stream.clone(), "carol~2".into(), 1).await.unwrap();
    assert_eq!(
        append(a, &stream, vec![sent(1), sent(7)]).await,
        [Stored::Repeat { seq: 1, delivered: true }, Stored::At(7)]
    );
    let failure_only = |id: u64| {
        let to = ReturnAddress { failure_only: true, ..to_hear(&door.instance, id) };
        Append { return_to: Some(to), ..message(&format!("g{id}"), "x") }
    };
    append(a, &stream, vec![failure_only(8), sent(9), failure_only(10), failure_only(11)]).await;
    let told = ids(Ack { expired: vec![8, 10], ..ack(&one, "carol~1", 11) }).await;
    let told_of = |id: u64| told.iter().filter(|(told, _)| *told == id).collect::<Vec<_>>();
    assert_eq!(
        (told_of(8), told_of(9), told_of(10)),
        (vec![&(8, true)], vec![&(9, false)], vec![&(10, true)])
    );
}

/// A ticket goes on with its session until the next one is used, and with no other.
pub(super) async fn resumption(a: &dyn StreamStore, b: &dyn StreamStore) {
    let (first, second) = (door(a), door(b));
    let opened = first.open("dave", "dave~1", "t1", None).await;
    let stream = inbox("dave");
    append(a, &stream, (0..3).map(|number| message(&format!("h{number}"), "x")).collect()).await;
    a.acknowledge(stream.clone(), ack(&opened, "dave~1", 1)).await.unwrap();
    let again = second.open("dave", "dave~2", "t2", Some(("dave~1", "t1"))).await;
    assert_eq!((again.resumed, again.generation, again.position), (true, 2, Some(1)));
    assert_eq!(again.before, Some(first.instance.clone()));
    assert_eq!(a.acknowledge(stream.clone(), ack(&opened, "dave~1", 3)).await, Ok(None), "fenced");
    // Its answer was lost, or is late: the old one is good until one that was given for it is used.
    let again = second.open("dave", "dave~3", "t3", Some(("dave~1", "t1"))).await;
    assert_eq!((again.resumed, again.generation), (true, 3));
    let again = second.open("dave", "dave~4", "t4", Some(("dave~1", "t2"))).await;
    assert_eq!((again.resumed, again.generation), (true, 4), "carried out first, and heard");
    for (name, ticket, why) in [("dave~5", "t1", "used up"), ("dave~6", "t3", "never heard")] {
        assert!(!second.open("dave", name, "t", Some(("dave~1", ticket))).await.resumed, "{why}");
    }
    let again = second.open("dave", "dave~7", "t5", Some(("dave~1", "t4"))).await;
    assert_eq!((again.resumed, again.generation, again.position), (true, 5, Some(1)));
    assert!(!second.open("erin", "erin~1", "t", Some(("dave~1", "t5"))).await.resumed, "another agent's");
    a.close(stream, "dave~1".into(), 5).await.unwrap();
    assert!(!second.open("dave", "dave~8", "t", Some(("dave~1", "t5"))).await.resumed, "it has ended");
}

/// What became of a message is kept for its sender's session as long as that may come back, and handed out once.
pub(super) async fn outcomes(a: &dyn StreamStore, b: &dyn StreamStore) {
    let (stream, door) = (inbox("frank"), door(a));
    let late = |mid: &str, expired| LateOutcome { mid: mid.into(), expired };
    let session: Arc<str> = "frank~1".into();
    assert_eq!(a.keep(stream.clone(), Arc::clone(&session), vec![late("m0", false)]).await, Ok(None));
    let opened = door.open("frank", "frank~1", "t1", None).await;
    assert_eq!(a.kept(stream.clone(), Arc::clone(&session)).await, Ok(vec![]), "nobody was known");
    let both = vec![late("m1", false), late("m:2", true)];
    assert_eq!(
        b.keep(stream.clone(), Arc::clone(&session), both.clone()).await,
        Ok(Some(door.instance.clone()))
    );
    door.open("frank", "frank~2", "t2", Some(("frank~1", "t1"))).await;
    assert_eq!(b.kept(stream.clone(), Arc::clone(&session)).await, Ok(both));
    assert_eq!(a.kept(stream.clone(), Arc::clone(&session)).await, Ok(vec![]), "once");
    let many = (0..=OUTCOMES_MAX).map(|number| late(&number.to_string(), false)).collect();
    a.keep(stream.clone(), Arc::clone(&session), many).await.unwrap();
    let kept = a.kept(stream.clone(), Arc::clone(&session)).await.unwrap();
    assert_eq!((kept.len(), &*kept[0].mid), (OUTCOMES_MAX, "1"), "the latest");
    a.close(stream.clone(), Arc::clone(&session), opened.generation + 1).await.unwrap();
    assert_eq!(a.keep(stream, session, vec![late("m3", false)]).await, Ok(None), "it does not come back");
}

/// What only a session had not presented that has ended makes room, though nobody acknowledges any more.
pub(super) async fn room(a: &dyn StreamStore) {
    let (stream, door) = (inbox("fay"), door(a));
    door.open("fay", "fay~1", "t", None).await;
    let two = door.open("fay", "fay~2", "t", None).await;
    append(a, &stream, (0..20).map(|number| message(&format!("i{number}"), "x")).collect()).await;
    a.acknowledge(stream.clone(), ack(&two, "fay~2", 20)).await.unwrap();
    assert_eq!(append(a, &stream, vec![message("full", "x")]).await, [Stored::Saturated]);
    a.close(stream.clone(), "fay~1".into(), 1).await.unwrap();
    assert_eq!(append(a, &stream, vec![message("room", "x")]).await, [Stored::At(21)]);
}
