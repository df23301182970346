//! What goes wrong and when, from a seed. The same seed is the same timeline on every machine.

use std::fmt;
use std::time::Duration;

use relay_tests::seed::Chance;

use crate::fault::{Fault, Means};

/// When the last fault has begun.
const SPAN_MS: u32 = 6_000;
/// How long a fault lasts: longer than time-outs of a second, leases of 3 s and silences of 4 s, or shorter than all.
const LENGTHS_MS: [u32; 4] = [150, 900, 2_500, 5_000];
/// How often a timeline has a Redis under Sentinels: each such starts three more processes.
const WATCHED_ONE_IN: u32 = 8;

/// A fault, and when it begins and ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) fault: Fault,
    pub(crate) begin: Duration,
    pub(crate) end: Duration,
}

/// All faults of a run.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    pub(crate) seed: u32,
    pub(crate) is_watched: bool,
    pub(crate) steps: Vec<Step>,
}

impl Timeline {
    /// That of a seed.
    pub(crate) fn of(seed: u32, means: Means) -> Timeline {
        let mut chance = Chance::new(seed, 0);
        let is_watched = !means.links_only && chance.below(WATCHED_ONE_IN) == 0;
        let count = 3 + chance.below(6);
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..count {
            let fault = Fault::draw(&mut chance, means, is_watched);
            let mut begin = Duration::from_millis(chance.below(SPAN_MS).into());
            let length = LENGTHS_MS[chance.below(4) as usize] + chance.below(500);
            // Behind all that it must not meet.
            let met = steps.iter().filter(|step| step.fault.meets(fault)).map(|step| step.end);
            begin = begin.max(met.max().unwrap_or_default());
            steps.push(Step { fault, begin, end: begin + Duration::from_millis(length.into()) });
        }
        steps.sort_by_key(|step| step.begin);
        Timeline { seed, is_watched, steps }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.is_watched { ", Redis under Sentinels" } else { "" };
        writeln!(f, "seed {}{form}:", self.seed)?;
        for Step { fault, begin, end } in &self.steps {
            writeln!(f, "  {:>6.1} s to {:>5.1} s  {fault}", begin.as_secs_f64(), end.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_timeline_whatever_the_machine_can_do() {
        let (poor, rich) = (Means::default(), Means { links_only: false, clocks: true, network: true });
        for seed in 0..200 {
            let timeline = Timeline::of(seed, poor);
            assert_eq!(timeline.to_string(), Timeline::of(seed, rich).to_string());
            assert!((3..=8).contains(&timeline.steps.len()), "{timeline}");
            for (at, step) in timeline.steps.iter().enumerate() {
                let later = &timeline.steps[at + 1..];
                let meets = later.iter().any(|other| step.fault.meets(other.fault) && other.begin < step.end);
                assert!(!meets, "{timeline}");
            }
        }
    }
}
