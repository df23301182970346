//! The table, and what has to be known to read it.

use std::fmt::Write;
use std::fs;

use crate::limit::Figure;
use crate::peer::Peer;
use crate::process::cores;
use crate::report::Report;
use crate::results::{BenchArgs, Shown};

const HEAD: &str = "# Results\n\n\
Made by `make bench`; do not edit. The relay and bare WebSocket servers take turns under the same sockets, \
payloads (128 bytes) and depth; figures are medians of those turns. `axum` is axum's WebSocket as it comes, `raw,4096` \
tokio-tungstenite on the raw socket with a read buffer of 4 KiB, both writing all that waits at once. An echo goes back to \
where it came from; the floor of fan-out, `raw`, frames a message once and writes it to each socket, and `redis,64` is what \
one client publishes through Redis to another with 64 messages in a PUBLISH. A message of the relay is authenticated, \
addressed, checked against limits and delivered to another connection. Compare ratios and figures by CPU second only: the \
generator shares the machine. Servers that others use for the same are configured as `loadtest/PEERS.md` says; ratios to \
them are by the relay's CPU time and memory, pairs in turn, in brackets the least and the most of a pair.\n\n";

/// The document.
pub(super) fn document(args: &BenchArgs, shown: &[Shown], missing: &[Peer]) -> String {
    let mut text = HEAD.to_owned();
    let others = shown.iter().filter_map(|shown| shown.report.headroom.map(|headroom| headroom.others_cores));
    let busiest = others.fold(0.0, f64::max);
    // Writing to text meets no error.
    let _ = writeln!(
        text,
        "Machine: {:.0} cores, {}. {} turns of {} s each. Other programs used up to {busiest:.1} cores meanwhile.\n",
        cores(),
        processor(),
        args.pairs,
        args.duration
    );
    text.push_str(
        "| case | result | relay CPU s for a million | the others' CPU s for a million | deliveries/s | p50 ms | p99 ms | promises |\n\
         | --- | --- | ---: | --- | ---: | ---: | ---: | --- |\n",
    );
    for row @ Shown { entry, report } in shown {
        // What is about memory or a moment has no throughput.
        let told = |words: String| if entry.once && !entry.at_own_pace { "–".to_owned() } else { words };
        let latency = &report.latency_ms;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            entry.name,
            entry.figure.words(report),
            told(per_million(report.messages_per_cpu_second)),
            beside(row),
            told(format!("{:.0}", report.throughput_per_s)),
            told(format!("{:.2}", latency.p50)),
            told(format!("{:.2}", latency.p99)),
            row.promises()
        );
    }
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|peer| peer.name()).collect();
        let _ = writeln!(text, "\nNot installed here, so not compared with: {}.", names.join(", "));
    }
    text.push_str("\n## How each was run\n\n");
    for Shown { entry, .. } in shown {
        let words: Vec<String> = entry.words.iter().map(|word| quoted(word)).collect();
        let _ = writeln!(text, "- {}: `relay-loadtest run {}`", entry.name, words.join(" "));
    }
    text
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("\"{word}\"") } else { word.to_owned() }
}

/// What was run beside the relay.
fn beside(row: &Shown) -> String {
    let cpu = row.report.against.as_ref().and_then(|against| against.figures.get(&Figure::Cpu));
    match (row.entry.peer, cpu) {
        (Some(peer), Some(cpu)) if !row.entry.once => format!("{} {:.2}", peer.name(), cpu.baseline),
        _ => floors(&row.report),
    }
}

fn per_million(messages_per_cpu_second: Option<f64>) -> String {
    messages_per_cpu_second
        .filter(|messages| *messages > 0.0)
        .map_or_else(|| "–".to_owned(), |messages| format!("{:.2}", 1e6 / messages))
}

/// Echoes, or memory where that is what the floors show.
fn floors(report: &Report) -> String {
    let floors = report.floor.iter().map(|(name, floor)| match floor.rss_bytes_per_connection {
        Some(bytes) => {
            let after = floor.rss_bytes_after_message.unwrap_or(bytes);
            format!("{name} {:.2} KiB, {:.2} KiB after", bytes / 1024.0, after / 1024.0)
        }
        None => format!("{name} {}", per_million(floor.messages_per_cpu_second)),
    });
    floors.collect::<Vec<_>>().join(" · ")
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(
        || "a processor that does not say what it is".to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}
