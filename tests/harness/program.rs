//! The programs under test, found or built once for all tests of a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::launch::RELAY_PROGRAM;

/// Longer than a relay takes to say what is wrong, on a busy machine.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// The repository.
pub fn root() -> &'static Path {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder)
}

/// The relay's program, up to date with its source and of the same profile as the tests.
pub fn relay() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

/// How the relay ended that was run to its end.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; nothing where a signal ended it.
    pub status: Option<i32>,
    /// Its standard output.
    pub said: String,
    /// Its standard error.
    pub complained: String,
}

/// Runs the relay to its end, with this environment and no other.
pub async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Ended> {
    let mut command = tokio::process::Command::new(relay()?);
    command.args(arguments).env_clear().envs(environment.iter().copied()).kill_on_drop(true);
    let output = tokio::time::timeout(END_TIMEOUT, command.output()).await;
    let output = output.with_context(|| format!("the relay runs on after {arguments:?}"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended { status: output.status.code(), said: text(&output.stdout), complained: text(&output.stderr) })
}

/// A program that `make setup` provides: on the `PATH`, or where it is put otherwise.
pub fn tool(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = root().join(".tools/bin");
    std::env::split_paths(&path)
        .chain([own])
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("{name} is not installed; `make setup` does it"))
}

fn build() -> anyhow::Result<PathBuf> {
    // Tests live in `<target>/<profile>/deps`, programs one above.
    let test = std::env::current_exe()?;
    let folder =
        test.parent().map(|folder| if folder.ends_with("deps") { folder.parent() } else { Some(folder) });
    let profile = folder.flatten().context("the test is where cargo puts none")?;
    let target = profile.parent().context("the test is where cargo puts none")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", RELAY_PROGRAM, "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command.current_dir(root()).status().context("cargo")?;
    ensure!(status.success(), "the relay could not be built");
    Ok(profile.join(RELAY_PROGRAM))
}
