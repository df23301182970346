//! A directory in Redis. Every key expires: what its owners do not keep up is forgotten.
//!
//! ```text
//! r1:d:{tenant}:{agent}  hash of sessions to instance|generation   90 s, kept up every 30 s
//! r1:a:{tenant}          sorted set of agents with entries         90 s, kept up every 30 s
//! r1:leases              hash of instances to their lapse          120 s, kept up every second
//! r1:w:{tenant}          since when somebody holds wildcards       10 s, kept up every 3 s
//! ```
//!
//! What this instance wishes is kept here (`own`, `wildcards`) and carried out again by `upkeep`.

mod entries;
mod index;
mod leases;
mod own;
#[cfg(test)]
mod tests;
mod upkeep;
mod wildcards;

use std::sync::Arc;

use ahash::HashSet;
use fred::interfaces::HashesInterface as _;
use futures_util::future::{BoxFuture, FutureExt as _};

use crate::bus::InstanceId;
use crate::directory::{AgentPage, Directory, DirectoryError, Entry, OwnEntry, is_listed};
use crate::redis::{Commands, Question, Redis};

use leases::Leases;
use own::Own;
use upkeep::Upkeep;
use wildcards::Wildcards;

/// Entries of dead instances deleted by one question.
const DEAD_TOGETHER_MAX: usize = 500;

/// The directory of one instance.
#[derive(Debug)]
pub struct RedisDirectory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    commands: Commands,
    leases: Leases,
    own: Own,
    wildcards: Arc<Wildcards>,
    upkeep: Upkeep,
}

impl RedisDirectory {
    /// The directory of `instance`, which lives from here on, until the token of `redis` ends it. While Redis cannot be
    /// reached it answers that it is away, and tries on.
    pub async fn join(redis: &Redis, instance: &InstanceId) -> Arc<RedisDirectory> {
        let (tracker, token) = (redis.tracker(), redis.token());
        let (wildcards, asked) = Wildcards::new();
        let inner = Arc::new(Inner {
            commands: redis.commands().clone(),
            leases: Leases::new(instance.clone()),
            own: Own::default(),
            wildcards: Arc::new(wildcards),
            upkeep: Upkeep::default(),
        });
        // The lease before any entry: an instance that enters something and dies at once is known to have lived.
        let held = upkeep::first_beat(&inner).await;
        let (beat, refresh) = (upkeep::beat(inner.clone(), held), upkeep::refresh(inner.clone()));
        tracker.spawn(token.clone().run_until_cancelled_owned(beat));
        tracker.spawn(token.clone().run_until_cancelled_owned(refresh));
        let (wildcards, commands) = (inner.wildcards.clone(), inner.commands.clone());
        tracker.spawn(wildcards.ask(instance.clone(), commands, asked, token.clone()));
        Arc::new(RedisDirectory(inner))
    }

    /// How often everything was entered again because Redis may have lost it.
    pub fn restored(&self) -> u64 {
        self.0.upkeep.restored()
    }
}

impl Inner {
    /// Enters a session, and tells what the agent had before.
    async fn enter(&self, question: &Question, own: &OwnEntry) -> Result<Vec<Entry>, DirectoryError> {
        let key = entries::key(&own.tenant, &own.agent);
        let generation = own.generation.to_string();
        let about = own.about.as_ref().map(|about| about.text()).unwrap_or_default();
        let arguments = entries::register_arguments(own, self.leases.own(), &generation, &about);
        let before: Vec<String> =
            entries::REGISTER.run(question, &key, &arguments).await.map_err(|_| DirectoryError)?;
        if before.is_empty() && is_listed(&own.agent) {
            index::enter(question, &own.tenant, &[&own.agent]).await.map_err(|_| DirectoryError)?;
        }
        self.own.is_entered(own);
        if !self.own.wishes(own) {
            // Taken back while it was on its way, which may have been later than the goodbye.
            self.delete(question, own).await?;
        }
        let before = before.chunks_exact(2).filter_map(|field| entries::entry(&field[0], &field[1]));
        Ok(self.living(question, &key, before.collect()).await)
    }

    /// Deletes a session of this instance.
    async fn delete(&self, question: &Question, own: &OwnEntry) -> Result<(), DirectoryError> {
        let value = entries::value(self.leases.own(), own.generation);
        let key = entries::key(&own.tenant, &own.agent);
        let left: Result<u64, _> = entries::UNREGISTER.run(question, &key, &[&own.session, &value]).await;
        if left.map_err(|_| DirectoryError)? == 0 && is_listed(&own.agent) {
            index::leave(question, &own.tenant, &own.agent).await.map_err(|_| DirectoryError)?;
        }
        Ok(())
    }

