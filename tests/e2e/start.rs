//! The command line: a configuration that is wrong opens nothing and says all that is wrong; development mode serves this
//! machine alone.

use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::launch::Child;
use relay_tests::http;
use relay_tests::{Fleet, eventually, program, turn};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(20);
/// What `sysexits.h` has for a configuration that cannot be used.
const EXIT_CONFIG: Option<i32> = Some(78);
const PASSWORD: &str = "hunter2";

/// Settings of which each is wrong, and no key for tokens.
const WRONG: [(&str, &str); 8] = [
    ("RELAY_ALLOWED_ORIGINS", "app.example.com"),
    ("RELAY_HEADER_TIMEOUT_MS", "1"),
    ("RELAY_DRAIN_MS", "10"),
    ("RELAY_HEARTBEAT_MS", "1"),
    ("RELAY_REDIS_URL", "http://:hunter2@localhost"),
    ("RELAY_PAYLOAD_BYTES", "0"),
    ("RELAY_RATE_BURST", "0"),
    ("RELAY_LOG", "a=b=c"),
];

#[tokio::test]
async fn every_fault_of_a_configuration_is_told_before_anything_is_opened() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    // Opening the port would fail, and be complained of, as somebody has it.
    let taken = TcpListener::bind(("127.0.0.1", 0)).await?;
    let listen = taken.local_addr()?.to_string();
    let environment = [&WRONG[..], &[("RELAY_LISTEN", &*listen)]].concat();
    for command in ["serve", "check"] {
        let ended = program::run(&[command], &environment).await?;
        ensure!(ended.status == EXIT_CONFIG, "{command}: {ended:?}");
        for setting in WRONG.map(|(setting, _)| setting).into_iter().chain(["RELAY_AUTH_JWKS_FILE"]) {
            let told = ended.complained.matches(&format!("agent-relay: {setting}: ")).count();
            ensure!(told == 1, "{command}: {setting} is told {told} times: {ended:?}");
        }
        ensure!(!ended.complained.contains("cannot listen"), "{command}: {ended:?}");
        ensure!(!ended.complained.contains(PASSWORD), "{command}: a password is shown: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_faults_of_a_configuration() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let environment = [
        ("RELAY_AUTH_JWKS_FILE", "/nowhere/jwks.json"),
        ("RELAY_AUTH_PEM_KEYS", "rs:RS256:/nowhere/rs.pem,es:ES512:/nowhere/es.pem"),
        ("RELAY_AUTH_HMAC_SECRET", "short-secret"),
    ];
    for command in ["serve", "check"] {
        let ended = program::run(&[command], &environment).await?;
        ensure!(ended.status == EXIT_CONFIG, "{command}: {ended:?}");
        for part in ["RELAY_AUTH_JWKS_FILE", "/nowhere/rs.pem", "ES512", "RELAY_AUTH_HMAC_SECRET"] {
            ensure!(ended.complained.contains(part), "{command}: {part} is not told: {ended:?}");
        }
        ensure!(!ended.complained.contains("short-secret"), "{command}: a secret is shown: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_configuration_can_be_checked_and_its_reference_printed() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let ended = program::run(&["check", "--dev"], &[]).await?;
    ensure!(ended.status == Some(0) && ended.said.contains("fit to be used"), "{ended:?}");
    let ended = program::run(&["check", "--no-such-setting"], &[]).await?;
    ensure!(ended.status == Some(2), "{ended:?}");
    let ended = program::run(&["config"], &[("RELAY_AUTH_HMAC_SECRET", PASSWORD)]).await?;
    ensure!(ended.status == Some(0), "{ended:?}");
    ensure!(ended.said.contains("RELAY_DRAIN_MS") && ended.said.contains("8000"), "{ended:?}");
    ensure!(!ended.said.contains(PASSWORD), "a secret is shown: {ended:?}");
    let page = program::run(&["config", "--markdown"], &[]).await?;
    ensure!(page.status == Some(0) && page.said.contains("| `RELAY_DRAIN_MS` |"), "{page:?}");
    Ok(())
}

#[tokio::test]
async fn development_mode_listens_for_nobody_outside() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let ended = program::run(&["serve", "--dev", "--listen", listen], &[]).await?;
        ensure!(ended.status == EXIT_CONFIG, "{listen}: {ended:?}");
        ensure!(ended.complained.contains("RELAY_LISTEN: development mode"), "{listen}: {ended:?}");
        ensure!(!ended.said.contains("http://"), "{listen}: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn development_mode_prints_where_it_is_to_be_found() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let folder = TempDir::with_prefix("relay-tests-dev-")?;
    let mut command = Command::new(program::relay()?);
    command.args(["serve", "--dev"]).env_clear().env("PORT", "0");
    let child = Child::spawn("dev", command, folder.path())?;
    let url = eventually("a URL is printed", PATIENCE, async || {
        let log = child.log();
        let words: Vec<&str> = log.split_ascii_whitespace().collect();
        Ok(words.into_iter().find(|word| word.starts_with("http://")).map(str::to_owned))
    })
    .await?;
    let listens = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("no URL")?;
    ensure!(listens.1 == "console", "{url}");
    let listens = listens.0.parse()?;
    let page = http::get(listens, "/console").await?;
    ensure!(page.status == 200 && page.body.contains("<html"), "{page:?}");
    ensure!(
        page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    let token = http::get(listens, "/console/token?agent=bob").await?;
    ensure!(token.status == 200 && token.body.contains("\"token\""), "no token for the page");
    // Ctrl-C in a terminal.
    child.signal(Signal::INT)?;
    let status = child.stop().await?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_relay_without_development_mode_hands_out_no_token() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let fleet = Fleet::single(&[]).await?;
    for path in ["/", "/console", "/console/token?agent=bob"] {
        let answer = fleet.get(0, path).await?;
        ensure!(answer.status == 404, "{path}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_to_be() -> anyhow::Result<()> {
    let _machine = turn::shared().await;
    let taken = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = taken.local_addr()?.to_string();
    let ended = program::run(&["serve", "--dev", "--listen", &address], &[]).await?;
    ensure!(ended.status == Some(1), "{ended:?}");
    ensure!(ended.complained.contains(&format!("cannot listen on {address}")), "{ended:?}");
    ensure!(!ended.said.contains("http://"), "{ended:?}");
    Ok(())
}
