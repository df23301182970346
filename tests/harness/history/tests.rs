//! Each kind of broken promise is found, and nothing else is.

use relay_protocol::client::{Lane, Qos};

use super::*;

mod order;

const ALICE: &str = "alice~1";
const BOB: &str = "bob~1";

/// Alice on connection 1 and bob on connection 2 of one tenant.
fn begin() -> History {
    let history = History::default();
    for (connection, session) in [(1, ALICE), (2, BOB)] {
        history.record(What::Opened { party: party(session), connection, resumed: false, reliable: true });
    }
    history
}

fn party(session: &str) -> Party {
    let agent = session.split('~').next().unwrap_or_default();
    Party { tenant: "acme".into(), agent: agent.into(), session: session.into() }
}

fn name(mid: u64) -> Name {
    Name { tenant: "acme".into(), agent: "alice".into(), mid: mid.to_string().into() }
}

fn attempt(id: u64) -> Attempt {
    Attempt { connection: 1, id }
}

/// Alice sends message `mid` to bob by the command of that number.
fn send_as(history: &History, id: u64, mid: u64, qos: Qos, counter: Option<u64>) {
    let to = To::Agent("bob".into());
    let (attempt, name, lane) = (attempt(id), name(mid), Lane::Normal);
    history.record(What::Sent { attempt, name, to, qos, lane, counter });
}

fn send(history: &History, mid: u64) {
    send_as(history, mid, mid, Qos::AtLeastOnce, None);
}

fn tell(history: &History, id: u64, outcome: Outcome) {
    history.record(What::Told { attempt: attempt(id), outcome });
}

fn at(epoch: &str, seq: u64) -> At {
    At { stream: "agent/bob".into(), epoch: epoch.into(), seq }
}

fn present_to(history: &History, party: Party, mid: u64, at: At) {
    history.record(What::Presented { party, name: name(mid), at: Some(at), redelivered: false });
}

fn present(history: &History, mid: u64, seq: u64) {
    present_to(history, party(BOB), mid, at("e", seq));
}

fn notice(history: &History, notice: Notice) {
    history.record(What::Noticed { party: party(BOB), notice });
}

fn refused(why: &str) -> Outcome {
    Outcome::Failed(why.into())
}

/// Exactly these kinds, in the order of [`Breach`].
fn assert_found(history: &History, rest: Rest, breaches: &[Breach]) {
    let judgement = history.judge(rest);
    let found: Vec<Breach> = judgement.violations.iter().map(|violation| violation.breach).collect();
    assert_eq!(found, breaches, "{judgement}");
}

#[test]
fn what_is_kept_is_not_complained_of() {
    let history = begin();
    for mid in 1..=3 {
        send(&history, mid);
        tell(&history, mid, Outcome::Accepted);
        present(&history, mid, mid);
        tell(&history, mid, Outcome::Delivered);
    }
    assert_found(&history, Rest::Settled, &[]);
    assert_eq!(history.judge(Rest::Settled).presented, 3);
}

#[test]
fn a_loss_is_found_when_all_has_settled_or_when_it_is_overtaken() {
    let history = begin();
    send(&history, 1);
    tell(&history, 1, Outcome::Accepted);
    assert_found(&history, Rest::Unsettled, &[]);
    assert_found(&history, Rest::Settled, &[Breach::Lost]);
    send(&history, 2);
    tell(&history, 2, Outcome::Accepted);
    present(&history, 2, 1);
    assert_found(&history, Rest::Unsettled, &[Breach::Lost]);
}

#[test]
fn a_loss_that_was_told_is_none_but_no_more_than_was_told() {
    let history = begin();
    for mid in 1..=3 {
        send(&history, mid);
        tell(&history, mid, Outcome::Accepted);
    }
    notice(&history, Notice::Skip { first: at("e", 1), to: 2, reason: "expired".into() });
    present(&history, 3, 3);
    assert_found(&history, Rest::Settled, &[]);
    assert_eq!(history.judge(Rest::Settled).declared, 2);
    send(&history, 4);
    tell(&history, 4, Outcome::Accepted);
    assert_found(&history, Rest::Settled, &[Breach::Lost]);
    notice(&history, Notice::Goes { after: at("f", 0), recovered: false });
    assert_found(&history, Rest::Settled, &[]);
    send(&history, 5);
    tell(&history, 5, Outcome::Accepted);
    assert_found(&history, Rest::Settled, &[Breach::Lost]);
}

