//! The API document, checked by two tools, one of which calls the relay by it with hundreds of calls.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_tests::api::{OPERATORS, Program};
use relay_tests::{Fleet, program, turn};
use tokio::process::Command;

/// Far longer than the run may take, which bounds itself.
const PATIENCE: Duration = Duration::from_mins(5);
/// Rates that a run of calls does not meet.
const UNMET: [(&str, &str); 5] = [
    ("RELAY_API_RATE", "100000"),
    ("RELAY_API_BURST", "100000"),
    ("RELAY_RATE_MESSAGES", "100000"),
    ("RELAY_RATE_BURST", "100000"),
    ("RELAY_OPERATOR_TENANT", OPERATORS),
];

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "what the tool counted")]
async fn the_document_is_valid_and_the_relay_keeps_it() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let fleet = Fleet::single(&UNMET).await?;
    let mut command = Command::new(program::tool("relay-python")?);
    command
        .arg(program::root().join("tests/api/conformance.py"))
        .env("RELAY_URL", format!("http://{}", fleet.address(0)))
        .env("RELAY_TOKEN", Program::admin(&fleet, OPERATORS)?.token)
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.context("it goes on")??;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}\n{complained}");
    println!(
        "{}",
        said.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    );
    fleet.assert_serves(0).await
}
