//! What a worker and who leads it say to each other, a line of JSON each.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bench::{Bench, Tokens};
use crate::checker::Tally;
use crate::plan::Plan;
use crate::target::Target;
use crate::trial::crew::Connecting;
use crate::trial::live::{Live, Shard, Sums, empty};

/// The first line that a worker hears.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    /// Which scenario.
    pub(super) scenario: String,
    /// The run's number, the same for all.
    pub(super) run: u32,
    /// The number of its first agent among all.
    pub(super) first: u32,
    /// Its load.
    pub(super) plan: Plan,
    /// The relays.
    targets: Vec<(String, SocketAddr)>,
    /// Where its identities come from.
    tokens: Tokens,
}

/// The second line: when traffic begins, on the machine's clock.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cue {
    pub(super) start_machine_ns: u64,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// All its agents are connected.
    Gathered(Gathered),
    /// How it stands.
    Progress(Progress),
    /// Its part is done; the last progress stands before.
    Done(Box<Findings>),
    /// Its part could not be done.
    Failed(String),
}

/// How connecting went.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Gathered {
    pub(super) took_ns: u64,
    pub(super) latency: Counts,
}

/// Counters since the worker began.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    sums: Sums,
    latency: Counts,
    lag: Counts,
}

/// What a worker's part showed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Findings {
    pub(super) tally: Tally,
    pub(super) extra: BTreeMap<String, Value>,
}

/// A histogram as the values that were seen and how often; a quarter of its size at most is in use.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Counts(Vec<(u64, u64)>);

impl Assignment {
    pub(super) fn new(bench: &Bench, scenario: &str, run: u32, first: u32, plan: Plan) -> Assignment {
        Assignment {
            scenario: scenario.to_owned(),
            run,
            first,
            tokens: bench.tokens.part(first, plan.agents),
            plan,
            targets: bench.targets.iter().map(|target| (target.uri.to_string(), target.address)).collect(),
        }
    }

    /// What the worker runs on: who leads it watches the processes.
    pub(super) fn bench(&self) -> anyhow::Result<Bench> {
        let target =
            |(uri, address): &(String, SocketAddr)| Ok(Target { uri: uri.parse()?, address: *address });
        let targets = self.targets.iter().map(target).collect::<anyhow::Result<_>>()?;
        Ok(Bench::anonymous(self.plan.clone(), targets, self.tokens.clone()))
    }
}

impl Gathered {
    pub(super) fn of(connecting: &Connecting) -> Gathered {
        Gathered { took_ns: connecting.took_ns, latency: Counts::of(&connecting.latency) }
    }
}

impl Progress {
    pub(super) fn of(live: &Live) -> anyhow::Result<Progress> {
        let (latency, lag) = (Counts::of(&live.latency()?), Counts::of(&live.lag()?));
        Ok(Progress { sums: live.sums(), latency, lag })
    }

    /// Puts it in the place of what stood there.
    pub(super) fn show(&self, shard: &Shard) -> anyhow::Result<()> {
        shard.replace(self.sums, self.latency.histogram()?, self.lag.histogram()?);
        Ok(())
    }
}

impl Counts {
    fn of(histogram: &Histogram<u64>) -> Counts {
        let seen = histogram.iter_recorded();
        Counts(seen.map(|value| (value.value_iterated_to(), value.count_since_last_iteration())).collect())
    }

    /// As it was before.
    pub(super) fn histogram(&self) -> anyhow::Result<Histogram<u64>> {
        let mut histogram = empty()?;
        for (value, count) in &self.0 {
            histogram.record_n(*value, *count)?;
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_the_same_behind_the_wire() {
        let mut before = empty().unwrap();
        for value in (1..20_000).map(|n: u64| n * n * 37) {
            before.saturating_record(value);
        }
        before.saturating_record(u64::MAX);
        let line = serde_json::to_string(&Counts::of(&before)).unwrap();
        let after = serde_json::from_str::<Counts>(&line).unwrap().histogram().unwrap();
        assert_eq!(after, before);
        assert_eq!((after.max(), after.len()), (before.max(), 20_000));
    }
}
