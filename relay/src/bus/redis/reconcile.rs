//! Brings what Redis has subscribed to what is wished, on every connection anew, and proves it.
//!
//! fred answers a SUBSCRIBE before it is written, drops what Redis answers to it, and takes an error for the answer to the
//! next command. Sharded ones it drops when a connection is lost, and never asks for again. So a round ends with `CLIENT INFO` on the same connection, which Redis answers after everything before
//! it: only if that counts as many subscriptions as were made is the round in force. While one round is under way the
//! next one collects. A node of a Cluster takes subscriptions back when their slot moves, so there it is counted again
//! from time to time.

use std::sync::Arc;
use std::time::Duration;

use ahash::HashSet;
use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientInterface as _, ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::config::Server;
use futures_util::future::try_join_all;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::bus::Channel;
use crate::bus::outlet::Outlet;
use crate::bus::redis::counters::BusCounters;
use crate::bus::redis::probe::Hearing;
use crate::bus::redis::wishes::{Round, Wishes};
use crate::redis::{COMMAND_TIMEOUT, Topology};

/// Channels per SUBSCRIBE: some 20 KiB, so that Redis attends to others between two.
const CHUNK: usize = 512;

/// Between a round that was not proven and what is tried next.
const PAUSE: Duration = Duration::from_millis(250);

/// How often a node of a Cluster is asked whether it still holds what was subscribed.
const LOOK: Duration = Duration::from_secs(1);

/// How long a connection may take to come back after it was given up, until it is given up again.
const REMAKE: Duration = Duration::from_secs(5);

/// Talks to the subscribed connection, alone.
pub(super) struct Keeper {
    client: WithOptions<Client>,
    topology: Topology,
    outlet: Outlet,
    wishes: Arc<Wishes>,
    hearing: Arc<Hearing>,
    counters: Arc<BusCounters>,
    errors: Receiver<(Error, Option<Server>)>,
    connects: Receiver<Server>,
    /// What Redis was asked for on this connection; `None` while there is none.
    asked: Option<HashSet<Channel>>,
}

impl Keeper {
    /// To be made before the client connects: it listens from here on.
    pub(super) fn new(
        client: WithOptions<Client>,
        topology: Topology,
        outlet: Outlet,
        wishes: Arc<Wishes>,
        hearing: Arc<Hearing>,
        counters: Arc<BusCounters>,
    ) -> Keeper {
        let (errors, connects) = (client.error_rx(), client.reconnect_rx());
        Keeper { client, topology, outlet, wishes, hearing, counters, errors, connects, asked: None }
    }

    /// Keeps Redis at what is wished.
    pub(super) async fn run(mut self) {
        let mut connected_before = false;
        loop {
            tokio::select! {
                // Errors before connections: an error that waits is older than the connection that followed it.
                biased;
                error = self.errors.recv() => {
                    if matches!(error, Err(RecvError::Closed)) { return }
                    self.lose();
                }
                connect = self.connects.recv() => {
                    if matches!(connect, Err(RecvError::Closed)) { return }
                    self.lose();
                    self.asked = Some(HashSet::default());
                    self.wishes.connected();
                    if std::mem::replace(&mut connected_before, true) {
                        BusCounters::raise(&self.counters.reconnects);
                    }
                }
                () = self.hearing.given_up() => self.give_up().await,
                () = self.wishes.changed(), if self.asked.is_some() => self.round().await,
                () = tokio::time::sleep(LOOK), if self.asked.is_some() && self.topology.is_cluster() => {
                    self.round().await;
                }
                () = tokio::time::sleep(REMAKE), if self.asked.is_none() => self.give_up().await,
            }
        }
    }

    async fn round(&mut self) {
        let round = self.wishes.open_round();
        let heard = self.hearing.messages();
        let Err(unproven) = self.settle(&round).await else {
            if self.wishes.close_round(round) {
                BusCounters::raise(&self.counters.interruptions);
                self.outlet.interrupted();
            }
            return;
        };
        BusCounters::raise(&self.counters.rounds_failed);
        if !self.undisturbed() {
            return;
        }
        if unproven == Unproven::Wrong && self.topology.is_cluster() {
            // A slot may have moved: then this shard is soon told to leave the channel to another.
            self.topology.refresh().await;
        }
        tokio::time::sleep(PAUSE).await;
        if unproven == Unproven::Silent && self.hearing.messages() != heard {
            // Batches come, faster than fred turns to commands: it reads first. A new connection would be no better.
            self.wishes.reopen_round(round);
        } else if self.undisturbed() {
            self.give_up().await;
        }
    }