#[test]
fn who_comes_later_inherits_what_nobody_has_seen() {
    let history = begin();
    history.record(What::Closed { connection: 2, code: None, over: true });
    send(&history, 1);
    tell(&history, 1, Outcome::Accepted);
    assert_found(&history, Rest::Settled, &[]);
    let later = What::Opened { party: party("bob~2"), connection: 3, resumed: false, reliable: true };
    history.record(later);
    assert_found(&history, Rest::Settled, &[Breach::Lost]);
    history.record(What::Forgotten);
    assert_found(&history, Rest::Settled, &[]);
}

#[test]
fn a_second_presentation_is_found_and_to_another_session_is_none() {
    let history = begin();
    let second = What::Opened { party: party("bob~2"), connection: 3, resumed: false, reliable: true };
    history.record(second);
    send(&history, 1);
    tell(&history, 1, Outcome::Accepted);
    present(&history, 1, 1);
    present_to(&history, party("bob~2"), 1, at("e", 1));
    assert_found(&history, Rest::Settled, &[]);
    present(&history, 1, 2);
    assert_found(&history, Rest::Settled, &[Breach::Twice]);
}

#[test]
fn what_is_sent_again_after_the_store_forgot_may_come_again() {
    let history = begin();
    send_as(&history, 1, 1, Qos::AtLeastOnce, Some(1));
    present(&history, 1, 1);
    notice(&history, Notice::Goes { after: at("f", 0), recovered: false });
    send_as(&history, 2, 1, Qos::AtLeastOnce, Some(1));
    tell(&history, 2, Outcome::Accepted);
    present_to(&history, party(BOB), 1, at("f", 1));
    assert_found(&history, Rest::Unsettled, &[]);
}

#[test]
fn strangers_are_found() {
    let history = begin();
    send(&history, 1);
    tell(&history, 1, Outcome::Accepted);
    present(&history, 1, 1);
    let elsewhere = Party { tenant: "evil".into(), ..party(BOB) };
    present_to(&history, elsewhere, 1, at("e", 1));
    assert_found(&history, Rest::Settled, &[Breach::Leaked]);
    present_to(&history, party(ALICE), 1, at("e", 1));
    assert_found(&history, Rest::Settled, &[Breach::Leaked, Breach::Misdelivered]);
    present(&history, 99, 2);
    assert_found(&history, Rest::Settled, &[Breach::Leaked, Breach::Misdelivered, Breach::Phantom]);
}

#[test]
fn what_was_refused_does_not_come() {
    let history = begin();
    send(&history, 1);
    tell(&history, 1, refused("saturated"));
    present(&history, 1, 1);
    assert_found(&history, Rest::Settled, &[Breach::Refused]);
}

#[test]
fn what_was_stored_before_a_loss_was_told_is_excused_though_its_sender_hears_later() {
    for (outcome, breaches) in [(Outcome::Delivered, &[][..]), (Outcome::Accepted, &[Breach::Lost][..])] {
        let history = begin();
        let second = What::Opened { party: party("bob~2"), connection: 3, resumed: false, reliable: true };
        history.record(second);
        send(&history, 1);
        tell(&history, 1, Outcome::Unknown);
        present_to(&history, party("bob~2"), 1, at("f", 1));
        notice(&history, Notice::Goes { after: at("f", 3), recovered: false });
        send_as(&history, 2, 1, Qos::AtLeastOnce, None);
        tell(&history, 2, outcome);
        assert_found(&history, Rest::Settled, breaches);
    }
}

