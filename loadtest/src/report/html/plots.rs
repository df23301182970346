//! Which plots a report has.

use crate::report::Report;
use crate::report::figures::Milliseconds;
use crate::report::html::chart::{Chart, Line};
use crate::trial::timeline::Moment;

const MIB: f64 = 1024.0 * 1024.0;

/// The plots of a report that have something to show.
pub(super) fn plots(report: &Report) -> Vec<Chart> {
    let moments = report.timeline.as_slice();
    let seconds = moments.last().map_or(1.0, |moment| moment.at_s);
    let line = |name, figure: fn(&Moment) -> Option<f64>| Line {
        name,
        points: moments.iter().map(|moment| (moment.at_s, figure(moment))).collect(),
    };
    let chart = |title, unit, decades, lines| Chart { title, unit, lines, decades, seconds };
    let charts = [
        chart(
            "Latency",
            "ms, from the intended time of sending to the arrival",
            true,
            vec![
                line("p50", |moment| latency(moment, |ms| ms.p50)),
                line("p95", |moment| latency(moment, |ms| ms.p95)),
                line("p99", |moment| latency(moment, |ms| ms.p99)),
            ],
        ),
        chart(
            "Throughput",
            "messages a second",
            false,
            vec![
                line("sent", |moment| Some(moment.sent_per_s)),
                line("delivered", |moment| Some(moment.delivered_per_s)),
                line("refused", |moment| Some(moment.failed_per_s)),
            ],
        ),
        chart(
            "Connections",
            "agents connected",
            false,
            vec![line("connected", |moment| Some(figure(moment.connected)))],
        ),
        chart(
            "Memory",
            "MiB resident, all relays",
            false,
            vec![line("relays", |moment| moment.rss_bytes.map(|bytes| figure(bytes) / MIB))],
        ),
        chart(
            "Processors",
            "cores in use",
            false,
            vec![
                line("relays", |moment| moment.relay_cores),
                line("generator", |moment| Some(moment.generator_cores)),
            ],
        ),
    ];
    charts.into_iter().filter(|chart| !chart.is_empty()).collect()
}

fn latency(moment: &Moment, figure: fn(&Milliseconds) -> f64) -> Option<f64> {
    moment.latency_ms.as_ref().map(figure)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn figure(count: u64) -> f64 {
    count as f64
}
