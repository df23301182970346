//! The matrix as a table.

use std::fmt::Write;

use crate::matrix::{Cell, MatrixArgs};

/// What the source of row AD2 reports of its worst cell.
const SOURCE: &str = "Source (row AD2), 10,000 × 10: 68 % success, p50 1,282 ms.";

/// Rows of agents, columns of concurrency, in Markdown.
pub(super) fn table(args: &MatrixArgs, cells: &[Cell]) -> String {
    let mut text = "| agents |".to_owned();
    for concurrency in &args.concurrency {
        // Writing to text meets no error.
        let _ = write!(text, " {concurrency} in flight |");
    }
    text.push_str("\n| ---: |");
    args.concurrency.iter().for_each(|_| text.push_str(" --- |"));
    for (row, agents) in cells.chunks(args.concurrency.len().max(1)).zip(&args.agents) {
        let _ = write!(text, "\n| {agents} |");
        for cell in row {
            let Cell { success_percent, latency_ms, throughput_per_s, .. } = cell;
            let mark = if cell.is_good() { "" } else { " ✗" };
            let _ = write!(
                text,
                " {}{mark}, p50 {:.1} ms, p99 {:.1} ms, {:.0} k/s |",
                percent(*success_percent, cell.is_good()),
                latency_ms.p50,
                latency_ms.p99,
                throughput_per_s / 1000.0
            );
        }
    }
    let good = cells.iter().filter(|cell| cell.is_good()).count();
    let sent: u64 = cells.iter().map(|cell| cell.sent).sum();
    let _ = write!(
        text,
        "\n\n{good} of {} cells with 100 % of their messages; {sent} messages in all. {SOURCE}",
        cells.len()
    );
    text
}

/// Nothing that lost a message rounds up to all.
fn percent(success: f64, is_good: bool) -> String {
    if is_good { "100 %".to_owned() } else { format!("{:.3} %", success.min(99.999)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::Milliseconds;

    #[test]
    fn a_cell_that_lost_one_of_a_million_is_not_good() {
        let latency_ms = Milliseconds { p50: 1.0, p95: 2.0, p99: 3.0, p999: 4.0, max: 5.0 };
        let cell = |agents, delivered| Cell {
            agents,
            concurrency: 5,
            sent: 1_000_000,
            delivered,
            success_percent: 99.9999,
            kept: true,
            throughput_per_s: 12_345.0,
            latency_ms,
            headroom: None,
        };
        let args = MatrixArgs { agents: vec![10, 50], concurrency: vec![5], with: String::new(), json: None };
        let text = table(&args, &[cell(10, 1_000_000), cell(50, 999_999)]);
        assert!(text.contains("| 10 | 100 %, p50 1.0 ms, p99 3.0 ms, 12 k/s |"), "{text}");
        assert!(text.contains("| 50 | 99.999 % ✗,") && text.contains("1 of 2 cells"), "{text}");
    }
}
