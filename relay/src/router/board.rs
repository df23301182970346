//! The jobs of a group, its messages at `qos` 1, as this instance sees them: which are in the hands of members here, what
//! the store is to be told of them, and when it is to be asked for more.
//!
//! Bound: [`IN_HAND_MAX`] for each member; what is owed to the store is of those.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::directory::Entry;
use crate::entropy::Keys;
use crate::streams::{Found, HOLD, JobFate, RIPE, Settled, StreamKey};

/// Jobs that a member may have in hand: one that never says it is done gets no more.
pub(super) const IN_HAND_MAX: u64 = 1_024;
/// Jobs that the store is told of at a time.
const SETTLE_MAX: usize = 256;
/// How often the store is asked while there are jobs, and how long this instance then counts as living: several answers
/// may be missed.
const LIVELY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// The same while there are none.
const IDLE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));

/// How long this instance counts as living when its first member comes.
pub(super) const FIRST_LIFE: Duration = IDLE.1;

/// The jobs of a group on this instance.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) group: StreamKey,
    state: Mutex<State>,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each holds or not, whatever the others do")]
struct State {
    in_hand: HashMap<u64, Hand, Keys>,
    owed: Vec<Settled>,
    /// Jobs that this instance was told of and has not asked for.
    told_of: usize,
    /// Some waited when the store was last asked.
    waiting: bool,
    /// Some were in hand somewhere.
    lively: bool,
    /// Not before this because of those that wait: they are left to others still, or were not taken.
    rest_until: Instant,
    /// Nothing before this, as the store did not answer.
    away_until: Instant,
    looked_at: Instant,
    /// The store counts this instance among those with members.
    spoken: bool,
    /// Sessions here gave jobs whose end may have to be found.
    watched: bool,
    busy: bool,
    elsewhere: (SmallVec<[Entry; 2]>, Option<Instant>),
}

/// A job in the hand of a member here.
#[derive(Debug)]
struct Hand {
    connection: u64,
    session: Arc<str>,
    epoch: Arc<str>,
    written: bool,
    since: Instant,
}

impl Hand {
    fn settled(self, seq: u64, fate: JobFate) -> Settled {
        Settled { session: self.session, epoch: self.epoch, seq, fate }
    }
}

/// What the store is to be asked next.
#[derive(Debug)]
pub(super) enum Next {
    Settle(Vec<Settled>),
    Leave,
    /// For jobs, of which so many were told of. The time is how long this instance then counts as living.
    Look(usize, Duration),
    /// As nobody here is a member, only for what has had its time.
    Watch,
}

impl Board {
    pub(super) fn new(group: StreamKey) -> Board {
        let now = Instant::now();
        let state = State {
            in_hand: HashMap::default(),
            owed: Vec::new(),
            told_of: 0,
            waiting: false,
            lively: false,
            rest_until: now,
            away_until: now,
            looked_at: now,
            spoken: false,
            watched: false,
            busy: false,
            elsewhere: (SmallVec::new(), None),
        };
        Board { group, state: Mutex::new(state) }
    }

    /// So many jobs are for members here; none means that some wait for whoever has room.
    pub(super) fn tell(&self, jobs: usize) {
        let mut state = self.state.lock();
        state.told_of = state.told_of.saturating_add(jobs);
        state.waiting |= jobs == 0;
    }

    /// Sessions here gave jobs.
    pub(super) fn watch(&self) {
        let mut state = self.state.lock();
        state.watched = true;
        state.lively = true;
    }

    /// The store was told of this instance when its first member came.
    pub(super) fn spoke(&self, found: &Found) {
        let mut state = self.state.lock();
        state.spoken = true;
        state.waiting = found.waiting > 0;
        state.looked_at = Instant::now();
    }

    /// Members elsewhere, if it was found out lately.
    pub(super) fn elsewhere(&self, now: Instant) -> Option<SmallVec<[Entry; 2]>> {
        let state = self.state.lock();
        let (entries, until) = &state.elsewhere;
        until.filter(|until| *until > now).map(|_| entries.clone())
    }

    /// Members elsewhere, as it holds until then.
    pub(super) fn found_elsewhere(&self, entries: &[Entry], until: Instant) {
        self.state.lock().elsewhere = (entries.into(), Some(until));
    }

    /// Whether there may be something to ask that nobody asks. Cheap, as every grant of a member comes here.
    pub(super) fn may_begin(&self) -> bool {
        let state = self.state.lock();
        let now = Instant::now();
        let wants = state.told_of > 0 || (state.waiting && state.rest_until <= now);
        !state.busy
            && state.away_until <= now
            && (wants || !state.owed.is_empty() || !state.spoken || state.is_due())
    }

    /// Takes on the duty to ask, if nobody has it and there is something to ask.
    pub(super) fn begin(&self, has_members: bool, has_room: bool) -> bool {
        let mut state = self.state.lock();
        let begins = !state.busy && state.next_kind(has_members, has_room).is_some();
        state.busy |= begins;
        begins
    }

    /// What the one who asks is to ask next; nothing ends the duty.
    pub(super) fn next(&self, has_members: bool, has_room: bool) -> Option<Next> {
        let mut state = self.state.lock();
        let next = state.next_kind(has_members, has_room);
        match next {
            None => state.busy = false,
            Some(Kind::Settle) => {
                let count = state.owed.len().min(SETTLE_MAX);
                return Some(Next::Settle(state.owed.drain(..count).collect()));
            }
            Some(Kind::Leave) => {
                state.spoken = false;
                return Some(Next::Leave);
            }
            Some(Kind::Look) => {
                let now = Instant::now();
                state.looked_at = now;
                state.spoken = true;
                state.in_hand.retain(|_, hand| now - hand.since < 2 * HOLD);
                let (told_of, lively) = (std::mem::take(&mut state.told_of), state.is_lively());
                // What is taken now is in hand then.
                let life = if lively || told_of > 0 || state.waiting { LIVELY.1 } else { IDLE.1 };
                return Some(Next::Look(told_of, life));
            }
            Some(Kind::Watch) => {
                state.looked_at = Instant::now();
                state.told_of = 0;
                return Some(Next::Watch);
            }
        }
        None
    }

