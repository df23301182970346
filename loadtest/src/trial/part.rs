//! The part of a run that one of several processes takes; alone it takes all of it.

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use crate::trial::crew::Connecting;

/// Which agents of a run are here, and who says when traffic begins.
#[derive(Debug, Default)]
pub struct Part {
    /// The number of the first one among all of the run; even, as pairs stay together.
    pub first: u32,
    /// Where others have to be waited for.
    pub cue: Option<Cue>,
}

/// Tells that everybody here is connected, and hears when traffic begins.
#[derive(Debug)]
pub struct Cue {
    connected: mpsc::Sender<Connecting>,
    start_ns: watch::Receiver<Option<u64>>,
}

impl Cue {
    /// Tells by the one, hears by the other.
    pub fn new(connected: mpsc::Sender<Connecting>, start_ns: watch::Receiver<Option<u64>>) -> Cue {
        Cue { connected, start_ns }
    }

    /// When traffic begins, on [`crate::clock`].
    pub async fn wait(&self, connecting: &Connecting) -> anyhow::Result<u64> {
        self.connected.send(connecting.clone()).await.context("nobody gives a cue")?;
        let mut start_ns = self.start_ns.clone();
        let start_ns = *start_ns.wait_for(Option::is_some).await.context("no cue came")?;
        start_ns.context("no cue came")
    }
}
