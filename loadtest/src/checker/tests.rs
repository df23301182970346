//! Faulty histories, and what the checker makes of them.

use relay_protocol::client::ReceiptMode;

use crate::checker::{Books, End, Inbox, Ledger, Outcome, Tally, judge};
use crate::stamp::{Destination, Stamp};

const TOPIC: Destination = Destination::Topic(0);

/// Something that happened. Agent 0 sends to agent 1, or to a topic that agents 1 and 2 listen to.
enum Event {
    /// The next send, whose command id is its number.
    Sent,
    /// So many of them.
    SentMany(u64),
    /// An outcome was told of these.
    Told(Outcome, u64, u64),
    /// An agent received a number.
    Arrived(u32, u64),
    /// An agent was told of a gap.
    Gap(u32, Option<u64>),
    /// An agent's connection ended.
    Ended(u32),
    /// An agent's connection ended because the scenario wanted it so.
    Provoked(u32),
    /// The relay took its leave from an agent.
    Drained(u32),
}

use Event::{Arrived, Drained, Ended, Gap, Provoked, Sent, SentMany, Told};

fn history(destination: Destination, receipt: ReceiptMode, events: &[Event]) -> Tally {
    let mut books: Vec<Books> = (0..3)
        .map(|agent| {
            let topics = (agent > 0).then(|| (TOPIC, "t".to_owned()));
            Books { agent, ledger: Ledger::default(), inbox: Inbox::new(agent, topics), ended: None }
        })
        .collect();
    let mut id = 0;
    let mut send = |ledger: &mut Ledger| {
        id += 1;
        ledger.sent(id, destination);
    };
    for event in events {
        match event {
            Sent => send(&mut books[0].ledger),
            SentMany(count) => (0..*count).for_each(|_| send(&mut books[0].ledger)),
            Told(outcome, first, last) => books[0].ledger.outcome((*first, *last), *outcome, |_, _| {}),
            Arrived(agent, number) => {
                let stamp = Stamp { run: 0, sender: 0, destination, number: *number, at_ns: 0 };
                books[*agent as usize].inbox.arrived(&stamp);
            }
            Gap(agent, dropped) => books[*agent as usize].inbox.gap(true, ["t"].into_iter(), *dropped),
            Provoked(agent) => books[*agent as usize].ended = Some(End::Provoked),
            Drained(agent) => books[*agent as usize].ended = Some(End::Drained),
            Ended(agent) => books[*agent as usize].ended = Some(End::Unasked("closed".to_owned())),
        }
    }
    judge(&books, receipt)
}

fn direct(events: &[Event]) -> Tally {
    history(Destination::Agent(1), ReceiptMode::Failure, events)
}

fn figures(tally: &Tally) -> (u64, u64, u64, u64) {
    (tally.delivered, tally.lost, tally.lost_declared, tally.misdelivered)
}

#[test]
fn a_hole_is_a_loss_even_at_the_end_and_before_anything_came() {
    assert_eq!(figures(&direct(&[SentMany(3), Arrived(1, 1), Arrived(1, 3)])), (2, 1, 0, 0));
    assert_eq!(figures(&direct(&[SentMany(3), Arrived(1, 1)])), (1, 2, 0, 0));
    assert_eq!(figures(&direct(&[Sent])), (0, 1, 0, 0));
}

#[test]
fn order_and_repetition_are_told_apart() {
    let tally =
        direct(&[SentMany(4), Arrived(1, 2), Arrived(1, 1), Arrived(1, 4), Arrived(1, 3), Arrived(1, 2)]);
    assert_eq!((tally.out_of_order, tally.duplicated, tally.lost), (2, 1, 0));
}

#[test]
fn a_gap_excuses_what_was_missing_before_it_and_nothing_later() {
    let before = [SentMany(4), Arrived(1, 1), Gap(1, None), Arrived(1, 3), Arrived(1, 4)];
    assert_eq!(figures(&direct(&before)), (3, 0, 1, 0));
    let after = [SentMany(4), Arrived(1, 1), Gap(1, None), Arrived(1, 2), Arrived(1, 4)];
    assert_eq!(figures(&direct(&after)), (3, 1, 0, 0));
    let open = [SentMany(4), Arrived(1, 1), Gap(1, None)];
    assert_eq!(figures(&direct(&open)), (1, 0, 3, 0));
    let first = [SentMany(2), Gap(1, None), Arrived(1, 2)];
    assert_eq!(figures(&direct(&first)), (1, 0, 1, 0));
}

#[test]
fn a_gap_that_says_how_many_excuses_no_more() {
    let understated = [SentMany(5), Gap(1, Some(2)), Arrived(1, 5)];
    assert_eq!(figures(&direct(&understated)), (1, 2, 2, 0));
    let summed = [SentMany(5), Gap(1, Some(2)), Gap(1, Some(2)), Arrived(1, 5)];
    assert_eq!(figures(&direct(&summed)), (1, 0, 4, 0));
    let one_unknown = [SentMany(5), Gap(1, Some(1)), Gap(1, None), Arrived(1, 5)];
    assert_eq!(figures(&direct(&one_unknown)), (1, 0, 4, 0));
}

