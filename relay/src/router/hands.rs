//! Jobs in the hands of members here: taken from the pending list of their group, written, and settled when the member
//! acknowledges. What a member loses goes back to the list, for another one.

use std::sync::Arc;

use relay_protocol::ErrorCode;
use relay_protocol::client::Lane;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::outbound::{Item, Job, Settlement};
use crate::router::Router;
use crate::router::board::{Board, FIRST_LIFE, IN_HAND_MAX, Next};
use crate::router::feed::Entry;
use crate::router::jobs::with_board;
use crate::router::registration::Registration;
use crate::router::tenant::{Member, Tenant};
use crate::router::turn::Turn;
use crate::router::work::better_of_two;
use crate::streams::{Found, JobFate, Look, StreamError, StreamKey, TAKE_MAX, Taken};
use crate::telemetry::outcome::Outcome;

impl Router {
    /// Says at the store that this instance has members of a group.
    pub(super) async fn speak_for(
        self: Arc<Self>,
        tenant: Arc<Tenant>,
        group: Arc<str>,
    ) -> Result<(), StreamError> {
        let key = StreamKey::group(&tenant.name, &group);
        let by = Some((self.instance.clone(), FIRST_LIFE));
        let found = self.streams.look(key, Look { by, told_of: 0, takers: Vec::new() }).await?;
        self.tell_all_senders(&tenant, &found.told);
        let ((), board) = with_board(&tenant, &group, |board| board.spoke(&found));
        self.see_to(&tenant, &board);
        Ok(())
    }

    /// Asks the store what is to be asked about a group, if nobody does.
    pub(super) fn see_to(self: &Arc<Self>, tenant: &Arc<Tenant>, board: &Arc<Board>) {
        if !board.may_begin() {
            return;
        }
        let (has_members, room) = room(tenant, board);
        if !board.begin(has_members, room > 0) {
            return;
        }
        // Kept while it is asked for, as a session keeps it.
        tenant.members.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        let (router, tenant, board) = (Arc::clone(self), Arc::clone(tenant), Arc::clone(board));
        self.tracker.spawn(async move {
            router.ask_for(&tenant, &board).await;
            router.leave_tenant(&tenant);
        });
    }

    async fn ask_for(self: &Arc<Self>, tenant: &Arc<Tenant>, board: &Arc<Board>) {
        let group = &board.group;
        loop {
            let (has_members, room) = room(tenant, board);
            let Some(next) = board.next(has_members, room > 0) else { return };
            match next {
                Next::Settle(settled) => match self.streams.settle(group.clone(), settled.clone()).await {
                    Ok(told) => self.tell_all_senders(tenant, &told),
                    // Told again: of what was heard already nothing is heard twice.
                    Err(_) => return board.give_up(settled),
                },
                Next::Leave => {
                    // One that stays counts as living for a while, and is then found dead.
                    let _ = self.streams.leave(group.clone(), self.instance.clone()).await;
                }
                Next::Look(told_of, life) => {
                    let takers = takers(tenant, board);
                    let wanted = takers.len();
                    let by = Some((self.instance.clone(), life));
                    match self.streams.look(group.clone(), Look { by, told_of, takers }).await {
                        Ok(found) => {
                            board.found(&found, wanted, told_of);
                            self.take_found(tenant, board, found);
                        }
                        Err(_) => return board.give_up(Vec::new()),
                    }
                }
                Next::Watch => {
                    let look = Look { by: None, told_of: 0, takers: Vec::new() };
                    match self.streams.look(group.clone(), look).await {
                        Ok(found) => {
                            board.found(&found, 0, 0);
                            self.take_found(tenant, board, found);
                        }
                        Err(_) => return board.give_up(Vec::new()),
                    }
                }
            }
        }
    }

    /// Puts jobs in line for the members they were taken for.
    fn take_found(self: &Arc<Self>, tenant: &Arc<Tenant>, board: &Arc<Board>, found: Found) {
        let Found { epoch, now_ms, put_back, told, jobs, .. } = found;
        self.tell_all_senders(tenant, &told);
        self.metrics.jobs_put_back.increment(put_back);
        self.metrics.jobs_given.increment(jobs.len() as u64);
        let (now, mut turn) = (Instant::now(), Turn::default());
        for Taken { session, again, message } in jobs {
            let local = tenant.groups.get(&board.group.address);
            let member = local.as_ref().and_then(|local| local.member(&session)).cloned();
            drop(local);
            let (seq, entry) = (message.seq, Entry::new(message, now, now_ms));
            let given = match member {
                Some(member) => self.give_job(tenant, board, &member, &entry, (&epoch, again), &mut turn),
                None => Err(JobFate::Unwritten),
            };
            if let Err(fate) = given {
                board.return_unhanded(seq, &epoch, &session, fate);
            }
        }
        turn.end(&self.metrics);
    }

