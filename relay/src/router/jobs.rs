//! Messages of groups at `qos` 1: stored in a pending list, and told of to an instance whose member has room, which takes
//! them from there.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::directory::Entry;
use crate::entropy::Keys;
use crate::router::Router;
use crate::router::board::Board;
use crate::router::envelope;
use crate::router::groups::MEMBERS_TTL;
use crate::router::tenant::Tenant;
use crate::router::work::better_of_two;
use crate::streams::{Append, Delivered, Stored, StreamError, StreamKey};

/// A member that may be told of a job.
struct Candidate {
    /// The instance it is on, if that is another one.
    elsewhere: Option<Entry>,
    room: Option<i64>,
}

impl Router {
    /// Stores jobs and tells those who have members of them. Says what became of each.
    pub(super) async fn give_jobs(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        group: &StreamKey,
        jobs: Vec<Append>,
    ) -> Result<Vec<Stored>, StreamError> {
        let given = self.streams.give(group.clone(), jobs).await?;
        self.tell_all_senders(tenant, &given.told);
        let count = given.stored.iter().filter(|stored| matches!(stored, Stored::At(_))).count();
        if count > 0 {
            let ((), board) = with_board(tenant, &group.address, Board::watch);
            let candidates = self.candidates(tenant, &board, &given.instances).await;
            self.tell_members(tenant, &board, count, candidates, &given.instances);
        }
        Ok(given.stored)
    }

    /// The members that may be told of jobs: those on instances that the store knows.
    async fn candidates(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        board: &Board,
        instances: &[InstanceId],
    ) -> Vec<Candidate> {
        let (now, group) = (Instant::now(), &board.group.address);
        let elsewhere = match board.elsewhere(now) {
            Some(known) => known,
            // Without the directory those here are told, and all instances that some wait.
            None => match self.directory.lookup(&tenant.name, group).await {
                Ok(found) => {
                    board.found_elsewhere(&found, now + MEMBERS_TTL);
                    found.into()
                }
                Err(_) => SmallVec::new(),
            },
        };
        let local = tenant.groups.get(group);
        let here = local.iter().flat_map(|local| &local.members).map(|member| Candidate {
            elsewhere: None,
            room: Some(i64::try_from(member.outbound.room()).unwrap_or(i64::MAX)),
        });
        let there = elsewhere
            .into_iter()
            .filter(|entry| entry.instance != self.instance && instances.contains(&entry.instance));
        let there =
            there.map(|entry| Candidate { room: tenant.load(&entry.session), elsewhere: Some(entry) });
        here.chain(there).collect()
    }

    /// Tells of each job the better of two members drawn at random, by its instance; all that some wait, if no room is seen.
    fn tell_members(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        board: &Arc<Board>,
        count: usize,
        mut candidates: Vec<Candidate>,
        instances: &[InstanceId],
    ) {
        let mut told: HashMap<InstanceId, usize, Keys> = HashMap::default();
        for _ in 0..count {
            let drawn = better_of_two(candidates.len(), |at| candidates[at].room);
            let Some(Candidate { elsewhere, room }) = drawn.and_then(|at| candidates.get_mut(at)) else {
                break;
            };
            if room.is_some_and(|room| room <= 0) {
                break;
            }
            *room = room.map(|room| room - 1);
            match elsewhere {
                None => *told.entry(self.instance.clone()).or_default() += 1,
                Some(entry) => {
                    tenant.spend_load(&entry.session);
                    *told.entry(entry.instance.clone()).or_default() += 1;
                }
            }
        }
        if told.values().sum::<usize>() < count {
            for instance in instances {
                told.entry(instance.clone()).or_default();
            }
        }
        for (instance, jobs) in told {
            if instance == self.instance {
                board.tell(jobs);
                self.see_to(tenant, board);
                continue;
            }
            let link = self.link(&instance);
            let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
            let write = |batch: &mut Vec<u8>| {
                envelope::append_jobs(batch, &tenant.name, &board.group.address, jobs);
            };
            // What is not told is found by looking.
            if let Ok(pump) = link.outbox.push(&self.instance, None, None, write) {
                self.pump_link(pump, &link);
            }
        }
    }

    /// Another instance tells of jobs.
    pub(super) fn take_jobs(self: &Arc<Self>, tenant: &str, group: &str, jobs: u32) {
        let Some(tenant) = self.tenants.get(tenant).map(|tenant| Arc::clone(&tenant)) else { return };
        let Some(group) = tenant.groups.get(group).map(|local| Arc::clone(local.key())) else { return };
        let ((), board) = with_board(&tenant, &group, |board| board.tell(jobs as usize));
        self.see_to(&tenant, &board);
    }

    pub(super) fn tell_all_senders(self: &Arc<Self>, tenant: &Tenant, told: &[Delivered]) {
        for told in told {
            self.tell_sender(tenant, told);
        }
    }
}

/// The jobs of a group. Changed under the entry's lock, so that they are not forgotten between being found and being
/// used.
pub(super) fn with_board<T>(
    tenant: &Tenant,
    group: &Arc<str>,
    change: impl FnOnce(&Board) -> T,
) -> (T, Arc<Board>) {
    let new = || Arc::new(Board::new(StreamKey::group(&tenant.name, group)));
    let board = tenant.boards.entry(Arc::clone(group)).or_insert_with(new);
    (change(&board), Arc::clone(&board))
}
