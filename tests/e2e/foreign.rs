//! Clients without a line of the relay's code in them: a Python and a Node program written from PROTOCOL.md alone, and a
//! real browser on the console. Each talks to real relays and says itself what failed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::launch::{Relay, RelayOptions};
use relay_loadtest::token::Grants;
use relay_tests::fleet::TENANT;
use relay_tests::{Fleet, program, turn};
use tempfile::TempDir;
use tokio::process::Command;

/// What each program takes at most; alone on the machine each takes some five seconds.
const PATIENCE: Duration = Duration::from_mins(3);
/// Written by the set-up once the packages of a Node project are as its lock file says.
const LOCKED: &str = "node_modules/.locked";
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_finds_the_protocol_kept() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let python = program::tool("relay-python")?;
    conforms(&python, &program::root().join("tests/clients/python/conformance.py")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_client_finds_the_protocol_kept() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    conforms(&program::tool("node")?, &node_project("tests/clients/node")?.join("conformance.mjs")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_in_a_browser_talk() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let script = node_project("tests/browser")?.join("console.mjs");
    let browser = BROWSERS.into_iter().find_map(|name| program::tool(name).ok());
    let browser = browser.context("no browser is installed; `make setup` does it")?;
    let folder = TempDir::with_prefix("relay-tests-console-")?;
    let options = RelayOptions {
        binary: program::relay()?,
        arguments: vec!["--dev".to_owned()],
        // Long enough to talk, and short enough to see agents move.
        environment: vec![("RELAY_LEASE_MS".to_owned(), "8000".to_owned())],
    };
    let relay = Relay::start("dev", &options, folder.path()).await?;
    let mut command = Command::new(program::tool("node")?);
    command.arg(script).arg("--url").arg(format!("http://{}", relay.target.address));
    command.arg("--browser").arg(browser).arg("--screenshots").arg(folder.path());
    passes(command).await?;
    let status = relay.child.stop().await?;
    ensure!(status.success(), "the relay ended with {status}");
    Ok(())
}

/// Runs a conformance program against a relay alone, and against one that Redis joins to another.
async fn conforms(interpreter: &Path, script: &Path) -> anyhow::Result<()> {
    for fleet in [Fleet::single(&[]).await?, Fleet::joined(2, &[]).await?] {
        let mut command = Command::new(interpreter);
        command.arg(script).arg("--url").arg(format!("ws://{}/ws", fleet.address(0)));
        let minter = fleet.cluster.minter();
        let nothing = || Grants {
            publish: Vec::new(),
            subscribe: Vec::new(),
            send: Vec::new(),
            join: Vec::new(),
            watch: Vec::new(),
            admin: false,
        };
        for (variable, agent, grants) in [
            ("TOKEN_A", "conformance-a", Grants::all()),
            ("TOKEN_B", "conformance-b", Grants::all()),
            ("TOKEN_NOTHING", "conformance-nothing", nothing()),
        ] {
            let mut claims = minter.claims(TENANT, agent);
            claims.relay = grants;
            command.env(variable, minter.sign(&claims)?);
        }
        passes(command).await?;
        for instance in 0..fleet.cluster.relays.len() {
            fleet.assert_serves(instance).await?;
        }
        fleet.cluster.stop().await?;
    }
    Ok(())
}

/// Runs a program to its end; what it said is shown if it fails.
async fn passes(mut command: Command) -> anyhow::Result<()> {
    let running = command.current_dir(program::root()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, running).await;
    let output = output.with_context(|| format!("not done in {} s", PATIENCE.as_secs()))??;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    // A program that checked nothing has not shown anything.
    ensure!(said.contains(" passed, 0 failed"), "{said}\n{complained}");
    Ok(())
}

/// The folder of a Node project whose packages are installed.
fn node_project(path: &str) -> anyhow::Result<PathBuf> {
    let folder = program::root().join(path);
    ensure!(folder.join(LOCKED).is_file(), "the packages of {path} are not installed; `make setup` does it");
    Ok(folder)
}
