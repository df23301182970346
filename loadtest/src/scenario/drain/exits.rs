//! How relays left that were told to.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::time::Instant;

use crate::launch::Relay;

/// A relay is to be gone by then: platforms kill after ten seconds.
const LEAVE_WITHIN: Duration = Duration::from_secs(8);

/// How all of them left.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Exits(Vec<Exit>);

/// How one left.
#[derive(Debug, Serialize)]
struct Exit {
    /// Its exit code.
    code: Option<i32>,
    /// The signal that ended it instead.
    signal: Option<i32>,
    /// From SIGTERM to its end.
    seconds: f64,
}

impl Exits {
    /// Tells all `relays` to leave at once, and waits.
    pub(crate) async fn of(relays: Vec<Relay>) -> anyhow::Result<Exits> {
        let leave = async |relay: Relay| {
            let begun = Instant::now();
            let status = relay.child.stop().await?;
            let seconds = begun.elapsed().as_secs_f64();
            anyhow::Ok(Exit { code: status.code(), signal: status.signal(), seconds })
        };
        try_join_all(relays.into_iter().map(leave)).await.map(Exits)
    }

    /// What was promised and not kept, with how many relays it concerns.
    pub(crate) fn breaches(&self) -> [(&'static str, u64); 2] {
        let count = |wrong: fn(&Exit) -> bool| self.0.iter().filter(|exit| wrong(exit)).count() as u64;
        [
            ("left too late", count(|exit| exit.seconds >= LEAVE_WITHIN.as_secs_f64())),
            ("unclean exits", count(|exit| exit.code != Some(0))),
        ]
    }
}
