//! Work of groups between two instances: who gets it, when it has its outcome, and what becomes of it when its member ends.

use std::time::Duration;

use super::fleet::{Fleet, OUTCOME_TIMEOUT, Session};
use super::ledger::{Ledger, Mark};
use crate::bus::BusHealth;
use crate::bus::faulty::Faults;
use crate::router::held::SILENCE;

const GROUP: &str = "group/work";
/// Longer than news take over a bus without faults.
const SOON: Duration = Duration::from_millis(50);
/// Longer than instances keep what members can take to themselves.
const BEAT: Duration = Duration::from_millis(1_200);

/// A sender on the first instance, and members on those named.
async fn gather(members: &[usize]) -> (Fleet, Session, Vec<Session>, Ledger) {
    let mut fleet = Fleet::new(Faults::none(), 1).await;
    let sender = fleet.join(0, "sender").await;
    let mut workers = Vec::new();
    for (number, instance) in members.iter().enumerate() {
        let mut worker = fleet.join(*instance, &format!("worker-{number}")).await;
        worker.join_group(GROUP).await;
        workers.push(worker);
    }
    (fleet, sender, workers, Ledger::default())
}

#[tokio::test(start_paused = true)]
async fn work_elsewhere_has_its_outcome_when_it_is_written_and_not_before() {
    let (fleet, sender, workers, mut ledger) = gather(&[1]).await;
    fleet.send(&sender, 1, GROUP, &mut ledger);
    tokio::time::sleep(3 * SILENCE + OUTCOME_TIMEOUT).await;
    assert_eq!(sender.in_flight(), 1, "its instance says each second that it waits");
    workers[0].drain(&mut ledger);
    tokio::time::sleep(SOON).await;
    sender.drain(&mut ledger);
    assert_eq!(ledger.count(Mark::Queued), 1);
    fleet.send(&sender, 2, GROUP, &mut ledger);
    tokio::time::sleep(SOON).await;
    fleet.buses[1].set_health(BusHealth::Down);
    tokio::time::sleep(SILENCE + BEAT).await;
    sender.drain(&mut ledger);
    assert_eq!(ledger.count(Mark::Unknown), 1, "nothing is heard of it any more");
    ledger.judge(&[]);
    assert!(ledger.faults.is_empty(), "{:?}", ledger.faults);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_can_take_no_more_is_passed_over_and_at_last_the_sender_hears_so() {
    let (fleet, sender, workers, mut ledger) = gather(&[1, 0]).await;
    for (busy, open) in [(0, 1), (1, 0)] {
        workers[busy].grant(0);
        workers[open].grant(40);
        for id in 1..=40 {
            fleet.send(&sender, id + 100 * busy as u64, GROUP, &mut ledger);
            tokio::time::sleep(SOON).await;
        }
        workers[open].drain(&mut ledger);
        tokio::time::sleep(SOON).await;
        sender.drain(&mut ledger);
    }
    assert_eq!((ledger.count(Mark::Queued), ledger.count(Mark::Failed)), (80, 0));
    fleet.send(&sender, 500, GROUP, &mut ledger);
    tokio::time::sleep(SOON).await;
    sender.drain(&mut ledger);
    assert_eq!(ledger.count(Mark::Failed), 1);
    ledger.judge(&[]);
    assert!(ledger.faults.is_empty(), "{:?}", ledger.faults);
}

#[tokio::test(start_paused = true)]
async fn of_two_elsewhere_the_one_with_more_room_gets_the_work() {
    let (fleet, sender, workers, mut ledger) = gather(&[1, 1]).await;
    workers[0].grant(1_000);
    workers[1].grant(10);
    tokio::time::sleep(BEAT).await;
    for id in 1..=100 {
        fleet.send(&sender, id, GROUP, &mut ledger);
    }
    tokio::time::sleep(SOON).await;
    workers[0].drain(&mut ledger);
    tokio::time::sleep(SOON).await;
    sender.drain(&mut ledger);
    assert_eq!(ledger.count(Mark::Queued), 100);
}

#[tokio::test(start_paused = true)]
async fn what_a_member_left_unwritten_goes_to_another_on_whatever_instance_or_fails() {
    let (mut fleet, sender, mut workers, mut ledger) = gather(&[1]).await;
    for id in 1..=10 {
        fleet.send(&sender, id, GROUP, &mut ledger);
    }
    tokio::time::sleep(SOON).await;
    let mut other = fleet.join(0, "other").await;
    other.join_group(GROUP).await;
    workers.remove(0).break_off();
    tokio::time::sleep(SOON).await;
    other.drain(&mut ledger);
    tokio::time::sleep(SOON).await;
    sender.drain(&mut ledger);
    assert_eq!(ledger.count(Mark::Queued), 10);
    for id in 11..=15 {
        fleet.send(&sender, id, GROUP, &mut ledger);
    }
    tokio::time::sleep(SOON).await;
    other.break_off();
    tokio::time::sleep(SOON).await;
    sender.drain(&mut ledger);
    assert_eq!((ledger.count(Mark::Queued), ledger.count(Mark::Failed)), (10, 5));
    ledger.judge(&[]);
    assert!(ledger.faults.is_empty(), "{:?}", ledger.faults);
}
