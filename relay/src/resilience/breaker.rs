//! A circuit breaker: after some failures in a row nothing more is asked for a while, then a few calls are let through to
//! try, and after some successes everything is. After "Release It!" (M. Nygard), ch. 5.2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What an operator chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open.
    pub open_for: Duration,
    /// Successes in a row that close it.
    pub successes: u32,
}

impl Default for BreakerSettings {
    /// As row MS1 of the requirements has it.
    fn default() -> BreakerSettings {
        BreakerSettings { failures: 5, open_for: Duration::from_secs(30), successes: 3 }
    }
}

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer. Any later answer is a sign that it is worth trying.
    Silence,
    /// The answer that it cannot be done now, which other answers say nothing about.
    Inability,
}

/// Where a breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Calls go through.
    Closed,
    /// Some calls go through, to try.
    HalfOpen,
    /// None does.
    Open,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, why: Failure },
    HalfOpen { successes: u32, trials: u32 },
}

/// Nothing is asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// The breaker before one dependency.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

impl Breaker {
    /// Closed.
    pub fn new(settings: BreakerSettings) -> Arc<Breaker> {
        Arc::new(Breaker { settings, state: Mutex::new(State::Closed { failures: 0 }) })
    }

    /// Leave for one call.
    pub fn call(self: &Arc<Self>) -> Result<Call, Refused> {
        let mut state = self.state.lock();
        if let State::Open { until, .. } = *state
            && Instant::now() >= until
        {
            *state = State::HalfOpen { successes: 0, trials: 0 };
        }
        match &mut *state {
            State::Closed { .. } => {}
            State::HalfOpen { trials, .. } if *trials < self.settings.successes => *trials += 1,
            State::HalfOpen { .. } | State::Open { .. } => return Err(Refused),
        }
        Ok(Call { breaker: Arc::clone(self), judged: AtomicBool::new(false) })
    }

    /// It gave a sign of life by itself: if it was only silent, it is tried again at once.
    pub fn sign_of_life(&self) {
        let mut state = self.state.lock();
        if let State::Open { why: Failure::Silence, .. } = *state {
            *state = State::HalfOpen { successes: 0, trials: 0 };
        }
    }

    /// Where it is.
    pub fn circuit(&self) -> Circuit {
        match *self.state.lock() {
            State::Closed { .. } => Circuit::Closed,
            State::Open { until, .. } if Instant::now() < until => Circuit::Open,
            State::Open { .. } | State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    fn succeeded(&self) {
        let mut state = self.state.lock();
        match &mut *state {
            State::Closed { failures } => *failures = 0,
            State::HalfOpen { successes, trials } => {
                *trials = trials.saturating_sub(1);
                *successes += 1;
                if *successes >= self.settings.successes {
                    *state = State::Closed { failures: 0 };
                }
            }
            // A call from before it opened.
            State::Open { .. } => {}
        }
    }

    fn failed(&self, why: Failure) {
        let mut state = self.state.lock();
        let opens = match &mut *state {
            State::Closed { failures } => {
                *failures += 1;
                *failures >= self.settings.failures
            }
            State::HalfOpen { .. } => true,
            State::Open { .. } => false,
        };
        if opens {
            *state = State::Open { until: Instant::now() + self.settings.open_for, why };
        }
    }

    fn abandoned(&self) {
        if let State::HalfOpen { trials, .. } = &mut *self.state.lock() {
            *trials = trials.saturating_sub(1);
        }
    }
}

/// A call that was let through. Dropped without a verdict, it counts as none.
#[derive(Debug)]
pub struct Call {
    breaker: Arc<Breaker>,
    judged: AtomicBool,
}

impl Call {
    /// It was answered.
    pub fn succeeded(&self) {
        if !self.judged.swap(true, Ordering::Relaxed) {
            self.breaker.succeeded();
        }
    }

    /// It was not.
    pub fn failed(&self, why: Failure) {
        if !self.judged.swap(true, Ordering::Relaxed) {
            self.breaker.failed(why);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !*self.judged.get_mut() {
            self.breaker.abandoned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Arc<Breaker>, why: Failure, times: u32) {
        (0..times).for_each(|_| breaker.call().unwrap().failed(why));
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_and_three_successes_close_it() {
        let breaker = Breaker::new(BreakerSettings::default());
        fail(&breaker, Failure::Inability, 4);
        breaker.call().unwrap().succeeded();
        fail(&breaker, Failure::Inability, 4);
        assert_eq!(breaker.circuit(), Circuit::Closed, "not in a row");
        fail(&breaker, Failure::Inability, 1);
        assert_eq!((breaker.circuit(), breaker.call().unwrap_err()), (Circuit::Open, Refused));
        tokio::time::advance(Duration::from_millis(29_999)).await;
        assert_eq!(breaker.circuit(), Circuit::Open);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        let trials: Vec<Call> = (0..3).map(|_| breaker.call().unwrap()).collect();
        assert_eq!(breaker.call().unwrap_err(), Refused, "no more than are needed");
        trials.iter().take(2).for_each(Call::succeeded);
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        trials[2].succeeded();
        assert_eq!(breaker.circuit(), Circuit::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_trial_opens_it_for_as_long_again() {
        let breaker = Breaker::new(BreakerSettings::default());
        fail(&breaker, Failure::Inability, 5);
        tokio::time::advance(Duration::from_secs(30)).await;
        fail(&breaker, Failure::Inability, 1);
        assert_eq!(breaker.circuit(), Circuit::Open);
        tokio::time::advance(Duration::from_secs(30)).await;
        drop(breaker.call().unwrap());
        assert!(
            (0..3).map(|_| breaker.call()).all(|call| call.is_ok()),
            "a call without a verdict is no trial"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_ends_a_silence_and_not_an_inability() {
        for (why, then) in [(Failure::Silence, Circuit::HalfOpen), (Failure::Inability, Circuit::Open)] {
            let breaker = Breaker::new(BreakerSettings::default());
            fail(&breaker, why, 5);
            breaker.sign_of_life();
            assert_eq!(breaker.circuit(), then);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_from_before_it_opened_change_nothing() {
        let breaker = Breaker::new(BreakerSettings::default());
        let early: Vec<Call> = (0..8).map(|_| breaker.call().unwrap()).collect();
        early.iter().take(5).for_each(|call| call.failed(Failure::Silence));
        early[5].succeeded();
        early[6].failed(Failure::Silence);
        assert_eq!(breaker.circuit(), Circuit::Open);
    }
}
