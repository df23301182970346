//! What agents heard when their relay left.

use relay_protocol::CloseCode;
use serde::Serialize;

use crate::agent::Ended;

/// Delays are looked at second by second.
const BIN_MS: u64 = 1_000;
/// The largest share of agents that may be told the same second.
const SHARE_MAX: f64 = 0.25;

/// What one agent heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Farewell {
    /// When to come back, as `drain` said.
    pub(crate) delay_ms: Option<u64>,
    /// The same, as `closing` said.
    pub(crate) closing_delay_ms: Option<u64>,
    /// How the connection ended.
    pub(crate) ended: Option<Ended>,
}

impl Farewell {
    /// Whether it was told when to come back, and the same both times.
    fn is_told(&self) -> bool {
        self.delay_ms.is_some() && self.delay_ms == self.closing_delay_ms
    }

    /// Whether the connection was closed as one is by a relay that leaves.
    pub(crate) fn is_drained(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.code == Some(CloseCode::Drain.number()))
    }
}

/// What all heard.
#[derive(Debug)]
pub(crate) struct Farewells(pub(crate) Vec<Farewell>);

/// How the moments to come back are spread.
#[derive(Debug, Serialize)]
pub(crate) struct Spread {
    agents: usize,
    told: usize,
    closed_with_1012: usize,
    delay_ms_min: Option<u64>,
    delay_ms_max: Option<u64>,
    /// Of one second, by all.
    largest_share: f64,
    /// Agents second by second.
    seconds: Vec<usize>,
}

impl Farewells {
    pub(crate) fn spread(&self) -> Spread {
        let delays: Vec<u64> = self.0.iter().filter_map(|farewell| farewell.delay_ms).collect();
        let bins = delays.iter().max().map_or(0, |last| last / BIN_MS + 1);
        let seconds: Vec<usize> =
            (0..bins).map(|bin| delays.iter().filter(|delay| **delay / BIN_MS == bin).count()).collect();
        Spread {
            agents: self.0.len(),
            told: self.0.iter().filter(|farewell| farewell.is_told()).count(),
            closed_with_1012: self.0.iter().filter(|farewell| farewell.is_drained()).count(),
            delay_ms_min: delays.iter().min().copied(),
            delay_ms_max: delays.iter().max().copied(),
            largest_share: share(seconds.iter().max().copied().unwrap_or(0), self.0.len()),
            seconds,
        }
    }

    /// What was promised and not kept, with how many agents it concerns.
    pub(crate) fn breaches(&self) -> [(&'static str, u64); 3] {
        let Spread { agents, told, closed_with_1012, largest_share, .. } = self.spread();
        let together = largest_share > share_max(agents);
        [
            ("not told when to come back", (agents - told) as u64),
            ("not closed with 1012", (agents - closed_with_1012) as u64),
            ("told to come back together", u64::from(together)),
        ]
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn share(part: usize, all: usize) -> f64 {
    part as f64 / all.max(1) as f64
}

/// Chance alone puts more of few agents into one of five seconds: four standard deviations of it are allowed.
fn share_max(agents: usize) -> f64 {
    let deviation = (0.2 * 0.8 * share(1, agents)).sqrt();
    SHARE_MAX.max(0.2 + 4.0 * deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farewells(delays: impl Iterator<Item = u64>) -> Farewells {
        let ended = Ended { code: Some(1012), reason: "drain".to_owned() };
        let one = |delay| Farewell {
            delay_ms: Some(delay),
            closing_delay_ms: Some(delay),
            ended: Some(ended.clone()),
        };
        Farewells(delays.map(one).collect())
    }

    fn broken(farewells: &Farewells) -> Vec<&'static str> {
        farewells.breaches().iter().filter(|(_, count)| *count > 0).map(|(name, _)| *name).collect()
    }

    #[test]
    fn a_spread_farewell_is_good_and_one_of_a_moment_is_not() {
        let spread = farewells((0..5_000).map(|number| number % 5_000));
        assert_eq!(broken(&spread), [""; 0]);
        assert_eq!((spread.spread().seconds, spread.spread().largest_share), (vec![1_000; 5], 0.2));
        assert_eq!(broken(&farewells((0..5_000).map(|_| 3_100))), ["told to come back together"]);
    }

    #[test]
    fn who_was_not_told_or_cut_off_is_seen() {
        let mut farewells = farewells((0..1_000).map(|number| number * 5));
        farewells.0[0].delay_ms = None;
        farewells.0[1].closing_delay_ms = Some(7);
        farewells.0[2].ended = Some(Ended { code: None, reason: "socket".to_owned() });
        farewells.0[3].ended = None;
        let [(_, untold), (_, cut_off), _] = farewells.breaches();
        assert_eq!((untold, cut_off), (2, 2));
    }
}
