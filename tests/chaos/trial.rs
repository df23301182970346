//! One timeline against a world: faults under traffic, then proof that everything works again, then the history is judged.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use relay_tests::history::{History, Judgement};
use tokio::time::{Instant, interval_at};

use crate::cast::Cast;
use crate::fault::{Fault, Means};
use crate::timeline::Timeline;
use crate::world::{Form, World};

/// How long the beginning may take, on a machine that several timelines share.
const GATHERED_WITHIN: Duration = Duration::from_secs(30);
/// Liveness: after the last fault everything works for everybody within this.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// When a fault begins, if that is true, or ends.
type Happening = (Duration, Fault, bool);

/// What came of a timeline.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) timeline: Timeline,
    /// From the end of the last fault until everything worked for everybody.
    pub(crate) recovered: Duration,
    pub(crate) judgement: Judgement,
    /// What could not be done on this machine, and why.
    pub(crate) skipped: BTreeMap<String, &'static str>,
}

/// Runs it. An error is that of a world that did not get well, or of the machine; broken promises are in the judgement.
pub(crate) async fn run(timeline: Timeline, means: Means, aloud: bool) -> anyhow::Result<Outcome> {
    let history = if aloud { History::default().aloud() } else { History::default() };
    let (steps, skipped) = possible(&timeline, means);
    let has_clocks = steps.iter().any(|(_, fault, _)| fault.needs_clocks());
    let form = Form { is_watched: timeline.is_watched, has_clocks, ..Form::default() };
    let mut world = World::start(form).await.context("the world does not begin")?;
    let result = story(&mut world, &steps, timeline.seed, history).await;
    if !matches!(&result, Ok((_, judgement)) if judgement.is_kept()) {
        // For who looks into it.
        world.folder.disable_cleanup(true);
    }
    let (recovered, judgement) =
        result.with_context(|| format!("logs are in {}", world.folder.path().display()))?;
    Ok(Outcome { timeline, recovered, judgement, skipped })
}

async fn story(
    world: &mut World,
    steps: &[Happening],
    seed: u32,
    history: History,
) -> anyhow::Result<(Duration, Judgement)> {
    let mut cast = Cast::enter(world, seed, history)?;
    cast.proves(GATHERED_WITHIN).await.context("before any fault")?;
    let begun = Instant::now();
    for (at, fault, begins) in steps {
        interval_at(begun + *at, *at + BACK_WITHIN).tick().await;
        let done = if *begins {
            fault.begin(world, &cast.history).await
        } else {
            fault.end(world, &cast.history).await
        };
        done.with_context(|| format!("fault {fault}"))?;
    }
    let recovered = cast.proves(BACK_WITHIN).await.context("after the last fault")?;
    cast.calm(BACK_WITHIN).await?;
    world.note_fail_overs(&cast.history).await?;
    Ok((recovered, cast.settle().await?))
}

/// Beginnings and ends in the order of time, of what this machine can do; and what it cannot.
fn possible(timeline: &Timeline, means: Means) -> (Vec<Happening>, BTreeMap<String, &'static str>) {
    let (mut steps, mut skipped) = (Vec::new(), BTreeMap::new());
    for step in &timeline.steps {
        match step.fault.possible(means) {
            Ok(()) => steps.extend([(step.begin, step.fault, true), (step.end, step.fault, false)]),
            Err(why) => drop(skipped.insert(step.fault.kind(), why)),
        }
    }
    steps.sort_by_key(|(at, _, _)| *at);
    (steps, skipped)
}
