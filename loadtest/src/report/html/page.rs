//! The page around the plots.

use std::fmt::Write;

use serde_json::Value;

use crate::report::Report;
use crate::report::html::escaped;
use crate::report::html::plots::plots;
use crate::report::html::scale::short;

/// What it may load: nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// Turns of a comparison and the like are shown one by one; anything longer is for programs, in the JSON report.
const LIST_MAX: usize = 10;
const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title = escaped(&report.title());
    let verdict = if report.is_kept() { "kept" } else { "broken" };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n\
         <header><h1>{}</h1><p>{title}</p><p class=\"verdict {verdict}\">promises: {}</p></header>\n<main>",
        escaped(report.scenario),
        escaped(&report.promises())
    );
    cards(report, &mut out);
    out.push_str("<section class=\"plots\">\n");
    for chart in plots(report) {
        out.push_str(&chart.html());
    }
    out.push_str("</section>\n");
    if let Some(found) = &report.search {
        rows(&mut out, "Search", found.lines().map(|line| (String::new(), line)));
    }
    if let Some(against) = &report.against {
        let lines = against.lines().map(|(figure, words)| (figure.to_owned(), words));
        let title = format!("Beside {}: ratio of medians, smallest and largest of a pair", against.arguments);
        rows(&mut out, &title, lines.chain([("verdict".to_owned(), against.verdict())]));
    }
    let mut told = Vec::new();
    report.extra.iter().for_each(|(name, value)| leaves(name, value, &mut told));
    rows(&mut out, "What the scenario says besides", told.into_iter());
    let summary = escaped(&report.summary());
    // Writing to text meets no error.
    let _ = writeln!(out, "<section><h2>As text</h2><pre>{summary}</pre></section></main></body></html>");
    out
}

/// The figures one looks for first.
fn cards(report: &Report, out: &mut String) {
    let latency = &report.latency_ms;
    let per_million = report.messages_per_cpu_second.map(|messages| 1e6 / messages);
    let figures = [
        ("delivered a second", Some(short(report.throughput_per_s))),
        ("p50", Some(format!("{:.2} ms", latency.p50))),
        ("p95", Some(format!("{:.2} ms", latency.p95))),
        ("p99", Some(format!("{:.2} ms", latency.p99))),
        ("lost", Some(report.tally.lost.to_string())),
        ("refused", Some(report.tally.failed.values().sum::<u64>().to_string())),
        ("relay CPU for a million", per_million.map(|seconds| format!("{seconds:.1} s"))),
        (
            "memory a connection",
            report.rss_bytes_per_connection.map(|bytes| format!("{:.1} KiB", bytes / 1024.0)),
        ),
    ];
    out.push_str("<section class=\"cards\">");
    for (name, figure) in figures {
        if let Some(figure) = figure {
            let _ = write!(out, "<div><b>{}</b><span>{}</span></div>", escaped(&figure), escaped(name));
        }
    }
    out.push_str("</section>\n");
}

/// Each figure under the names that lead to it; of long lists only how long they are.
fn leaves(name: &str, value: &Value, told: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                leaves(&format!("{name} · {}", member.replace('_', " ")), value, told);
            }
        }
        Value::Array(list) if list.len() > LIST_MAX => {
            told.push((name.to_owned(), format!("{} entries", list.len())));
        }
        Value::Array(list) => {
            for (value, number) in list.iter().zip(1..) {
                leaves(&format!("{name} {number}"), value, told);
            }
        }
        Value::Number(figure) => told.push((name.to_owned(), figure.as_f64().map_or(String::new(), short))),
        Value::Null => told.push((name.to_owned(), "none".to_owned())),
        value => told.push((name.to_owned(), value.to_string())),
    }
}

fn rows(out: &mut String, title: &str, lines: impl Iterator<Item = (String, String)>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = write!(out, "<section><h2>{}</h2><table>", escaped(title));
    for (name, words) in lines {
        let _ = write!(out, "<tr><th>{}</th><td>{}</td></tr>", escaped(&name), escaped(&words));
    }
    out.push_str("</table></section>\n");
}
