//! Keeps up in Redis what this instance wishes, and enters it again at once when Redis may have lost it: its own lease is
//! missing at a beat, or the connection is new. What Redis did not take at the time, as it was silent or its circuit open
//! for a moment that cost no lease, is said again within seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};

use crate::directory::OwnEntry;
use crate::directory::redis::{Inner, index, leases, wildcards};

/// How often entries are entered again: a third of their life.
const ENTRIES_EVERY: Duration = Duration::from_secs(30);

/// How often held wildcards are: less than a third of theirs.
const WILDCARDS_EVERY: Duration = Duration::from_secs(3);

/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How soon after everything was entered because it may have been lost it is entered once more: somebody who took this
/// instance for dead may have been deleting at that moment, and has heard by then that it lives, as a lease is 3 s.
const ONCE_MORE: Duration = Duration::from_secs(4);

/// How long an entry may be on its way: as long as a `welcome` waits for it.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Scripts under way at a time: what fred puts into a few writes.
const UNDER_WAY_MAX: usize = 256;

/// When the next upkeep is due.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    lost: Notify,
    restored: AtomicU64,
}

impl Upkeep {
    /// How often everything was entered again because Redis may have lost it.
    pub(super) fn restored(&self) -> u64 {
        self.restored.load(Ordering::Relaxed)
    }
}

/// Says that this instance begins to live. `false` if Redis did not answer.
pub(super) async fn first_beat(inner: &Inner) -> bool {
    let Ok(question) = inner.commands.begin_beat() else { return false };
    inner.leases.spare();
    inner.wildcards.distrust();
    inner.leases.beat(&question).await.is_ok()
}

/// Says each second that this instance lives. Apart from [`refresh`], which may take longer than a lease lasts.
pub(super) async fn beat(inner: Arc<Inner>, begun: bool) {
    let mut connections = inner.commands.link().connections();
    let mut beats = tokio::time::interval(leases::BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Whether Redis may have lost what it knew since the last beat that it answered.
    let mut suspect = !begun;
    loop {
        tokio::select! {
            Ok(()) = connections.changed() => suspect = true,
            _ = beats.tick() => {}
        }
        // While Redis is away it says nothing about anyone's life.
        let Ok(question) = inner.commands.begin_beat() else { continue };
        match inner.leases.beat(&question).await {
            Ok(held) if held && !suspect => {}
            Ok(_) => {
                inner.leases.spare();
                inner.wildcards.distrust();
                inner.upkeep.lost.notify_one();
                suspect = false;
            }
            Err(_) => {
                // It may have been the one that found the own lease missing, and restored it.
                inner.wildcards.distrust();
                suspect = true;
            }
        }
    }
}

/// Enters everything again, in time or when it may be lost.
pub(super) async fn refresh(inner: Arc<Inner>) {
    let now = Instant::now();
    let (mut entries_due, mut wildcards_due) = (now + ENTRIES_EVERY, now + WILDCARDS_EVERY);
    let mut unsaid_due = now + RETRY;
    // Until all is entered again, however often that takes.
    let mut is_lost = false;
    loop {
        let lost = tokio::select! {
            () = inner.upkeep.lost.notified() => true,
            () = tokio::time::sleep_until(entries_due.min(wildcards_due).min(unsaid_due)) => false,
        };
        let now = Instant::now();
        if lost || now >= wildcards_due {
            let kept = inner.keep_wildcards().await;
            wildcards_due = now + if kept { WILDCARDS_EVERY } else { RETRY };
        }
        is_lost |= lost;
        if lost || now >= entries_due {
            let kept = inner.keep_entries().await;
            entries_due = now
                + match kept {
                    true if is_lost => ONCE_MORE,
                    true => ENTRIES_EVERY,
                    false => RETRY,
                };
            if is_lost && kept {
                is_lost = false;
                inner.upkeep.restored.fetch_add(1, Ordering::Relaxed);
            }
        } else if now >= unsaid_due {
            inner.say_goodbyes().await;
            inner.enter_all(inner.own.overdue(ON_ITS_WAY)).await;
        }
        unsaid_due = Instant::now() + RETRY;
    }
}

impl Inner {
    async fn keep_wildcards(&self) -> bool {
        let held = self.wildcards.held();
        let kept = stream::iter(held).map(|tenant| async move {
            let Ok(question) = self.commands.begin(0) else { return false };
            wildcards::hold(&question, &tenant).await.is_ok()
        });
        all(kept.buffer_unordered(UNDER_WAY_MAX)).await
    }

    async fn keep_entries(&self) -> bool {
        let said = self.say_goodbyes().await;
        let own = self.own.all();
        let mut named = true;
        for (tenant, agents) in index::by_tenant(&own) {
            for some in agents.chunks(index::TOGETHER_MAX) {
                named &= match self.commands.begin(0) {
                    Ok(question) => index::enter(&question, tenant, some).await.is_ok(),
                    Err(_) => false,
                };
            }
        }
        self.enter_all(own).await && said && named
    }

    async fn enter_all(&self, own: Vec<OwnEntry>) -> bool {
        let entries = stream::iter(own).map(|own| async move {
            let Ok(question) = self.commands.begin(0) else { return false };
            self.enter(&question, &own).await.is_ok()
        });
        all(entries.buffer_unordered(UNDER_WAY_MAX)).await
    }

    async fn say_goodbyes(&self) -> bool {
        let goodbyes = stream::iter(self.own.goodbyes()).map(|own| self.say_goodbye(own));
        all(goodbyes.buffer_unordered(UNDER_WAY_MAX)).await
    }

    async fn say_goodbye(&self, own: OwnEntry) -> bool {
        let said = match self.commands.begin(0) {
            Ok(question) => self.delete(&question, &own).await.is_ok(),
            Err(_) => false,
        };
        if !said {
            self.own.owe_goodbye(own);
        }
        said
    }
}

/// Whether everything succeeded. Nothing is left out after a failure.
async fn all(results: impl Stream<Item = bool>) -> bool {
    results.fold(true, async |all, one| all && one).await
}