#[test]
fn a_gap_or_an_end_excuses_losses_of_that_recipient_only() {
    let events = [SentMany(3), Gap(1, None), Arrived(1, 3), Arrived(2, 1), Arrived(2, 3)];
    let tally = history(TOPIC, ReceiptMode::Failure, &events);
    assert_eq!(figures(&tally), (3, 1, 2, 0));
    let events = [SentMany(2), Ended(1), Arrived(2, 1)];
    let tally = history(TOPIC, ReceiptMode::Failure, &events);
    assert_eq!(figures(&tally), (1, 1, 2, 0));
    assert_eq!(tally.disconnected["closed"], 1);
}

#[test]
fn failed_is_no_loss_unless_it_arrived_and_unknown_is_neither() {
    let failed = [SentMany(3), Told(Outcome::Failed, 2, 3), Arrived(1, 1), Arrived(1, 3)];
    let tally = direct(&failed);
    assert_eq!((tally.lost, tally.failed_but_arrived, tally.accepted), (0, 1, 1));
    let unknown = [SentMany(3), Told(Outcome::Unknown, 2, 3), Arrived(1, 1), Arrived(1, 3)];
    let tally = direct(&unknown);
    assert_eq!((tally.lost, tally.unknown, tally.broken(ReceiptMode::Failure)), (0, 2, vec![]));
}

#[test]
fn where_all_outcomes_are_told_each_send_has_one() {
    let all = |events: &[Event]| history(Destination::Agent(1), ReceiptMode::All, events);
    let silent = all(&[SentMany(3), Told(Outcome::Good, 1, 2), Arrived(1, 1), Arrived(1, 2), Arrived(1, 3)]);
    assert_eq!((silent.unanswered, silent.accepted), (1, 2));
    let twice = all(&[Sent, Told(Outcome::Good, 1, 1), Told(Outcome::Failed, 1, 1), Arrived(1, 1)]);
    assert_eq!((twice.contradictory, twice.unanswered), (1, 0));
    let lied = all(&[SentMany(2), Told(Outcome::Good, 1, 2), Arrived(1, 1)]);
    assert_eq!((lied.lost, lied.queued_but_lost), (1, 1));
    let stray = all(&[Sent, Told(Outcome::Good, 1, 3), Arrived(1, 1)]);
    assert_eq!(stray.stray_outcomes, 2);
    let cut_off = all(&[Sent, Ended(0), Arrived(1, 1)]);
    assert_eq!(cut_off.unanswered, 0);
}

#[test]
fn what_was_never_sent_or_is_not_for_them_is_misdelivered() {
    assert_eq!(direct(&[Sent, Arrived(1, 1), Arrived(1, 2), Arrived(1, 3)]).misdelivered, 2);
    assert_eq!(direct(&[Sent, Arrived(1, 1), Arrived(2, 1)]).misdelivered, 1);
    assert_eq!(direct(&[Arrived(1, 1)]).misdelivered, 1);
}

#[test]
fn without_receipts_a_loss_is_shown_and_is_no_breach() {
    let tally = history(Destination::Agent(1), ReceiptMode::None, &[Sent]);
    assert_eq!((tally.lost, tally.broken(ReceiptMode::None)), (1, vec![]));
    assert_eq!(tally.broken(ReceiptMode::Failure), [("lost", 1)]);
}

#[test]
fn an_end_that_was_provoked_breaks_nothing_and_one_by_drain_excuses_nothing_that_was_queued() {
    let all = |events: &[Event]| history(Destination::Agent(1), ReceiptMode::All, events);
    let provoked = all(&[SentMany(2), Told(Outcome::Good, 1, 2), Arrived(1, 1), Provoked(1)]);
    assert_eq!((provoked.lost_declared, provoked.broken(ReceiptMode::All)), (1, vec![]));
    let drained = all(&[SentMany(3), Told(Outcome::Good, 1, 2), Arrived(1, 1), Drained(1), Drained(0)]);
    assert_eq!((drained.lost, drained.queued_but_lost, drained.lost_declared), (1, 1, 1));
    assert!(drained.disconnected.is_empty());
}

#[test]
fn what_was_under_way_when_its_sender_was_cut_off_is_unknown_and_what_was_queued_is_not() {
    let all = |events: &[Event]| history(Destination::Agent(1), ReceiptMode::All, events);
    let events = [SentMany(4), Told(Outcome::Good, 1, 2), Arrived(1, 1), Arrived(1, 3), Provoked(0)];
    let cut_off = all(&events);
    assert_eq!((cut_off.lost, cut_off.queued_but_lost, cut_off.unknown), (1, 1, 1));
}
