//! Several processes driven as one show what one would, and find what one would.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so")]

#[expect(dead_code, reason = "the faults of other tests")]
mod fake_relay;

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::fake_relay::fault::{Fault, Wrong};
use crate::fake_relay::{SECRET, start};

/// Exit status, the report if there is one, and what was said on standard error.
type Run = (Option<i32>, Value, String);

/// Runs a scenario in three processes against a relay that does this wrong.
async fn run_in_three(url: &str, arguments: &str) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-loadtest"));
    command.args(["run"]).args(arguments.split_whitespace()).args(["--url", url, "--hmac-secret", SECRET]);
    command
        .args("--processes 3 --agents 8 --warm-up 0 --grace 0.5 --payload 100 --json".split(' '))
        .arg(&json);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.expect("the program");
    let report = std::fs::read(&json).ok().and_then(|text| serde_json::from_slice(&text).ok());
    (output.status.code(), report.unwrap_or_default(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn broken(report: &Value) -> Vec<&str> {
    report["broken"].as_object().expect("promises").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn three_processes_show_what_all_of_their_agents_did() {
    let url = start(Fault::none()).await;
    let arguments = "direct --rate 400 --receipt all --tenants 2 --duration 2 --source-addresses 2";
    let (status, report, said) = run_in_three(&url, arguments).await;
    assert_eq!((status, broken(&report)), (Some(0), vec![]), "{said}");
    // One every 2.5 ms for two seconds, whoever's turn it is.
    assert!((797..=803).contains(&report["sent"].as_u64().expect("sent")), "{}", report["sent"]);
    assert_eq!((&report["delivered"], &report["accepted"]), (&report["sent"], &report["sent"]));
    let connected = report["timeline"].as_array().expect("moments").iter();
    assert_eq!(connected.filter_map(|moment| moment["connected"].as_u64()).max(), Some(8));
    let p50 = report["latency_ms"]["p50"].as_f64().expect("latency");
    assert!(p50 > 0.0 && p50 <= report["latency_ms"]["max"].as_f64().expect("latency"), "{p50}");
    assert!(report["generator_cpu_seconds"].as_f64() > Some(0.0));
}

#[tokio::test]
async fn what_a_relay_does_wrong_to_the_agents_of_any_process_is_found() {
    for (wrong, expected) in [
        (Wrong::Drop, "lost"),
        (Wrong::Duplicate, "duplicated"),
        (Wrong::Misdeliver, "misdelivered"),
        (Wrong::AnswerNever, "unanswered"),
    ] {
        let url = start(Fault::every(50, wrong)).await;
        let (status, report, said) =
            run_in_three(&url, "direct --depth 4 --receipt all --duration 0.5").await;
        assert_eq!((status, broken(&report)), (Some(1), vec![expected]), "{wrong:?}: {said}");
    }
}

#[tokio::test]
async fn requests_and_idle_agents_are_shared_out_too() {
    let url = start(Fault::none()).await;
    let (status, report, said) = run_in_three(&url, "request-reply --rate 90 --writes 60 --duration 1").await;
    assert_eq!((status, broken(&report)), (Some(0), vec![]), "{said}");
    assert_eq!(report["requests"].as_array().map(Vec::len), Some(3), "{}", report["requests"]);
    let (status, report, said) = run_in_three(&url, "idle --duration 0.5 --after-message 2000").await;
    assert_eq!((status, broken(&report), &report["delivered"]), (Some(0), vec![], &8.into()), "{said}");
}

#[tokio::test]
async fn a_process_that_cannot_do_its_part_says_why() {
    let closed = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("ws://{}/ws", closed.local_addr().expect("its address"));
    drop(closed);
    let (status, _, said) = run_in_three(&url, "direct --duration 0.5").await;
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("could not connect"), "{said}");
    let (status, _, said) = run_in_three(&url, "fan-out --duration 0.5").await;
    assert_eq!(status, Some(2));
    assert!(said.contains("fan-out cannot be shared out among processes"), "{said}");
}

#[tokio::test]
async fn a_target_that_must_be_met_is_judged_over_all_processes() {
    let url = start(Fault::none()).await;
    let met = "direct --rate 300 --duration 1 --must-meet --target-p95 5000";
    let (status, report, said) = run_in_three(&url, met).await;
    assert_eq!((status, broken(&report)), (Some(0), vec![]), "{said}");
    let url = start(Fault::every(100, Wrong::Refuse)).await;
    let (status, report, said) = run_in_three(&url, met).await;
    assert_eq!((status, broken(&report)), (Some(1), vec!["target missed"]), "{said}");
    assert!(report["target"].as_str().is_some_and(|why| why.ends_with("% refused")), "{}", report["target"]);
}
