//! Which channels this instance wishes to hear, and which of those are in force. The truth that [`Keeper`] brings Redis
//! to; only it says what is in force, only callers say what is wished, so neither can undo the other.
//!
//! [`Keeper`]: crate::bus::redis::reconcile::Keeper

use std::future::Future;

use ahash::{HashMap, HashSet};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::bus::{Channel, SubscribeError};

/// Bound: what callers wish, which they bound themselves.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wished: HashMap<Channel, Wish>,
    /// Channels of which Redis may not know what is wished; while there is no connection that is all of them.
    open: HashSet<Channel>,
    /// Whether there is a connection to subscribe on.
    connected: bool,
    /// Whether somebody was told that batches may be missed, and is owed the word that they flow again.
    gap_owed: bool,
}

#[derive(Debug, Default)]
struct Wish {
    in_force: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Wishes {
    /// Records a wish, and resolves when it is in force. While there is no connection it fails at once, unless `patient`.
    pub(super) fn wish(
        &self,
        channel: &Channel,
        patient: bool,
    ) -> impl Future<Output = Result<(), SubscribeError>> + Send + use<> {
        let mut state = self.state.lock();
        let connected = state.connected;
        let wish = state.wished.entry(channel.clone()).or_default();
        let mut in_force = None;
        if !wish.in_force {
            let (sender, receiver) = oneshot::channel();
            if connected || patient {
                wish.waiting.push(sender);
            }
            in_force = Some(receiver);
            if connected {
                state.open.insert(channel.clone());
                self.changed.notify_one();
            }
            state.gap_owed |= !connected && !patient;
        }
        async move {
            match in_force {
                None => Ok(()),
                Some(receiver) => receiver.await.map_err(|_| SubscribeError),
            }
        }
    }

    /// Takes a wish back. Who waits for it is told that it is not in force.
    pub(super) fn take_back(&self, channel: &Channel) {
        let mut state = self.state.lock();
        if state.wished.remove(channel).is_some() && state.connected {
            state.open.insert(channel.clone());
            self.changed.notify_one();
        }
    }

    /// Gives up the wishes that are to be carried out elsewhere, and tells which. Who waits for them is told that they are
    /// not in force.
    pub(super) fn release(&self, is_elsewhere: impl Fn(&Channel) -> bool) -> Vec<Channel> {
        let mut state = self.state.lock();
        let released: Vec<Channel> =
            state.wished.extract_if(|channel, _| is_elsewhere(channel)).map(|(channel, _)| channel).collect();
        if state.connected && !released.is_empty() {
            state.open.extend(released.iter().cloned());
            self.changed.notify_one();
        }
        released
    }

    /// Takes over a wish that was carried out elsewhere: what was published meanwhile is lost, which is owed to be told.
    pub(super) fn adopt(&self, channel: &Channel) {
        let mut state = self.state.lock();
        state.gap_owed = true;
        state.wished.entry(channel.clone()).or_default();
        if state.connected {
            state.open.insert(channel.clone());
            self.changed.notify_one();
        }
    }

    /// Resolves when a wish changed since the last round.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// There is a new connection, on which nothing is in force: every wish is open.
    pub(super) fn connected(&self) {
        let mut state = self.state.lock();
        state.connected = true;
        let State { wished, open, .. } = &mut *state;
        open.clear();
        open.extend(wished.keys().cloned());
        self.changed.notify_one();
    }

    /// The connection is lost: nothing is in force, and who waits is told so.
    pub(super) fn disconnected(&self) {
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.connected) {
            return;
        }
        state.gap_owed = true;
        for wish in state.wished.values_mut() {
            wish.in_force = false;
            wish.waiting.clear();
        }
    }

    /// Takes what is open, to be settled in one round.
    pub(super) fn open_round(&self) -> Round {
        let mut state = self.state.lock();
        let State { wished, open, .. } = &mut *state;
        let (wished, unwished) = open.drain().partition(|channel| wished.contains_key(channel));
        Round { wished, unwished }
    }

    /// The round is proven: what is still wished of it is in force. `true` when a gap is owed, and is to be told.
    pub(super) fn close_round(&self, round: Round) -> bool {
        let mut state = self.state.lock();
        for channel in round.wished {
            if let Some(wish) = state.wished.get_mut(&channel) {
                wish.in_force = true;
                for waiting in wish.waiting.drain(..) {
                    // Who no longer waits does not need to know.
                    waiting.send(()).ok();
                }
            }
        }
        std::mem::take(&mut state.gap_owed)
    }

    /// The round was not proven, but may be on the same connection: it is open again.
    pub(super) fn reopen_round(&self, round: Round) {
        let mut state = self.state.lock();
        state.open.extend(round.wished.into_iter().chain(round.unwished));
        self.changed.notify_one();
    }
}

/// What one round of talk with Redis is to settle.
#[derive(Debug)]
pub(super) struct Round {
    /// To be subscribed.
    pub(super) wished: Vec<Channel>,
    /// To be unsubscribed.
    pub(super) unwished: Vec<Channel>,
}