    /// What was asked was not answered: the duty ends, and it is asked again in its turn.
    pub(super) fn give_up(&self, settled: Vec<Settled>) {
        let mut state = self.state.lock();
        state.owed.extend(settled);
        state.waiting = true;
        state.away_until = Instant::now() + LIVELY.0;
        state.busy = false;
    }

    /// What a look for so many jobs found.
    pub(super) fn found(&self, found: &Found, wanted: usize, told_of: usize) {
        let mut state = self.state.lock();
        state.waiting = found.waiting > 0;
        state.lively = found.waiting + found.in_hand > 0;
        state.watched &= state.lively;
        if found.jobs.len() < wanted || wanted < told_of {
            state.rest_until = Instant::now() + RIPE;
        }
    }

    /// A job is about to be put in line for a member.
    pub(super) fn hand(&self, seq: u64, epoch: &Arc<str>, session: &Arc<str>, connection: u64) {
        let (session, epoch, since) = (Arc::clone(session), Arc::clone(epoch), Instant::now());
        let hand = Hand { connection, session, epoch, written: false, since };
        self.state.lock().in_hand.insert(seq, hand);
    }

    /// A job could not be handed to its member.
    pub(super) fn return_unhanded(&self, seq: u64, epoch: &Arc<str>, session: &Arc<str>, fate: JobFate) {
        let (session, epoch) = (Arc::clone(session), Arc::clone(epoch));
        let mut state = self.state.lock();
        state.owed.push(Settled { session, epoch, seq, fate });
        state.rest_until = Instant::now() + RIPE;
    }

    /// A job was written to its member.
    pub(super) fn wrote(&self, seq: u64, connection: u64) {
        let mut state = self.state.lock();
        if let Some(hand) = state.in_hand.get_mut(&seq).filter(|hand| hand.connection == connection) {
            hand.written = true;
        }
    }

    /// A job was not written and will not be.
    pub(super) fn take_back(&self, seq: u64, connection: u64) {
        let mut state = self.state.lock();
        if state.in_hand.get(&seq).is_some_and(|hand| hand.connection == connection)
            && let Some(hand) = state.in_hand.remove(&seq)
        {
            state.owed.push(hand.settled(seq, JobFate::Unwritten));
        }
    }

    /// A member says that it is done with a job; says whether it was written to it.
    pub(super) fn finish(&self, seq: u64, epoch: &str, connection: u64) -> bool {
        let mut state = self.state.lock();
        let is_its = |hand: &Hand| hand.connection == connection && hand.written && *hand.epoch == *epoch;
        if !state.in_hand.get(&seq).is_some_and(is_its) {
            return false;
        }
        if let Some(hand) = state.in_hand.remove(&seq) {
            state.owed.push(hand.settled(seq, JobFate::Done));
        }
        true
    }

    /// A connection is gone, and with it what it had in hand.
    pub(super) fn lose(&self, connection: u64) {
        let mut state = self.state.lock();
        let lost: Vec<_> = state.in_hand.extract_if(|_, hand| hand.connection == connection).collect();
        if !lost.is_empty() {
            // For the other members here at once; those elsewhere find it when they look.
            (state.waiting, state.rest_until) = (true, Instant::now());
        }
        for (seq, hand) in lost {
            let fate = if hand.written { JobFate::Left } else { JobFate::Unwritten };
            state.owed.push(hand.settled(seq, fate));
        }
    }

    /// How many jobs each connection has in hand.
    pub(super) fn hands(&self) -> HashMap<u64, u64, Keys> {
        let mut hands = HashMap::default();
        for hand in self.state.lock().in_hand.values() {
            *hands.entry(hand.connection).or_default() += 1;
        }
        hands
    }

    /// Whether a connection has any in hand.
    pub(super) fn has(&self, connection: u64) -> bool {
        self.state.lock().in_hand.values().any(|hand| hand.connection == connection)
    }

    /// Whether there is nothing to it, where nobody is a member.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        let owes = state.spoken || !state.owed.is_empty() || !state.in_hand.is_empty();
        !(state.busy || owes || state.watched)
    }
}

/// What is to be asked, without what for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Settle,
    Leave,
    Look,
    Watch,
}

impl State {
    fn is_lively(&self) -> bool {
        self.lively || !self.in_hand.is_empty()
    }

    fn is_due(&self) -> bool {
        self.looked_at.elapsed() >= if self.is_lively() { LIVELY.0 } else { IDLE.0 }
    }

    fn next_kind(&self, has_members: bool, has_room: bool) -> Option<Kind> {
        let now = Instant::now();
        if self.away_until > now {
            return None;
        }
        let is_due = self.is_due();
        match () {
            () if !self.owed.is_empty() => Some(Kind::Settle),
            () if has_members || !self.in_hand.is_empty() => {
                let wants = has_room && (self.told_of > 0 || (self.waiting && self.rest_until <= now));
                (wants || is_due || (has_members && !self.spoken)).then_some(Kind::Look)
            }
            () if self.spoken => Some(Kind::Leave),
            () => (self.watched && self.looked_at.elapsed() >= IDLE.0).then_some(Kind::Watch),
        }
    }
}
