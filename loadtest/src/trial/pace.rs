//! Schedules that are fixed in advance, and the metronome that keeps them.
//!
//! The runtime's timers tick once a millisecond, which would be most of what is measured on a quiet relay; a thread of its
//! own sleeps more finely.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::agent::Outbox;
use crate::clock::{self, SECOND_NS};
use crate::trial::stage::Window;

/// The shortest sleep: 5,000 wake-ups a second cost a few percent of a core.
const SLEEP_MIN: Duration = Duration::from_micros(200);

/// When a sender whose outbox is full looks again.
const FULL_RETRY_NS: u64 = SECOND_NS / 1_000;

/// When one of several senders, who take turns, is to send.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    turn: u64,
    turns: u64,
    rate: u64,
    sent: u64,
}

impl Schedule {
    /// The sender whose turn is `turn` of `turns`, all together sending `rate` a second.
    pub fn new(turn: u32, turns: u32, rate: u32) -> Schedule {
        Schedule { turn: u64::from(turn), turns: u64::from(turns), rate: u64::from(rate), sent: 0 }
    }

    /// Calls `send` with the intended time of each send that is due. Returns when to be asked again if the relay has to
    /// take some first.
    pub fn send_due(
        &mut self,
        window: &Window,
        now_ns: u64,
        outbox: &mut Outbox,
        mut send: impl FnMut(u64, &mut Outbox),
    ) -> Option<u64> {
        while !outbox.is_full() {
            let at_ns = self.due(window, now_ns)?;
            send(at_ns, outbox);
        }
        Some(now_ns + FULL_RETRY_NS)
    }

    /// The intended time of the next send, if that has come and traffic has not ended.
    pub(crate) fn due(&mut self, window: &Window, now_ns: u64) -> Option<u64> {
        let at_ns = window.start_ns + offset_ns(self.turn + self.sent * self.turns, self.rate);
        if at_ns > now_ns || at_ns >= window.end_ns {
            return None;
        }
        self.sent += 1;
        Some(at_ns)
    }
}

/// When the send of that number is due after the start.
fn offset_ns(number: u64, rate: u64) -> u64 {
    u64::try_from(u128::from(number) * u128::from(SECOND_NS) / u128::from(rate)).unwrap_or(u64::MAX)
}

/// Wakes senders in turn until traffic ends or it is dropped.
#[derive(Debug)]
pub struct Metronome {
    stop: Arc<AtomicBool>,
}

impl Metronome {
    /// Wakes `senders` in turn, `rate` times a second.
    pub fn start(window: Window, rate: u32, senders: Vec<Arc<Notify>>) -> std::io::Result<Metronome> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let beat = move || beat(&window, u64::from(rate), &senders, &stopped);
        thread::Builder::new().name("metronome".to_owned()).spawn(beat)?;
        Ok(Metronome { stop })
    }
}

impl Drop for Metronome {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn beat(window: &Window, rate: u64, senders: &[Arc<Notify>], stopped: &AtomicBool) {
    let turns = senders.iter().cycle().enumerate();
    let mut now_ns = clock::now_ns();
    for (number, sender) in turns {
        let due_ns = window.start_ns + offset_ns(number as u64, rate);
        if due_ns >= window.end_ns || stopped.load(Ordering::Relaxed) {
            break;
        }
        if due_ns > now_ns {
            thread::sleep(Duration::from_nanos(due_ns - now_ns).max(SLEEP_MIN));
            now_ns = clock::now_ns();
        }
        sender.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_take_turns_and_none_sends_early_or_after_the_end() {
        let window = Window { start_ns: 1_000, measure_ns: 1_000, end_ns: 1_000 + SECOND_NS };
        let mut times = Vec::new();
        for turn in 0..3 {
            let mut schedule = Schedule::new(turn, 3, 10);
            assert_eq!(schedule.due(&window, 999), None);
            times.extend(std::iter::from_fn(|| schedule.due(&window, u64::MAX)));
        }
        times.sort_unstable();
        let expected: Vec<u64> = (0..10).map(|number| 1_000 + number * SECOND_NS / 10).collect();
        assert_eq!(times, expected);
    }
}
