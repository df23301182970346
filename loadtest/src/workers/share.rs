//! Who does how much. Pure.

use anyhow::ensure;

use crate::plan::Plan;

/// What one process does of a plan.
#[derive(Debug, Clone)]
pub(super) struct Share {
    /// The number of its first agent among all; even, as pairs stay together.
    pub(super) first: u32,
    /// Its load.
    pub(super) plan: Plan,
}

/// The plan in as many shares as it names processes, of whole pairs and whole messages a second.
pub(super) fn shares(plan: &Plan) -> anyhow::Result<Vec<Share>> {
    let count = plan.processes;
    let pairs = plan.agents.div_ceil(2);
    let parts = [Some(pairs), plan.rate, plan.writes, plan.connect_rate];
    ensure!(
        parts.into_iter().flatten().all(|whole| whole >= count),
        "{count} processes need a pair and a message a second each"
    );
    let mut first = 0;
    let share = |index| {
        let part = |whole| part(whole, index, count);
        let agents = part(pairs) * 2;
        let plan = Plan {
            agents,
            rate: plan.rate.map(part),
            writes: plan.writes.map(part),
            connect_rate: plan.connect_rate.map(part),
            processes: 1,
            ..plan.clone()
        };
        let share = Share { first, plan };
        first += agents;
        share
    };
    Ok((0..count).map(share).collect())
}

/// The part of that index; the first ones take what is left over.
fn part(whole: u32, index: u32, count: u32) -> u32 {
    whole / count + u32::from(index < whole % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_whole_pairs_follow_each_other_and_add_up() {
        let plan =
            Plan { agents: 50_001, rate: Some(10_000), writes: Some(7), processes: 3, ..Plan::default() };
        let shares = shares(&plan).unwrap();
        let mut next = 0;
        for share in &shares {
            assert_eq!((share.first, share.plan.agents % 2, share.plan.processes), (next, 0, 1));
            next += share.plan.agents;
        }
        assert_eq!(next, 50_002);
        let sum =
            |figure: fn(&Plan) -> Option<u32>| shares.iter().filter_map(|s| figure(&s.plan)).sum::<u32>();
        assert_eq!((sum(|plan| plan.rate), sum(|plan| plan.writes)), (10_000, 7));
        assert!(shares.iter().all(|share| share.plan.connect_rate.is_none()));
    }

    #[test]
    fn a_process_with_nothing_to_do_is_refused() {
        let plan = |agents, rate| Plan { agents, rate, processes: 4, ..Plan::default() };
        assert!(shares(&plan(8, Some(4))).is_ok());
        assert!(shares(&plan(6, Some(4))).is_err());
        assert!(shares(&plan(8, Some(3))).is_err());
    }
}
