//! What every [`Directory`](crate::directory::Directory) does: each sentence of its documentation, as a check that any
//! directory can be put to. A check panics where a directory does not conform.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a check is a test: it panics where a directory does not conform"
)]

use std::sync::Arc;

use crate::bus::InstanceId;
use crate::bus::conformance::eventually;
use crate::directory::{Entry, OwnEntry, SharedDirectory};

/// The directory of one instance.
pub struct Instance {
    /// Its directory. Nobody else holds it.
    pub directory: SharedDirectory,
    /// Its name.
    pub id: InstanceId,
    /// Ends the instance as a crash does: without a goodbye.
    pub crash: Box<dyn FnOnce(SharedDirectory)>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Instance {
    async fn register(&self, own: OwnEntry) -> Vec<Entry> {
        let mut before = self.directory.register(own).await.unwrap();
        before.sort_by(|a, b| a.session.cmp(&b.session));
        before
    }

    /// What it finds of an agent.
    pub async fn find(&self, tenant: &str, agent: &str) -> Vec<Entry> {
        let mut entries = self.directory.lookup(tenant, agent).await.unwrap();
        entries.sort_by(|a, b| a.session.cmp(&b.session));
        entries
    }

    fn entry(&self, own: &OwnEntry) -> Entry {
        let (session, instance) = (own.session.clone(), self.id.clone());
        Entry { session, instance, generation: own.generation }
    }
}

/// A session of this tenant and agent.
pub fn own(tenant: &str, agent: &str, session: &str, generation: u64) -> OwnEntry {
    let [tenant, agent, session]: [Arc<str>; 3] = [tenant.into(), agent.into(), session.into()];
    OwnEntry { tenant, agent, session, generation }
}

/// Puts a directory to every check. `join` adds an instance.
pub async fn check(join: impl AsyncFn() -> Instance) {
    a_session_is_found_until_it_is_unregistered(&join).await;
    registering_tells_what_was_there(&join).await;
    of_two_that_register_at_once_one_finds_the_other(&join).await;
    a_late_goodbye_removes_nothing(&join).await;
    a_late_register_replaces_nothing(&join).await;
    names_do_not_run_into_one_another(&join).await;
    entries_die_with_their_instance(&join).await;
    agents_are_listed_page_by_page(&join).await;
    an_agent_without_sessions_is_not_listed(&join).await;
    members_of_a_group_are_found_and_it_is_no_agent(&join).await;
    nobody_misses_a_held_wildcard(&join).await;
    a_released_wildcard_is_forgotten(&join).await;
}

async fn a_session_is_found_until_it_is_unregistered(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    let (first, second) = (own("t", "found", "s1", 1), own("t", "found", "s2", 7));
    assert_eq!(a.find("t", "found").await, []);
    a.register(first.clone()).await;
    b.register(second.clone()).await;
    for instance in [&a, &b] {
        assert_eq!(instance.find("t", "found").await, [a.entry(&first), b.entry(&second)]);
    }
    a.directory.unregister(first.clone()).await.unwrap();
    // Twice is once.
    a.directory.unregister(first).await.unwrap();
    for instance in [&a, &b] {
        assert_eq!(instance.find("t", "found").await, [b.entry(&second)]);
    }
}

async fn registering_tells_what_was_there(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    let [first, second, third] = ["s1", "s2", "s3"].map(|session| own("t", "others", session, 1));
    assert_eq!(a.register(first.clone()).await, []);
    assert_eq!(a.register(second.clone()).await, [a.entry(&first)]);
    assert_eq!(b.register(third).await, [a.entry(&first), a.entry(&second)]);
    // A session that moved: where it was is told, although nothing is left there.
    let [before, after] = [1, 2].map(|generation| own("t", "moved", "s1", generation));
    assert_eq!(a.register(before.clone()).await, []);
    assert_eq!(b.register(after.clone()).await, [a.entry(&before)]);
    assert_eq!(a.register(own("t", "moved", "s2", 1)).await, [b.entry(&after)]);
}

async fn of_two_that_register_at_once_one_finds_the_other(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    for round in 0..20 {
        let agent = format!("agent-{round}");
        let (first, second) = (own("t", &agent, "s1", 1), own("t", &agent, "s2", 1));
        let (of_a, of_b) = tokio::join!(a.register(first.clone()), b.register(second.clone()));
        let found = (of_a.as_slice(), of_b.as_slice());
        let (first, second) = (a.entry(&first), b.entry(&second));
        assert!(
            found == (&[], std::slice::from_ref(&first)) || found == (std::slice::from_ref(&second), &[]),
            "{found:?}"
        );
    }
}

async fn a_late_goodbye_removes_nothing(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    let old = own("t", "goodbye", "s", 1);
    a.register(old.clone()).await;
    let again = own("t", "goodbye", "s", 2);
    a.register(again.clone()).await;
    a.directory.unregister(old.clone()).await.unwrap();
    assert_eq!(b.find("t", "goodbye").await, [a.entry(&again)], "another generation");
    b.directory.unregister(again.clone()).await.unwrap();
    assert_eq!(b.find("t", "goodbye").await, [a.entry(&again)], "another instance");
    let other = own("t", "goodbye", "s2", 2);
    a.directory.unregister(other).await.unwrap();
    assert_eq!(b.find("t", "goodbye").await, [a.entry(&again)], "another session");
    let moved = own("t", "goodbye", "s", 3);
    b.register(moved.clone()).await;
    a.directory.unregister(again).await.unwrap();
    assert_eq!(a.find("t", "goodbye").await, [b.entry(&moved)], "it moved");
}

async fn a_late_register_replaces_nothing(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    let newer = own("t", "late", "s", 10);
    a.register(newer.clone()).await;
    assert_eq!(b.register(own("t", "late", "s", 9)).await, [a.entry(&newer)]);
    assert_eq!(b.find("t", "late").await, [a.entry(&newer)]);
}

async fn names_do_not_run_into_one_another(join: &impl AsyncFn() -> Instance) {
    let a = join().await;
    let names = [("t", "x"), ("t", "x.y"), ("t.x", "y"), ("tx", "y"), ("T", "x"), ("é", "x")];
    for (tenant, agent) in names {
        a.register(own(tenant, agent, &format!("s|{tenant}|{agent}"), 1)).await;
    }
    for (tenant, agent) in names {
        let entry = a.entry(&own(tenant, agent, &format!("s|{tenant}|{agent}"), 1));
        assert_eq!(a.find(tenant, agent).await, [entry]);
    }
}

async fn entries_die_with_their_instance(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    let (lives, dies) = (own("t", "death", "s1", 1), own("t", "death", "s2", 1));
    a.register(lives.clone()).await;
    b.register(dies.clone()).await;
    assert_eq!(a.find("t", "death").await, [a.entry(&lives), b.entry(&dies)]);
    // Both are known to live before one dies.
    eventually("an agent without sessions", async || a.find("t", "nobody").await.is_empty()).await;
    (b.crash)(b.directory);
    eventually("the entries of the dead are gone", async || a.find("t", "death").await == [a.entry(&lives)])
        .await;
    let c = join().await;
    assert_eq!(c.register(own("t", "death", "s3", 1)).await, [a.entry(&lives)]);
}

/// Every agent of a tenant, so many names at a time.
async fn list(instance: &Instance, tenant: &str, max: usize) -> Vec<(Arc<str>, Vec<Entry>)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = instance.directory.agents(tenant, after.as_deref(), max).await.unwrap();
        assert!(page.agents.len() <= max);
        all.extend(page.agents);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn agents_are_listed_page_by_page(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    assert_eq!(list(&a, "list", 3).await, []);
    let mut expected = Vec::new();
    for (number, name) in ["B", "a", "a.b", "a-b", "b", "c", "z"].into_iter().enumerate() {
        let on = if number % 2 == 0 { &a } else { &b };
        let own = own("list", name, &format!("{name}~1"), 1);
        on.register(own.clone()).await;
        expected.push((Arc::from(name), vec![on.entry(&own)]));
    }
    a.register(own("lisu", "other", "other~1", 1)).await;
    expected.sort_by(|(a, _): &(Arc<str>, _), (b, _)| a.cmp(b));
    for max in [1, 3, 7, 100] {
        assert_eq!(list(&b, "list", max).await, expected, "{max} at a time");
    }
    let after = b.directory.agents("list", Some("b"), 100).await.unwrap();
    assert_eq!(after.agents, expected[expected.len() - 2..]);
}

async fn an_agent_without_sessions_is_not_listed(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    let (stays, leaves, dies) =
        (own("unlist", "b", "b~1", 1), own("unlist", "a", "a~1", 1), own("unlist", "c", "c~1", 1));
    a.register(stays.clone()).await;
    a.register(leaves.clone()).await;
    b.register(dies).await;
    assert_eq!(list(&a, "unlist", 2).await.len(), 3);
    a.directory.unregister(leaves.clone()).await.unwrap();
    assert_eq!(list(&a, "unlist", 2).await.len(), 2);
    a.register(leaves.clone()).await;
    a.directory.unregister(leaves).await.unwrap();
    (b.crash)(b.directory);
    let left = [(Arc::from("b"), vec![a.entry(&stays)])];
    eventually("the agents of the dead are gone", async || list(&a, "unlist", 2).await == left).await;
}

async fn members_of_a_group_are_found_and_it_is_no_agent(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    let (agent, here) = (own("group", "x", "x~1", 1), own("group", "group/x", "x~1", 1));
    let there = own("group", "group/x", "y~1", 1);
    a.register(agent.clone()).await;
    a.register(here.clone()).await;
    assert_eq!(b.register(there.clone()).await, [a.entry(&here)]);
    for instance in [&a, &b] {
        assert_eq!(instance.find("group", "group/x").await, [a.entry(&here), b.entry(&there)]);
        assert_eq!(list(instance, "group", 10).await, [(Arc::from("x"), vec![a.entry(&agent)])]);
    }
    a.directory.unregister(here).await.unwrap();
    assert_eq!(b.find("group", "group/x").await, [b.entry(&there)]);
    assert_eq!(a.find("group", "x").await, [a.entry(&agent)], "of the same session as an agent");
    (b.crash)(b.directory);
    eventually("the members of the dead are gone", async || a.find("group", "group/x").await.is_empty())
        .await;
}

async fn nobody_misses_a_held_wildcard(join: &impl AsyncFn() -> Instance) {
    let (a, b, c) = (join().await, join().await, join().await);
    let none = async |instance: &Instance| !instance.directory.may_have_wildcards("wild");
    for instance in [&a, &b, &c] {
        eventually("none is known", async || none(instance).await).await;
    }
    b.directory.hold_wildcards("wild").await.unwrap();
    for instance in [&a, &b, &c] {
        assert!(instance.directory.may_have_wildcards("wild"));
    }
    // A second holder, and the first goes.
    c.directory.hold_wildcards("wild").await.unwrap();
    b.directory.release_wildcards("wild");
    for instance in [&a, &b, &c] {
        assert!(instance.directory.may_have_wildcards("wild"));
    }
    eventually("none of another tenant", async || !a.directory.may_have_wildcards("tame")).await;
}

async fn a_released_wildcard_is_forgotten(join: &impl AsyncFn() -> Instance) {
    let (a, b) = (join().await, join().await);
    a.directory.hold_wildcards("released").await.unwrap();
    a.directory.release_wildcards("released");
    for instance in [&a, &b] {
        eventually("none is held", async || !instance.directory.may_have_wildcards("released")).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::memory::MemoryDirectoryHub;

    #[tokio::test]
    async fn memory_conforms() {
        let hub = MemoryDirectoryHub::new();
        check(async || {
            let id = InstanceId::random();
            let directory = hub.join(id.clone());
            Instance { directory, id, crash: Box::new(drop) }
        })
        .await;
    }
}