    /// Every living session of an agent.
    async fn sessions(
        &self,
        question: &Question,
        tenant: &str,
        agent: &str,
    ) -> Result<Vec<Entry>, DirectoryError> {
        let key = entries::key(tenant, agent);
        let told: Vec<(String, String)> =
            question.judge(question.hgetall(key.as_str()).await).map_err(|_| DirectoryError)?;
        Ok(self.living(question, &key, entries::entries(&told)).await)
    }

    /// The entries whose instance lives. Those of the dead are deleted on the way, if they are dead at this moment: one that
    /// just came back has entered its sessions again, and these are to stay.
    async fn living(&self, question: &Question, key: &str, entries: Vec<Entry>) -> Vec<Entry> {
        let (mut living, dead): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| self.leases.alive(&entry.instance));
        if dead.is_empty() {
            return living;
        }
        let instances: HashSet<InstanceId> = dead.iter().map(|entry| entry.instance.clone()).collect();
        let instances: Vec<InstanceId> = instances.into_iter().collect();
        // If this or the next fails the next who looks tries again.
        let Ok(revived) = self.leases.revived(question, &instances).await else { return living };
        let (back, dead): (Vec<_>, Vec<_>) =
            dead.into_iter().partition(|entry| revived.contains(&entry.instance));
        living.extend(back);
        let dead: Vec<[String; 2]> = dead
            .iter()
            .map(|entry| [entry.session.to_string(), entries::value(&entry.instance, entry.generation)])
            .collect();
        for some in dead.chunks(DEAD_TOGETHER_MAX) {
            let arguments: Vec<&str> = some.as_flattened().iter().map(String::as_str).collect();
            entries::UNREGISTER.run::<()>(question, key, &arguments).await.ok();
        }
        living
    }
}

impl Directory for RedisDirectory {
    fn register(&self, own: OwnEntry) -> BoxFuture<'static, Result<Vec<Entry>, DirectoryError>> {
        let inner = self.0.clone();
        inner.own.wish(&own);
        async move {
            let question = inner.commands.begin(0).map_err(|_| DirectoryError)?;
            inner.enter(&question, &own).await
        }
        .boxed()
    }

    fn unregister(&self, own: OwnEntry) -> BoxFuture<'static, Result<(), DirectoryError>> {
        let inner = self.0.clone();
        inner.own.take_back(&own);
        async move {
            let deleted = match inner.commands.begin(0) {
                Ok(question) => inner.delete(&question, &own).await,
                Err(_) => Err(DirectoryError),
            };
            if deleted.is_err() {
                inner.own.owe_goodbye(own);
            }
            deleted
        }
        .boxed()
    }

    fn lookup(&self, tenant: &str, agent: &str) -> BoxFuture<'static, Result<Vec<Entry>, DirectoryError>> {
        let (inner, tenant, agent) = (self.0.clone(), tenant.to_owned(), agent.to_owned());
        async move {
            let question = inner.commands.begin(0).map_err(|_| DirectoryError)?;
            inner.sessions(&question, &tenant, &agent).await
        }
        .boxed()
    }

    fn agents(
        &self,
        tenant: &str,
        after: Option<&str>,
        max: usize,
    ) -> BoxFuture<'static, Result<AgentPage, DirectoryError>> {
        let (inner, tenant, after) = (self.0.clone(), tenant.to_owned(), after.map(str::to_owned));
        async move { index::read(&inner, &tenant, after.as_deref(), max).await }.boxed()
    }

    fn may_have_wildcards(&self, tenant: &str) -> bool {
        self.0.wildcards.may_be_held(tenant)
    }

    fn hold_wildcards(&self, tenant: &str) -> BoxFuture<'static, Result<(), DirectoryError>> {
        let (inner, tenant) = (self.0.clone(), Arc::<str>::from(tenant));
        inner.wildcards.wish(&tenant);
        async move {
            let question = inner.commands.begin(0).map_err(|_| DirectoryError)?;
            let wait = wildcards::hold(&question, &tenant).await.map_err(|_| DirectoryError)?;
            drop(question);
            tokio::time::sleep(wait).await;
            Ok(())
        }
        .boxed()
    }

    fn release_wildcards(&self, tenant: &str) {
        self.0.wildcards.release(tenant);
    }
}
