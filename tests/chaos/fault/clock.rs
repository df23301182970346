//! Clocks that jump, by libfaketime: a time namespace does not move wall time.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::world::Node;

/// Where Debian has it, for the machines that CI runs on.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// The library, if it is installed.
pub(crate) fn library() -> Option<PathBuf> {
    LIBRARIES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// What gives a process a clock that the file moves. Time-outs go by the monotonic clock, which stays true.
pub(crate) fn environment(file: &Path) -> anyhow::Result<Vec<(String, String)>> {
    std::fs::write(file, "+0")?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
    let library = library().context("libfaketime is not installed")?;
    Ok([
        ("LD_PRELOAD", text(&library)?),
        ("FAKETIME_TIMESTAMP_FILE", text(file)?),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec())
}

/// Sets a relay's clock so many seconds off.
pub(super) fn set(node: &Node, seconds: i64) -> anyhow::Result<()> {
    let file = node.clock.as_ref().context("this world has no clocks")?;
    std::fs::write(file, format!("{seconds:+}"))?;
    Ok(())
}
