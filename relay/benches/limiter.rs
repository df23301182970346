//! What the limits cost a frame that they let through, and one that they refuse.

#![expect(clippy::unwrap_used, reason = "a benchmark has no one to tell")]

use std::sync::Arc;

use clap::{Args as _, Command, FromArgMatches as _};
use divan::{Bencher, black_box};
use relay::config::Config;
use relay::limits::{Limits, SessionLimits};
use relay::quota::memory::MemoryQuota;
use relay::telemetry::metrics::Metrics;
use tokio::time::Instant;

fn main() {
    divan::main();
}

const SMALL: usize = 128;
/// A bucket that fills faster than a frame is looked at.
const PLENTY: &str = "400000000";
/// Messages and bytes of a connection, which always have a bound.
const CONNECTION: [&str; 3] = ["--rate-messages", "--rate-burst", "--rate-bytes"];
const AGENT: [&str; 2] = ["--agent-rate-messages", "--agent-rate-bytes"];
const ADDRESS: [&str; 2] = ["--address-rate-messages", "--address-rate-bytes"];
const TENANT: [&str; 2] = ["--tenant-rate-messages", "--tenant-rate-bytes"];

fn session(limits: &[(&str, &str)]) -> SessionLimits {
    let command = Config::augment_args(Command::new("relay").no_binary_name(true));
    let words = limits.iter().flat_map(|(name, value)| [*name, *value]);
    let matches = command.try_get_matches_from(["--dev"].into_iter().chain(words)).unwrap();
    let config = Config::from_arg_matches(&matches).unwrap();
    let quotas = Arc::new(MemoryQuota::default());
    let limits = Limits::new(&config.limits, &config.scopes, quotas, &Metrics::new().unwrap());
    let place = limits.address([192, 0, 2, 1].into()).unwrap();
    SessionLimits::enter(&limits, place, &"acme".into(), &"agent".into()).unwrap()
}

fn plenty(names: &[&[&'static str]]) -> SessionLimits {
    session(&names.concat().into_iter().map(|name| (name, PLENTY)).collect::<Vec<_>>())
}

fn a_frame_of_a_turn(bencher: Bencher<'_, '_>, mut session: SessionLimits) {
    bencher.bench_local(|| {
        session.at(Instant::now());
        black_box((session.frame(), session.bytes(black_box(SMALL))))
    });
    assert!(session.frame().is_ok(), "a refusal was measured");
}

#[divan::bench]
fn of_the_connection(bencher: Bencher<'_, '_>) {
    a_frame_of_a_turn(bencher, plenty(&[&CONNECTION]));
}

#[divan::bench]
fn of_connection_agent_address_and_tenant(bencher: Bencher<'_, '_>) {
    a_frame_of_a_turn(bencher, plenty(&[&CONNECTION, &AGENT, &ADDRESS, &TENANT]));
}

#[divan::bench]
fn refused(bencher: Bencher<'_, '_>) {
    let mut session = session(&[("--rate-messages", "1"), ("--rate-burst", "1")]);
    while session.frame().is_ok() {}
    bencher.bench_local(|| black_box(session.frame()).is_err());
}
