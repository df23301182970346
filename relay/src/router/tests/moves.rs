//! Messages whose recipient has moved while they travelled.

use std::time::Duration;

use super::fleet::{Fleet, OUTCOME_TIMEOUT, Session};
use super::ledger::{Ledger, Mark};
use crate::bus::faulty::Faults;
use crate::bus::{Bus as _, BusHealth, Channel, InstanceId};
use crate::directory::OwnEntry;

#[tokio::test(start_paused = true)]
async fn what_two_instances_send_back_comes_once() {
    let slow = Faults { delayed: 1.0, delay_max: Duration::from_millis(50), ..Faults::none() };
    let mut fleet = Fleet::of(3, slow, 1).await;
    let sender = fleet.join(0, "sender").await;
    let there = [fleet.join(1, "mover").await, fleet.join(2, "mover").await];
    let mut ledger = Ledger::default();
    fleet.send(&sender, 1, "agent/mover", &mut ledger);
    there.into_iter().for_each(Session::break_off);
    let here = fleet.join(0, "mover").await;
    tokio::time::sleep(OUTCOME_TIMEOUT / 2).await;
    here.drain(&mut ledger);
    sender.drain(&mut ledger);
    assert_eq!(ledger.count(Mark::Queued), 1);
    ledger.judge(&[]);
    assert!(ledger.faults.is_empty(), "{:?}", ledger.faults);
}

/// The directory still names the instance that the agent has left, beside the one where it is.
#[tokio::test(start_paused = true)]
async fn what_comes_back_goes_before_what_was_sent_to_a_further_place_meanwhile() {
    let slow = Faults { delayed: 1.0, delay_max: Duration::from_millis(50), ..Faults::none() };
    let mut fleet = Fleet::of(3, slow, 1).await;
    let sender = fleet.join(0, "sender").await;
    let there = fleet.join(1, "mover").await;
    let mut ledger = Ledger::default();
    fleet.send(&sender, 1, "agent/mover", &mut ledger);
    let left = OwnEntry {
        tenant: "acme".into(),
        agent: "mover".into(),
        session: "mover~left".into(),
        generation: 1,
        about: None,
    };
    fleet.routers[1].directory.register(left).await.unwrap();
    there.break_off();
    let here = fleet.join(2, "mover").await;
    fleet.routers[0].tenants.get("acme").unwrap().forget_route("mover");
    fleet.send(&sender, 2, "agent/mover", &mut ledger);
    tokio::time::sleep(OUTCOME_TIMEOUT / 2).await;
    here.drain(&mut ledger);
    sender.drain(&mut ledger);
    assert_eq!(ledger.count(Mark::Queued), 2);
    ledger.judge(&[]);
    assert!(ledger.faults.is_empty(), "{:?}", ledger.faults);
}

/// An instance that was killed does not hold its agents up for as long as a report may take.
#[tokio::test(start_paused = true)]
async fn what_a_dead_instance_had_holds_nobody_up() {
    let mut fleet = Fleet::of(3, Faults::none(), 1).await;
    let sender = fleet.join(0, "sender").await;
    let there = fleet.join(1, "mover").await;
    let mut ledger = Ledger::default();
    fleet.send(&sender, 1, "agent/mover", &mut ledger);
    tokio::time::sleep(OUTCOME_TIMEOUT / 10).await;
    there.drain(&mut ledger);
    // It takes this one along.
    fleet.buses[1].set_health(BusHealth::Deaf);
    fleet.send(&sender, 2, "agent/mover", &mut ledger);
    tokio::time::sleep(OUTCOME_TIMEOUT / 10).await;
    fleet.buses[1].unsubscribe(&Channel::inbox(&InstanceId::parse("instance-1").unwrap()));
    there.break_off();
    let here = fleet.join(2, "mover").await;
    fleet.send(&sender, 3, "agent/mover", &mut ledger);
    tokio::time::sleep(OUTCOME_TIMEOUT * 8 / 10).await;
    here.drain(&mut ledger);
    sender.drain(&mut ledger);
    assert_eq!((ledger.count(Mark::Queued), ledger.count(Mark::Unknown)), (2, 1));
    ledger.judge(&[]);
    assert!(ledger.faults.is_empty(), "{:?}", ledger.faults);
}

/// Whether an instance still listens is asked for all its agents at once.
#[tokio::test(start_paused = true)]
async fn however_many_a_dead_instance_had_it_is_asked_once_at_a_time() {
    const AGENTS: u64 = 40;
    let agent = |number: u64| format!("mover-{number}");
    let mut fleet = Fleet::of(3, Faults::none(), 1).await;
    let sender = fleet.join(0, "sender").await;
    let (mut there, mut here, mut ledger) = (Vec::new(), Vec::new(), Ledger::default());
    for number in 0..AGENTS {
        there.push(fleet.join(1, &agent(number)).await);
        fleet.send(&sender, number, &format!("agent/{}", agent(number)), &mut ledger);
    }
    tokio::time::sleep(OUTCOME_TIMEOUT / 10).await;
    for session in &there {
        session.drain(&mut ledger);
    }
    fleet.buses[1].set_health(BusHealth::Deaf);
    fleet.send(&sender, AGENTS, &format!("agent/{}", agent(0)), &mut ledger);
    tokio::time::sleep(OUTCOME_TIMEOUT / 10).await;
    fleet.buses[1].unsubscribe(&Channel::inbox(&InstanceId::parse("instance-1").unwrap()));
    there.into_iter().for_each(Session::break_off);
    for number in 0..AGENTS {
        here.push(fleet.join(2, &agent(number)).await);
        fleet.send(&sender, AGENTS + 1 + number, &format!("agent/{}", agent(number)), &mut ledger);
    }
    tokio::time::sleep(OUTCOME_TIMEOUT / 10).await;
    let before = fleet.batches();
    tokio::time::sleep(OUTCOME_TIMEOUT / 2).await;
    assert_eq!(fleet.batches() - before, 2);
    tokio::time::sleep(OUTCOME_TIMEOUT * 2 / 10).await;
    for session in &here {
        session.drain(&mut ledger);
    }
    sender.drain(&mut ledger);
    let settled = usize::try_from(2 * AGENTS).unwrap();
    assert_eq!((ledger.count(Mark::Queued), ledger.count(Mark::Unknown)), (settled, 1));
    ledger.judge(&[]);
    assert!(ledger.faults.is_empty(), "{:?}", ledger.faults);
}
