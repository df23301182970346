//! Traffic at one rate, and for the middle third of the time at a higher one.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::clock::SECOND_NS;
use crate::scenario::overload::party::Party;
use crate::scenario::overload::phases::{Bins, Times};
use crate::scenario::pair_place;
use crate::stamp::Destination;
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::stage::Window;
use crate::trial::{Trial, addresses};

/// Who sends how much.
#[derive(Debug, Clone)]
pub(crate) struct Surge {
    /// From the first to the last send.
    pub(crate) base: Group,
    /// In the middle third, besides.
    pub(crate) surplus: Group,
}

/// Agents that send together at a rate.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Their numbers, whole pairs.
    pub(crate) agents: Range<u32>,
    /// Messages a second of all of them together.
    pub(crate) rate: u32,
}

impl Group {
    fn schedule(&self, number: u32) -> Option<Schedule> {
        let turns = self.agents.end - self.agents.start;
        let turn = number.checked_sub(self.agents.start).filter(|turn| *turn < turns)?;
        Some(Schedule::new(turn, turns, self.rate))
    }

    fn metronome(&self, window: Window, wakes: &[Arc<Notify>]) -> std::io::Result<Metronome> {
        let own = self.agents.start as usize..self.agents.end as usize;
        Metronome::start(window, self.rate, wakes[own].to_vec())
    }
}

impl Surge {
    /// Runs it, and tells of each third how much came and how late, and when latency was back after the surge.
    pub(crate) async fn run(&self, trial: &Trial<'_>) -> anyhow::Result<(Performance, Value)> {
        let goal = trial.plan().goal();
        let target_ns = goal.p95_ms.or(goal.p99_ms).map_or(SECOND_NS, nanoseconds);
        let bins = Arc::new(Bins::new(trial.plan().duration, target_ns));
        let members = self.members(trial, &bins)?;
        let wakes: Vec<Arc<Notify>> = members.iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let mut times = None;
        let metronomes = |window: Window| {
            times = Some(window);
            let surge = Times::of(&window).surge();
            Ok((self.base.metronome(window, &wakes)?, self.surplus.metronome(surge, &wakes)?))
        };
        let performance = conduct(trial, crew, 1, metronomes).await?;
        let window = times.context("traffic never began")?;
        Ok((performance, self.figures(&bins, &window)))
    }

    fn members(&self, trial: &Trial<'_>, bins: &Arc<Bins>) -> anyhow::Result<Vec<Member<Party>>> {
        let plan = trial.plan();
        let count = self.base.agents.end.max(self.surplus.agents.end);
        let identities = trial.identities(count, |number| pair_place(number, plan.tenants))?;
        let everybody = addresses(&identities)?;
        let member = |(identity, number): (_, u32)| {
            let role = Party {
                correspondent: trial.correspondent(number, Vec::new(), &everybody, true),
                peer: (Destination::Agent(number ^ 1), everybody[(number ^ 1) as usize].clone()),
                base: self.base.schedule(number),
                surplus: self.surplus.schedule(number),
                window: None,
                bins: Arc::clone(bins),
            };
            Member { identity, role, topics: Vec::new(), wake: Arc::new(Notify::new()) }
        };
        Ok(identities.into_iter().zip(0..).map(member).collect())
    }

    fn figures(&self, bins: &Bins, window: &Window) -> Value {
        let times = Times::of(window);
        let since = |at_ns: u64| at_ns - window.measure_ns;
        let (rise, fall, end) = (since(times.rise_ns), since(times.fall_ns), since(window.end_ns));
        let (base, surplus) = (f64::from(self.base.rate), f64::from(self.surplus.rate));
        json!({
            "before": bins.phase(0, rise, base),
            "during": bins.phase(rise, fall, base + surplus),
            "after": bins.phase(fall, end, base),
            "recovered_after_s": bins.recovered_after_s(fall),
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bound of the command line")]
fn nanoseconds(ms: f64) -> u64 {
    (ms * 1e6) as u64
}