#[test]
fn a_hole_in_a_stream_is_found() {
    for epoch in ["e", "f"] {
        let history = begin();
        for mid in 1..=2 {
            send(&history, mid);
            tell(&history, mid, Outcome::Accepted);
        }
        present(&history, 1, 1);
        present_to(&history, party(BOB), 2, at(epoch, 3));
        assert_found(&history, Rest::Settled, &[Breach::Hole]);
    }
    let history = begin();
    notice(&history, Notice::Goes { after: at("e", 3), recovered: true });
    notice(&history, Notice::Goes { after: at("e", 5), recovered: true });
    assert_found(&history, Rest::Settled, &[Breach::Hole]);
}

#[test]
fn each_attempt_has_one_outcome() {
    let history = begin();
    send(&history, 1);
    assert_found(&history, Rest::Unsettled, &[]);
    assert_found(&history, Rest::Settled, &[Breach::Unanswered]);
    tell(&history, 1, Outcome::Unknown);
    assert_found(&history, Rest::Settled, &[]);
    tell(&history, 1, Outcome::Accepted);
    assert_found(&history, Rest::Settled, &[Breach::Contradicted]);
    tell(&history, 2, Outcome::Accepted);
    assert_found(&history, Rest::Settled, &[Breach::Contradicted, Breach::Stray]);
}

#[test]
fn delivered_means_that_somebody_has_seen_it() {
    let history = begin();
    send(&history, 1);
    tell(&history, 1, Outcome::Delivered);
    present(&history, 1, 1);
    assert_found(&history, Rest::Settled, &[Breach::Untrue]);
}

#[test]
fn when_no_fault_is_left_a_refusal_is_one() {
    let history = begin();
    send(&history, 1);
    tell(&history, 1, refused("unavailable"));
    assert_found(&history, Rest::Settled, &[]);
    history.record(What::Calm);
    send(&history, 2);
    tell(&history, 2, refused("unavailable"));
    assert_found(&history, Rest::Settled, &[Breach::Refusal]);
}

#[test]
fn what_is_queued_arrives_unless_its_recipient_left_or_heard_of_a_gap() {
    for excuse in [None, Some(What::Closed { connection: 2, code: None, over: false })] {
        let history = begin();
        send_as(&history, 1, 1, Qos::AtMostOnce, None);
        tell(&history, 1, Outcome::Queued);
        let breaches: &[Breach] = if excuse.is_none() { &[Breach::Lost] } else { &[] };
        if let Some(excuse) = excuse {
            history.record(excuse);
        }
        assert_found(&history, Rest::Settled, breaches);
        notice(&history, Notice::Gap);
        assert_found(&history, Rest::Settled, &[]);
    }
}

#[test]
fn a_subscriber_gets_all_of_a_topic() {
    let history = begin();
    let party = party(BOB);
    history.record(What::Subscribed { party: party.clone(), topic: "news".into(), qos: Qos::AtLeastOnce });
    let to = To::Topic("news".into());
    let (attempt, name, qos, lane) = (attempt(1), name(1), Qos::AtLeastOnce, Lane::Normal);
    history.record(What::Sent { attempt, name: name.clone(), to, qos, lane, counter: None });
    tell(&history, 1, Outcome::Accepted);
    assert_found(&history, Rest::Settled, &[Breach::Lost]);
    let at = Some(At { stream: "topic/news".into(), epoch: "e".into(), seq: 7 });
    history.record(What::Presented { party, name, at, redelivered: false });
    assert_found(&history, Rest::Settled, &[]);
}

#[test]
fn a_counterexample_tells_the_story_of_its_message() {
    let history = begin();
    send(&history, 1);
    tell(&history, 1, Outcome::Accepted);
    history.record(What::Fault("instance 2 is killed".to_owned()));
    let told = history.judge(Rest::Settled).to_string();
    for part in ["BROKEN Lost, 1 times", "acme/alice/1", "Accepted at", "acme/bob~1", "instance 2 is killed"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn the_digest_follows_the_events() {
    let digest = |mids: &[u64]| {
        let mut digest = Digest::default();
        for mid in mids {
            digest.add(&Event { at: Moment::default(), what: What::Fault(mid.to_string()) });
        }
        digest.0.finish()
    };
    assert_eq!(digest(&[1, 2]), digest(&[1, 2]));
    assert_ne!(digest(&[1, 2]), digest(&[2, 1]));
}
