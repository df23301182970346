//! The limits that one session meets, held by it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::allowance::Allowance;
use crate::limits::rate::{Rates, TurnClock};
use crate::limits::{AddressPlace, Held, Limited, Limits, Scope};
use crate::telemetry::limit::Limit;

/// Limits of one session: of its connection, and those it shares.
#[derive(Debug)]
pub struct SessionLimits {
    limits: Arc<Limits>,
    connection: Rates,
    clock: TurnClock,
    /// Narrowest first, so that what an agent is refused does not use up what its tenant has.
    shared: Box<[Held]>,
    allowance: Arc<Allowance>,
    /// A refusal has been logged: one line a connection.
    logged: bool,
}

impl SessionLimits {
    /// A session of this agent, with its place among those of its source address; or the limit that is in its way.
    pub fn enter(
        limits: &Arc<Limits>,
        AddressPlace(address): AddressPlace,
        tenant: &Arc<str>,
        agent: &Arc<str>,
    ) -> Result<SessionLimits, Limit> {
        let agent = limits.agents.hold((Arc::clone(tenant), Arc::clone(agent)));
        let agent = limits.place(Scope::Agent, agent)?;
        let whole = limits.place(Scope::Tenant, Some(limits.tenants.hold(tenant)))?;
        let clock = TurnClock::default();
        let (messages, bytes) = limits.connection;
        let mut session = SessionLimits {
            limits: Arc::clone(limits),
            connection: Rates::new(messages, bytes, &clock),
            clock,
            shared: agent.into_iter().chain(address).chain(whole).collect(),
            allowance: limits.tenants.allowance(tenant),
            logged: false,
        };
        // Full buckets from now on: on a clock that had not begun they would fill a second time.
        session.at(Instant::now());
        Ok(session)
    }

    /// A turn begins.
    pub fn at(&mut self, now: Instant) {
        let since = now - self.limits.since;
        self.clock.set(since);
        let mut limited = false;
        for held in &mut *self.shared {
            held.catch_up();
            limited |= held.rates.any();
        }
        // All connections write here, so only those that need it.
        if limited {
            self.limits.clock.set(since);
        }
    }

    /// May one more frame be carried out?
    pub fn frame(&mut self) -> Result<(), Limited> {
        let met = self.meet_frame();
        self.judge(met)
    }

    /// May a WebSocket message of so many bytes be carried out?
    pub fn bytes(&mut self, bytes: usize) -> Result<(), Limited> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let met = NonZeroU32::new(bytes).map_or(Ok(()), |bytes| self.meet_bytes(bytes));
        self.judge(met)
    }

    fn meet_frame(&self) -> Result<(), Limited> {
        met(Limit::RateMessages, self.connection.frame())?;
        for held in &*self.shared {
            met(held.scope.messages(), held.rates.frame())?;
        }
        met(Limit::TenantQuotaMessages, self.allowance.messages.spend(1))
    }

    fn meet_bytes(&self, bytes: NonZeroU32) -> Result<(), Limited> {
        met(Limit::RateBytes, self.connection.bytes(bytes))?;
        for held in &*self.shared {
            met(held.scope.bytes(), held.rates.bytes(bytes))?;
        }
        met(Limit::TenantQuotaBytes, self.allowance.bytes.spend(bytes.get()))
    }

    fn judge(&mut self, met: Result<(), Limited>) -> Result<(), Limited> {
        match met {
            Ok(()) => Ok(()),
            Err(limited) => self.refuse(limited.limit, limited),
        }
    }

    /// One more subscription, or the limit that is in its way.
    pub fn subscribe(&mut self) -> Result<(), Limit> {
        let dry_run = self.limits.dry_run;
        let mut over = None;
        for held in &mut *self.shared {
            if !held.bucket.subscriptions.take(dry_run) {
                over.get_or_insert(held.scope.subscriptions());
                if !dry_run {
                    break;
                }
            }
            held.subscriptions += 1;
        }
        let Some(limit) = over else { return Ok(()) };
        if !dry_run {
            // Those before the one that is full had room.
            for held in self.shared.iter_mut().take_while(|held| held.scope.subscriptions() != limit) {
                held.subscriptions -= 1;
                held.bucket.subscriptions.give(1);
            }
        }
        self.refuse(limit, limit)
    }

    /// One subscription less.
    pub fn unsubscribe(&mut self) {
        for held in &mut *self.shared {
            held.subscriptions -= 1;
            held.bucket.subscriptions.give(1);
        }
    }

    fn refuse<E>(&mut self, limit: Limit, error: E) -> Result<(), E> {
        let dry_run = self.limits.dry_run;
        self.limits.metrics.limited(limit, dry_run, 1);
        if !std::mem::replace(&mut self.logged, true) {
            tracing::info!(
                limit = limit.name(),
                dry_run,
                "over a limit, for the first time on its connection"
            );
        }
        if dry_run { Ok(()) } else { Err(error) }
    }
}

pub(super) fn met(limit: Limit, result: Result<(), Duration>) -> Result<(), Limited> {
    result.map_err(|retry_after| Limited { limit, retry_after })
}
