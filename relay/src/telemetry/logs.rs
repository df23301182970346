//! Log set-up: JSON lines for machines, readable ones for a terminal.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::telemetry::{LogFormat, TelemetryConfig};

/// Starts logging to standard error. Called once by the binary; a filter that cannot be read was refused before.
pub fn start(config: &TelemetryConfig) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let json = match config.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(is_discreet));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second start, as in a test, leaves the first in force.
    let _ = if json {
        registry.with(lines.json().flatten_event(true).with_current_span(true)).try_init()
    } else {
        registry.with(lines.with_target(false)).try_init()
    };
}

/// What of our own writes to the log: the library, the program, and the audit of administrative acts.
const OWN: [&str; 3] = ["relay", "agent_relay", "audit"];

/// Libraries write whole frames, tokens and payloads included, at their lower levels: of them only what is at least an
/// information is let through, whatever the filter says.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    let origin = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || OWN.contains(&origin)
}
