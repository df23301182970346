//! From a gathered crew to what it showed: go, measure, drain, judge.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_protocol::client::ReceiptMode;

use crate::bench::Bench;
use crate::checker::judge;
use crate::clock;
use crate::trial::Trial;
use crate::trial::crew::Crew;
use crate::trial::live::Sums;
use crate::trial::performance::{Cpu, Performance};
use crate::trial::stage::{Stage, Window};

/// How often it is looked whether all has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long it stays quiet when all has arrived, so that what comes twice is seen; and before memory is looked at.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);
/// The longest a run may go on arriving after its last send.
const DRAIN_MAX: Duration = Duration::from_mins(1);

/// Runs a gathered crew through the trial; every send that succeeds is to arrive at `recipients`.
///
/// `go` is called before traffic begins, and what it returns lives until traffic has ended.
pub async fn conduct<G>(
    trial: &Trial<'_>,
    crew: Crew,
    recipients: u64,
    go: impl FnOnce(Window) -> anyhow::Result<G>,
) -> anyhow::Result<Performance> {
    let plan = trial.plan();
    tokio::time::sleep(SETTLE).await;
    let rss_bytes_per_connection = crew.rss_bytes_per_connection(trial)?;
    let window = trial.window(&crew.connecting).await?;
    let helper = go(window)?;
    crew.stage.send_replace(Stage::Go(window));
    let cpu = cpu_of(trial.bench, window).await?;
    let rss_bytes_per_connection_at_end = crew.rss_bytes_per_connection(trial)?;
    drop(helper);
    drain(trial, recipients).await;
    let Crew { stage, tasks, connecting, .. } = crew;
    stage.send_replace(Stage::Stop);
    let books = tasks.join_all().await;
    Ok(Performance {
        tally: judge(&books, plan.receipt_mode()),
        latency: trial.live.latency()?,
        lag: trial.live.lag()?,
        duration_s: plan.duration,
        counted: trial.live.sums().counted,
        connecting,
        cpu,
        rss_bytes_per_connection,
        rss_bytes_per_connection_at_end,
        broken: BTreeMap::new(),
        extra: BTreeMap::new(),
        timeline: Vec::new(),
    })
}

/// Waits for the end of traffic; returns what was used while figures counted.
pub(crate) async fn cpu_of(bench: &Bench, window: Window) -> anyhow::Result<Cpu> {
    tokio::time::sleep_until(clock::instant(window.measure_ns)).await;
    let before = bench.cpu()?;
    tokio::time::sleep_until(clock::instant(window.end_ns)).await;
    Ok(bench.cpu()?.since(before))
}

/// Waits until all has arrived and been answered, or nothing more comes.
async fn drain(trial: &Trial<'_>, recipients: u64) {
    let ended_at = tokio::time::Instant::now();
    let mut quiet_since = ended_at;
    let mut last = Sums::default();
    while ended_at.elapsed() < DRAIN_MAX {
        let now = trial.live.sums();
        if now != last {
            (last, quiet_since) = (now, tokio::time::Instant::now());
        }
        let arrived = now.delivered >= now.sent.saturating_sub(now.failed) * recipients;
        let answered = trial.plan().receipt_mode() != ReceiptMode::All || now.answered >= now.sent;
        let patience = if arrived && answered { SETTLE } else { trial.plan().grace().max(SETTLE) };
        if quiet_since.elapsed() >= patience {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
