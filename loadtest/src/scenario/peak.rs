//! Row MS5: three times the normal load, where normal is a third of the highest rate that meets the target.
//!
//! `--duration` is divided into three equal parts: the normal load, three times as much, the normal load. At three times no more
//! than one message in a thousand may be refused, and latency has to be within its target. `--rate` is the normal load; without
//! it the highest rate is [searched](crate::search) first.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::scenario::overload::surge::{Group, Surge};
use crate::scenario::{Scenario, overload};
use crate::trial::Trial;
use crate::trial::performance::Performance;

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "peak",
    about: "a third of the highest rate that meets --target-p95, then three times that, then it again; refused and late at the peak",
    run,
    ..overload::SCENARIO
};

/// The peak by the normal load.
const PEAK: u32 = 3;
/// Of the messages of the peak, so many may be refused.
const REFUSED_SHARE_MAX: f64 = 0.001;
/// Of its arrivals, so many have to be within the target: it is a bound of the 95th of 100.
const IN_TIME_SHARE_MIN: f64 = 0.95;

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let (normal, found) = match plan.rate {
            Some(rate) => (rate, None),
            None => overload::highest(trial.bench).await.map(|(rate, found)| (rate / PEAK, Some(found)))?,
        };
        let all = 0..plan.agents.next_multiple_of(2);
        let surplus = Group { agents: all.clone(), rate: normal.saturating_mul(PEAK - 1) };
        let surge = Surge { base: Group { agents: all, rate: normal }, surplus };
        let (mut performance, mut figures) = surge.run(trial).await?;
        let refused = refused_share(&performance, &figures, plan.duration / 3.0);
        for broken in missed(refused, figures["during"]["in_time_share"].as_f64()) {
            performance.broken.insert(broken, 1);
        }
        figures["refused_share"] = json!(refused);
        performance.extra.insert("peak".to_owned(), figures);
        performance.extra.extend(found.map(|found| ("search".to_owned(), json!(found))));
        Ok(performance)
    })
}

/// All that was refused, or of which nothing is known, by what was offered at the peak: that is where it is refused.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn refused_share(performance: &Performance, figures: &Value, peak_s: f64) -> f64 {
    let refused = performance.tally.failed.values().sum::<u64>() + performance.tally.unknown;
    let offered = figures["during"]["offered_per_s"].as_f64().unwrap_or(0.0) * peak_s;
    refused as f64 / offered.max(1.0)
}

fn missed(refused: f64, in_time: Option<f64>) -> Vec<&'static str> {
    let mut missed = Vec::new();
    if refused > REFUSED_SHARE_MAX {
        missed.push("more than 0.1 % refused at three times the normal load");
    }
    if in_time.is_none_or(|share| share < IN_TIME_SHARE_MIN) {
        missed.push("latency over its target at three times the normal load");
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_thousand_may_be_refused_and_one_in_twenty_be_late() {
        assert_eq!(missed(0.001, Some(0.95)), [""; 0]);
        assert_eq!(missed(0.0011, Some(1.0)).len(), 1);
        assert_eq!(missed(0.0, Some(0.94)).len(), 1);
        assert_eq!(missed(0.5, None).len(), 2);
    }
}
