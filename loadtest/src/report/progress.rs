//! What a person sees while a run goes on: one line on stderr, and nothing where that is no terminal.

#![expect(clippy::disallowed_methods, reason = "the one task is aborted with its progress line")]

use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::task::JoinHandle;

use crate::trial::live::Live;

const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// Shows a run until it is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    redraw: JoinHandle<()>,
}

impl Progress {
    /// Shows the counters of a run.
    pub fn show(name: &'static str, live: &Arc<Live>) -> Progress {
        let bar = ProgressBar::new_spinner();
        let (shown, live) = (bar.clone(), Arc::clone(live));
        let redraw = tokio::spawn(async move {
            loop {
                shown.set_message(line(name, &live));
                shown.tick();
                tokio::time::sleep(REDRAW_EVERY).await;
            }
        });
        Progress { bar, redraw }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.redraw.abort();
        self.bar.finish_and_clear();
    }
}

fn line(name: &str, live: &Live) -> String {
    let sums = live.sums();
    let p99_us = live.latency().map_or(0, |latency| latency.value_at_quantile(0.99) / 1_000);
    let (whole, part) = (p99_us / 1_000, p99_us % 1_000);
    format!(
        "{name}: {} connected · {} sent · {} delivered · {} failed · p99 {whole}.{part:03} ms",
        sums.connected, sums.sent, sums.delivered, sums.failed
    )
}