    /// Whether this is still the connection that is known of.
    fn undisturbed(&self) -> bool {
        self.errors.is_empty() && self.connects.is_empty()
    }

    /// Asks for what the round is to settle, and proves it.
    async fn settle(&mut self, round: &Round) -> Result<(), Unproven> {
        let asked = self.asked.get_or_insert_default();
        let gone: Vec<_> = round.unwished.iter().filter(|&channel| asked.contains(channel)).collect();
        for chunk in gone.chunks(CHUNK) {
            self.unsubscribe(chunk).await?;
            let asked = self.asked.get_or_insert_default();
            for channel in chunk {
                asked.remove(*channel);
            }
        }
        let asked = self.asked.get_or_insert_default();
        let new: Vec<_> = round.wished.iter().filter(|&channel| !asked.contains(channel)).collect();
        for chunk in new.chunks(CHUNK) {
            self.subscribe(chunk).await?;
            let asked = self.asked.get_or_insert_default();
            asked.extend(chunk.iter().map(|&channel| channel.clone()));
        }
        let info: String = self.client.client_info().await?;
        // A connection made meanwhile has none of it, and is dealt with next.
        let asked = self.asked.as_ref().map(HashSet::len);
        let proven = subscriptions(&info, self.field()) == asked && self.undisturbed();
        if proven { Ok(()) } else { Err(Unproven::Wrong) }
    }

    async fn subscribe(&self, channels: &[&Channel]) -> Result<(), Error> {
        if !self.topology.is_cluster() {
            return self.client.subscribe(names(channels)).await;
        }
        // Each for itself: those of one question must be of one slot, and fred expects one answer to it.
        try_join_all(channels.iter().map(|channel| self.client.ssubscribe(channel.name()))).await.map(drop)
    }

    async fn unsubscribe(&self, channels: &[&Channel]) -> Result<(), Error> {
        if !self.topology.is_cluster() {
            return self.client.unsubscribe(names(channels)).await;
        }
        try_join_all(channels.iter().map(|channel| self.client.sunsubscribe(channel.name()))).await.map(drop)
    }

    /// Where `CLIENT INFO` counts what was subscribed to.
    fn field(&self) -> &'static str {
        if self.topology.is_cluster() { "ssub=" } else { "sub=" }
    }

    /// Makes another connection, unless fred is about to.
    async fn give_up(&mut self) {
        self.lose();
        if self.client.is_connected() {
            tracing::warn!("the subscribed connection is not trusted; making another");
            // Answered when it is made, which may be never: then this is tried again.
            drop(tokio::time::timeout(COMMAND_TIMEOUT, self.client.force_reconnection()).await);
        }
    }

    fn lose(&mut self) {
        self.asked = None;
        self.wishes.disconnected();
    }
}

/// What was asked for is not known to be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unproven {
    /// There was no answer.
    Silent,
    /// The answer was another one, or the connection is lost.
    Wrong,
}

impl From<Error> for Unproven {
    fn from(error: Error) -> Unproven {
        if *error.kind() == ErrorKind::Timeout { Unproven::Silent } else { Unproven::Wrong }
    }
}

fn names(channels: &[&Channel]) -> Vec<String> {
    channels.iter().map(|channel| channel.name().to_owned()).collect()
}

/// The number of channels in what `CLIENT INFO` answers: `id=7 … sub=3 psub=0 ssub=0 …`.
fn subscriptions(info: &str, field: &str) -> Option<usize> {
    info.split_ascii_whitespace().find_map(|word| word.strip_prefix(field))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_counted_without_patterns() {
        let info = "id=7 addr=127.0.0.1:1 name=fred db=0 psub=9 ssub=8 sub=3 multi=-1 resp=3\n";
        assert_eq!(subscriptions(info, "sub="), Some(3));
        assert_eq!(subscriptions(info, "ssub="), Some(8));
        assert_eq!(subscriptions("id=7", "sub="), None);
    }
}