    fn give_job(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        board: &Arc<Board>,
        member: &Member,
        entry: &Entry,
        (epoch, again): (&Arc<str>, bool),
        turn: &mut Turn,
    ) -> Result<(), JobFate> {
        let (seq, connection, outbound) = (entry.seq, member.connection, &member.outbound);
        let group = &board.group.address;
        let Some(written) = entry.written(outbound.encoding(), group, epoch, again) else {
            // Only somebody else could have written it. It fails when it was given too often.
            return Err(JobFate::Left);
        };
        let mut item = Item::new(written.chunk, Instant::now());
        (item.lane, item.expires_at, item.reply_right) =
            (Lane::Normal, entry.expires_at, written.reply_right);
        let (frames, bytes) = (u64::from(item.chunk.frames), item.chunk.bytes.len());
        let (router, place, jobs) = (Arc::clone(self), Arc::clone(tenant), Arc::clone(board));
        let settlement = Settlement::elsewhere(move |outcome| match outcome {
            Outcome::Queued => jobs.wrote(seq, connection),
            Outcome::Failed { reason: ErrorCode::Expired, .. } => {
                jobs.take_back(seq, connection);
                router.see_to(&place, &jobs);
            }
            // The session has ended, and what it has in hand is given back then.
            _ => {}
        });
        board.hand(seq, epoch, &member.session, connection);
        let job = Job { group: Arc::clone(group), settlement, stored: true };
        if outbound.push_job(item, job).is_err() {
            board.take_back(seq, connection);
            turn.touch(outbound, 0, 0);
            return Ok(());
        }
        turn.touch(outbound, frames, bytes);
        Ok(())
    }

    /// Looks after the jobs of all groups; forgets groups of which nobody here is a member and nothing is owed.
    pub(super) fn see_to_boards(self: &Arc<Self>) {
        for tenant in &self.tenants {
            let tenant = Arc::clone(&tenant);
            let boards: Vec<_> = tenant.boards.iter().map(|board| Arc::clone(&board)).collect();
            for board in boards {
                let group = &board.group.address;
                self.see_to(&tenant, &board);
                tenant
                    .boards
                    .remove_if(group, |group, board| board.is_idle() && !tenant.groups.contains_key(group));
            }
        }
    }
}

/// Whether members of a group are here, and how many more jobs they would take.
fn room(tenant: &Tenant, board: &Board) -> (bool, u64) {
    let rooms = rooms(tenant, board);
    (!rooms.is_empty(), rooms.iter().map(|(_, room)| *room).fold(0, u64::saturating_add))
}

fn rooms(tenant: &Tenant, board: &Board) -> SmallVec<[(Arc<str>, u64); 4]> {
    let Some(local) = tenant.groups.get(&board.group.address) else { return SmallVec::new() };
    let hands = board.hands();
    let room = |member: &Member| {
        let in_hand = hands.get(&member.connection).copied().unwrap_or(0);
        member.outbound.room().min(IN_HAND_MAX.saturating_sub(in_hand))
    };
    local.members.iter().map(|member| (Arc::clone(&member.session), room(member))).collect()
}

/// A member for each job that may be taken: of two drawn at random the one with more room.
fn takers(tenant: &Tenant, board: &Board) -> Vec<Arc<str>> {
    let mut rooms = rooms(tenant, board);
    let mut takers = Vec::new();
    while takers.len() < TAKE_MAX {
        rooms.retain(|(_, room)| *room > 0);
        let drawn = better_of_two(rooms.len(), |at| i64::try_from(rooms[at].1).ok());
        let Some((session, room)) = drawn.and_then(|at| rooms.get_mut(at)) else { break };
        *room -= 1;
        takers.push(Arc::clone(session));
    }
    takers
}

impl Registration {
    /// The client is done with a job of a group.
    pub fn finish_job(&self, group: &str, epoch: &str, seq: u64) {
        let Some(board) = self.tenant.boards.get(group).map(|board| Arc::clone(&board)) else { return };
        if board.finish(seq, epoch, self.connection) {
            self.router.see_to(&self.tenant, &board);
        }
    }

    /// The client can take more.
    pub fn hear_grant(&self) {
        for group in &self.groups {
            if let Some(board) = self.tenant.boards.get(group).map(|board| Arc::clone(&board)) {
                self.router.see_to(&self.tenant, &board);
            }
        }
    }

    /// Remembers that the session has jobs of a group that it leaves.
    pub(super) fn keep_hands(&mut self, group: &Arc<str>) {
        let Some(board) = self.tenant.boards.get(group).map(|board| Arc::clone(&board)) else { return };
        if board.has(self.connection) && !self.left.contains(group) {
            self.left.push(Arc::clone(group));
        }
        self.router.see_to(&self.tenant, &board);
    }

    /// Gives back the jobs that the session has in hand: nothing more is written to it.
    pub(super) fn give_jobs_back(&self) {
        for group in self.groups.iter().chain(&self.left) {
            if let Some(board) = self.tenant.boards.get(group).map(|board| Arc::clone(&board)) {
                board.lose(self.connection);
                self.router.see_to(&self.tenant, &board);
            }
        }
    }
}
