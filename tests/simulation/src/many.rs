//! Many runs, on all cores: each thread has a runtime, a clock and a seed of its own.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::plan::{Mode, Plan};
use crate::run::{Report, run};

/// The figures of runs of one mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Runs.
    pub runs: u64,
    /// Those that broke a promise, or did not come to their end.
    pub failed: u64,
    /// Messages.
    pub messages: u64,
    /// Those that were accepted or queued.
    pub taken: u64,
    /// Presentations.
    pub presented: u64,
    /// Losses that were told.
    pub declared: u64,
}

impl Figures {
    fn add(&mut self, report: &Report) {
        let judgement = &report.judgement;
        self.runs += 1;
        self.failed += u64::from(!report.is_good());
        self.messages += judgement.messages;
        self.taken += judgement.taken;
        self.presented += judgement.presented;
        self.declared += judgement.declared;
    }
}

/// Runs the plans of these seeds in these modes on so many threads. `each` hears of every run, with what failed in it.
pub fn run_many(
    seeds: std::ops::Range<u32>,
    modes: &[Mode],
    threads: usize,
    each: impl Fn(&Plan, Option<String>) + Sync,
) -> Vec<(Mode, Figures)> {
    let plans: Vec<(usize, Plan)> = seeds
        .flat_map(|seed| modes.iter().enumerate().map(move |(at, mode)| (at, Plan::new(seed, *mode))))
        .collect();
    let (next, figures) = (AtomicU32::new(0), Mutex::new(vec![Figures::default(); modes.len()]));
    let work = || {
        while let Some((at, plan)) = plans.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            let ran = run(plan);
            let failure = match &ran {
                Ok(report) if report.is_good() => None,
                Ok(report) => Some(report.to_string()),
                Err(error) => Some(format!("seed {}, {}: {error:#}", plan.seed, plan.mode.name())),
            };
            let mut figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
            match &ran {
                Ok(report) => figures[*at].add(report),
                Err(_) => figures[*at].failed += 1,
            }
            drop(figures);
            each(plan, failure);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let figures = figures.into_inner().unwrap_or_else(PoisonError::into_inner);
    modes.iter().copied().zip(figures).collect()
}

/// As many threads as there are cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
