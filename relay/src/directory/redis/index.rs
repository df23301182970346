//! Which agents a tenant has: a sorted set of names, `r1:a:{tenant}`, kept up with the entries. It may name an agent whose
//! entries are gone, which is found out when somebody lists; it never lacks one for longer than entries are kept up.

use std::sync::Arc;

use fred::error::Error;
use fred::interfaces::KeysInterface as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::directory::redis::Inner;
use crate::directory::redis::entries::{self, LIFE_S};
use crate::directory::{AgentPage, DirectoryError, Entry, OwnEntry, is_listed};
use crate::redis::{Question, Script};

/// Names entered by one question when all are entered again.
pub(super) const TOGETHER_MAX: usize = 500;
/// Agents of a page that are looked at together.
const UNDER_WAY_MAX: usize = 64;

static ENTER: Script = Script::new(
    r"
    for i = 2, #ARGV do
        redis.call('ZADD', KEYS[1], 0, ARGV[i])
    end
    return redis.call('EXPIRE', KEYS[1], ARGV[1])
    ",
);
static LEAVE: Script = Script::new("return redis.call('ZREM', KEYS[1], ARGV[1])");
static READ: Script =
    Script::new("return redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])");

/// `tenant` need not be one: a name that is none has no agents.
fn key(tenant: &str) -> String {
    format!("r1:a:{tenant}")
}

/// Names agents of a tenant.
pub(super) async fn enter(question: &Question, tenant: &str, agents: &[&str]) -> Result<(), Error> {
    let mut arguments = vec![LIFE_S];
    arguments.extend(agents);
    ENTER.run(question, &key(tenant), &arguments).await
}

/// No longer names an agent that has no entries. One that comes at this moment enters its entry before its name, so either
/// its entry is seen here, or its name is entered after it was taken away.
pub(super) async fn leave(question: &Question, tenant: &str, agent: &str) -> Result<(), Error> {
    LEAVE.run::<()>(question, &key(tenant), &[agent]).await?;
    let entries: u64 = question.exists(entries::key(tenant, agent)).await?;
    if entries > 0 {
        enter(question, tenant, &[agent]).await?;
    }
    Ok(())
}

/// The agents of some entries, by tenant.
pub(super) fn by_tenant(own: &[OwnEntry]) -> Vec<(&str, Vec<&str>)> {
    let listed = own.iter().filter(|own| is_listed(&own.agent));
    let mut names: Vec<(&str, &str)> = listed.map(|own| (&*own.tenant, &*own.agent)).collect();
    names.sort_unstable();
    names.dedup();
    let tenants = names.chunk_by(|(one, _), (other, _)| one == other);
    tenants.map(|names| (names[0].0, names.iter().map(|(_, agent)| *agent).collect())).collect()
}

/// A page of agents that have sessions.
pub(super) async fn read(
    inner: &Inner,
    tenant: &str,
    after: Option<&str>,
    max: usize,
) -> Result<AgentPage, DirectoryError> {
    let question = inner.commands.begin(0).map_err(|_| DirectoryError)?;
    let from = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
    let names: Vec<String> =
        READ.run(&question, &key(tenant), &[&from, &max.to_string()]).await.map_err(|_| DirectoryError)?;
    let next = (names.len() == max).then(|| names.last().map(|name| Arc::from(name.as_str()))).flatten();
    let question = &question;
    let looked = stream::iter(names.into_iter().map(|agent| async move {
        let living = inner.sessions(question, tenant, &agent).await?;
        if living.is_empty() {
            // If this fails the next who looks tries again.
            leave(question, tenant, &agent).await.ok();
        }
        Ok((Arc::from(agent), living))
    }));
    let agents: Vec<(Arc<str>, Vec<Entry>)> = looked.buffered(UNDER_WAY_MAX).try_collect().await?;
    Ok(AgentPage { agents: agents.into_iter().filter(|(_, sessions)| !sessions.is_empty()).collect(), next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::conformance::own;

    #[test]
    fn agents_are_named_once_and_by_tenant() {
        let own = [
            own("b", "x", "x~1", 1),
            own("a", "y", "y~1", 1),
            own("b", "x", "x~2", 1),
            own("b", "w", "w~1", 1),
            own("b", "group/w", "w~1", 1),
        ];
        assert_eq!(by_tenant(&own), [("a", vec!["y"]), ("b", vec!["w", "x"])]);
        assert_eq!(by_tenant(&[]), []);
    }
}
