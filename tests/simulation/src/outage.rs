//! What goes wrong from outside: instances that end, parts that go away and come back, a store that forgets.

use std::sync::Arc;
use std::time::Duration;

use relay::bus::BusHealth;
use relay_tests::history::What;
use relay_tests::seed::Chance;
use tokio::time::Instant;

use crate::grounds::Grounds;

/// Times between two troubles.
const PAUSE_MS: (u32, u32) = (30, 350);
/// How long a part is away.
const AWAY_MS: (u32, u32) = (20, 1_800);

/// Makes trouble until `end`.
pub(crate) async fn disturb(grounds: Arc<Grounds>, end: Instant) -> anyhow::Result<()> {
    let mut chance = grounds.plan.chance(2);
    loop {
        tokio::time::sleep(between(&mut chance, PAUSE_MS)).await;
        if Instant::now() >= end {
            return Ok(());
        }
        let away = between(&mut chance, AWAY_MS);
        let weather = &grounds.weather;
        match chance.below(10) {
            0 | 1 if weather.crashes => crash(&grounds, &mut chance, away),
            2 | 3 if weather.drains => drain(&grounds, &mut chance),
            4 | 5 if weather.outages => cut_off(&grounds, &mut chance, away),
            6 | 7 if weather.outages => take_store(&grounds, &mut chance, away),
            8 if weather.forgets => {
                grounds.history.record(What::Forgotten);
                grounds.shelf.forget();
            }
            _ => {}
        }
    }
}

fn between(chance: &mut Chance, (least, most): (u32, u32)) -> Duration {
    Duration::from_millis(u64::from(least + chance.below(most - least)))
}

fn say(grounds: &Grounds, what: String) {
    grounds.history.record(What::Fault(what));
}

/// An instance ends in the middle of everything, and another is started later.
fn crash(grounds: &Arc<Grounds>, chance: &mut Chance, away: Duration) {
    let slot = Grounds::slot(chance);
    let Some(instance) = grounds.take(slot) else { return };
    say(grounds, format!("instance {} crashes", instance.number));
    instance.crash(grounds);
    restart(grounds, slot, away);
}

/// An instance leaves, and its successor is there at once, as in a rolling restart.
fn drain(grounds: &Arc<Grounds>, chance: &mut Chance) {
    let slot = Grounds::slot(chance);
    let Some(instance) = grounds.take(slot) else { return };
    say(grounds, format!("instance {} leaves", instance.number));
    let leaving = Arc::clone(grounds);
    grounds.tracker.spawn(async move { instance.leave(&leaving).await });
    restart(grounds, slot, Duration::from_millis(50));
}

fn restart(grounds: &Arc<Grounds>, slot: usize, after: Duration) {
    let grounds = Arc::clone(grounds);
    grounds.tracker.clone().spawn(async move {
        tokio::time::sleep(after).await;
        if !grounds.stop.is_cancelled()
            && let Err(error) = grounds.start(slot).await
        {
            say(&grounds, format!("no instance can be started: {error:#}"));
        }
    });
}

/// The bus goes away for one instance or all, or one hears nothing.
fn cut_off(grounds: &Arc<Grounds>, chance: &mut Chance, away: Duration) {
    let concerned = match chance.below(3) {
        0 => grounds.living(),
        _ => grounds.any(chance).into_iter().collect(),
    };
    let health = if chance.below(2) == 0 { BusHealth::Down } else { BusHealth::Deaf };
    let numbers: Vec<u64> = concerned.iter().map(|instance| instance.number).collect();
    say(grounds, format!("for instances {numbers:?} the bus is {health:?} for {away:?}"));
    for instance in &concerned {
        instance.set_bus(health);
    }
    let grounds = Arc::clone(grounds);
    grounds.tracker.clone().spawn(async move {
        tokio::time::sleep(away).await;
        // What has crashed meanwhile stays away.
        let back = concerned.iter().filter(|instance| !instance.dead.is_cancelled());
        back.for_each(|instance| instance.set_bus(BusHealth::Up));
    });
}

/// The store goes away for one instance or all.
fn take_store(grounds: &Arc<Grounds>, chance: &mut Chance, away: Duration) {
    let concerned = match chance.below(2) {
        0 => grounds.living(),
        _ => grounds.any(chance).into_iter().collect(),
    };
    let numbers: Vec<u64> = concerned.iter().map(|instance| instance.number).collect();
    say(grounds, format!("for instances {numbers:?} the store is away for {away:?}"));
    for instance in &concerned {
        instance.set_store_away(true);
    }
    let grounds = Arc::clone(grounds);
    grounds.tracker.clone().spawn(async move {
        tokio::time::sleep(away).await;
        let back = concerned.iter().filter(|instance| !instance.dead.is_cancelled());
        back.for_each(|instance| instance.set_store_away(false));
    });
}
