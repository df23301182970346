//! Which sends of a session are refused while the processor does not keep up: as many as the share says, none by chance,
//! and all of a turn or none: refusals in a row are told as one range, which costs far less than telling of each.

use std::sync::Arc;

use tokio::time::Instant;

use crate::resilience::Overload;
use crate::resilience::backlog::Backlog;
use crate::resilience::overload::ALL;

/// What one session's sends are owed in refusals.
#[derive(Debug)]
pub struct Shed {
    overload: Arc<Overload>,
    backlog: Backlog,
    normal: Debt,
    high: Debt,
}

/// Of one lane.
#[derive(Debug, Default)]
struct Debt {
    /// Refusals that are due less those that were given, [`ALL`] each. Bounded by what is read in a turn.
    owed: i32,
    /// What each send adds.
    share: i32,
    /// Whether those of this turn are refused.
    refuses: bool,
}

impl Shed {
    /// Nothing refused yet.
    pub fn new(overload: &Arc<Overload>) -> Shed {
        let overload = Arc::clone(overload);
        Shed { overload, backlog: Backlog::default(), normal: Debt::default(), high: Debt::default() }
    }

    /// A turn begins. One relaxed load while nothing is refused.
    pub fn turn(&mut self) {
        let (normal, high) = self.overload.shares();
        self.normal.turn(normal);
        self.high.turn(high);
    }

    /// A turn that began at `now` read all there was, or left some of it.
    pub fn read(&mut self, now: Instant, is_more: bool) {
        if is_more {
            self.backlog.grow(now, &self.overload);
        } else {
            self.backlog.end(&self.overload);
        }
    }

    /// Whether one more send of this turn is to be refused.
    pub fn refuses(&mut self, high: bool) -> bool {
        if high { self.high.refuses() } else { self.normal.refuses() }
    }
}

impl Drop for Shed {
    fn drop(&mut self) {
        self.backlog.end(&self.overload);
    }
}

impl Debt {
    fn turn(&mut self, share: u32) {
        if share == 0 && self.share == 0 {
            return;
        }
        self.share = share.cast_signed();
        self.owed = if share == 0 { 0 } else { self.owed };
        self.refuses = self.owed >= ALL.cast_signed();
    }

    fn refuses(&mut self) -> bool {
        self.owed += self.share;
        if self.refuses {
            self.owed -= ALL.cast_signed();
        }
        self.refuses
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn whole_turns_are_refused_and_as_many_sends_as_the_share_says() {
        let target = Duration::from_millis(20);
        let overload = Overload::new(Some(target), &Metrics::new().unwrap());
        let mut shed = Shed::new(&overload);
        (0..8).for_each(|_| overload.see(5 * target));
        let share = f64::from(overload.shares().0) / f64::from(ALL);
        assert!((0.5..0.7).contains(&share), "{share}");
        let (mut all, mut refused, mut mixed) = (0u32, 0u32, 0u32);
        for turn in 0..2_000u32 {
            shed.turn();
            let sends = 1 + turn * 7 % 64;
            let of_turn = (0..sends).map(|_| u32::from(shed.refuses(false))).sum::<u32>();
            mixed += u32::from(of_turn > 0 && of_turn < sends);
            (all, refused) = (all + sends, refused + of_turn);
        }
        assert_eq!(mixed, 0);
        assert!((f64::from(refused) - f64::from(all) * share).abs() < 130.0, "{refused} of {all}");
        (0..100).for_each(|_| overload.see(target));
        shed.turn();
        assert!(!shed.refuses(false) && shed.normal.owed == 0);
    }
}
