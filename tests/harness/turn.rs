//! Who may use the machine: tests with a load or a clock in them run alone, the others beside each other.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::const_new(());

/// The machine for one test alone.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// The machine together with others.
pub async fn shared() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}
