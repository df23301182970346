//! What a relay is compared with carries what it says it carries.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so")]

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

/// What a floor showed by itself.
async fn floor_alone(spec: &str, arguments: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-loadtest"));
    command.arg("run").args(arguments.split(' ')).arg(format!("--floor={spec}"));
    command.args("--no-relay --pairs 1 --duration 0.5 --warm-up 0.2 --json".split(' ')).arg(&json);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read(&json).expect("a report");
    let report: Value = serde_json::from_slice(&text).expect("JSON");
    report["floor"][spec].clone()
}

fn figure(floor: &Value, name: &str) -> f64 {
    floor[name].as_f64().unwrap_or_else(|| panic!("{name} in {floor}"))
}

#[tokio::test]
async fn a_broadcast_reaches_all_who_listen() {
    let floor = floor_alone("raw", "fan-out --agents 20").await;
    // Who publishes waits for 16 of the 20: were one of these left out, nothing would come while it counts.
    assert!(figure(&floor, "throughput_per_s") > 5_000.0, "{floor}");
    assert!(figure(&floor, "messages_per_cpu_second") >= figure(&floor, "throughput_per_s") / 2.0, "{floor}");
}

#[tokio::test]
async fn redis_alone_carries_more_in_larger_batches() {
    let one = floor_alone("redis,1", "direct --payload 256").await;
    let many = floor_alone("redis,64", "direct --payload 256").await;
    let (one, many) = (figure(&one, "messages_per_cpu_second"), figure(&many, "messages_per_cpu_second"));
    assert!(one > 1_000.0 && many > one * 3.0, "{one} {many}");
}

#[tokio::test]
async fn floors_at_a_rate_keep_to_it_and_show_how_long_a_message_takes() {
    for (spec, rate) in [("axum", 2_000.0), ("redis,4", 2_000.0)] {
        let floor = floor_alone(spec, "direct --agents 10 --rate 2000").await;
        let throughput = figure(&floor, "throughput_per_s");
        assert!((throughput - rate).abs() < rate / 10.0, "{floor}");
        // A system call takes longer than a microsecond, and nothing waits for a second.
        assert!((0.001..1_000.0).contains(&figure(&floor, "p99_ms")), "{floor}");
    }
}

#[tokio::test]
async fn a_floor_that_cannot_be_compared_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-loadtest"));
    command.args("run fan-out --agents 4 --no-relay --pairs 1 --floor=axum".split(' '));
    let output = command.stdin(Stdio::null()).output().await.expect("the program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("fan-out cannot be compared with axum"), "{said}");
}
