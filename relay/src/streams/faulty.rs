//! A store of streams that fails by seed, around the ones in memory: what holds over it holds over every store that keeps
//! the promises. The same seed makes the same run, where the runtime is single-threaded and its clock is paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{self, FutureExt as _};
use parking_lot::{Mutex, RwLock};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::task::TaskTracker;

use crate::bus::InstanceId;
use crate::streams::memory::MemoryStreams;
use crate::streams::{
    Ack, Answer, Append, Appended, Delivered, Found, Given, JobStore, LateOutcome, Look, Marks, Opened,
    Opening, Range, Settled, SharedStreams, StreamError, StreamKey, StreamSettings, StreamStore,
};

/// How long an answer is waited for, as by [`RedisStreams`](crate::streams::redis::RedisStreams).
const PATIENCE: Duration = Duration::from_secs(1);
/// How much later a question may be carried out that nobody waits for any more.
const LATE_MAX: Duration = Duration::from_millis(1_500);

/// How often what goes wrong, each as a probability from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StreamFaults {
    /// A question is not carried out, and answers so.
    pub refused: f64,
    /// A question has no answer. Of three one is carried out, one is carried out late, and one never.
    pub unanswered: f64,
    /// An answer comes up to [`StreamFaults::slow_max`] late.
    pub slow: f64,
    /// How late, up to [`PATIENCE`].
    pub slow_max: Duration,
    /// Nobody is named who is to hear of what was stored.
    pub hints_lost: f64,
}

impl StreamFaults {
    /// None.
    pub fn none() -> StreamFaults {
        StreamFaults::default()
    }

    /// Everything that a store may do by its promises, often.
    pub fn promised() -> StreamFaults {
        let slow_max = Duration::from_millis(80);
        StreamFaults { refused: 0.03, unanswered: 0.03, slow: 0.3, slow_max, hints_lost: 0.05 }
    }
}

/// What the stores of several instances keep together.
#[derive(Debug)]
pub struct Shelf {
    settings: StreamSettings,
    kept: RwLock<SharedStreams>,
}

impl Shelf {
    /// An empty one.
    pub fn new(settings: StreamSettings) -> Arc<Shelf> {
        Shelf::over(MemoryStreams::new(settings), settings)
    }

    /// One that keeps what `kept` does, until it [forgets](Shelf::forget).
    pub fn over(kept: SharedStreams, settings: StreamSettings) -> Arc<Shelf> {
        Arc::new(Shelf { settings, kept: RwLock::new(kept) })
    }

    /// Forgets everything, as a Redis that is started again without its data.
    pub fn forget(&self) {
        *self.kept.write() = MemoryStreams::new(self.settings);
    }

    fn kept(&self) -> SharedStreams {
        Arc::clone(&self.kept.read())
    }
}

/// The store of one instance, with faults.
#[derive(Debug)]
pub struct FaultyStreams {
    shelf: Arc<Shelf>,
    faults: StreamFaults,
    chance: Mutex<StdRng>,
    calm: AtomicBool,
    away: AtomicBool,
    tracker: TaskTracker,
}

impl FaultyStreams {
    /// A store on `shelf`. What is carried out late is on `tracker`.
    pub fn new(
        shelf: &Arc<Shelf>,
        faults: StreamFaults,
        seed: u64,
        tracker: TaskTracker,
    ) -> Arc<FaultyStreams> {
        let chance = Mutex::new(StdRng::seed_from_u64(seed));
        let (calm, away) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(FaultyStreams { shelf: Arc::clone(shelf), faults, chance, calm, away, tracker })
    }

    /// Makes the store go away, or come back.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
    }

    /// Lets nothing more go wrong.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Release);
        self.set_away(false);
    }

    fn happens(&self, probability: f64) -> bool {
        !self.calm.load(Ordering::Acquire) && self.chance.lock().random_bool(probability)
    }

    fn part_of(&self, most: Duration) -> Duration {
        most.mul_f64(self.chance.lock().random())
    }

    /// Asks the shelf, or not.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn StreamStore) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        if self.away.load(Ordering::Acquire) || self.happens(self.faults.refused) {
            return future::ready(Err(StreamError::Away)).boxed();
        }
        if self.happens(self.faults.unanswered) {
            return self.leave_open(question);
        }
        // Carried out in the order of asking, as on one connection.
        let answer = question(&*self.shelf.kept());
        if !self.happens(self.faults.slow) {
            return answer;
        }
        let late = self.part_of(self.faults.slow_max.min(PATIENCE));
        async move {
            tokio::time::sleep(late).await;
            answer.await
        }
        .boxed()
    }

    /// Does not answer, whatever becomes of the question.
    fn leave_open<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn StreamStore) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let which = self.chance.lock().random_range(0..3);
        match which {
            0 => {}
            1 => drop(self.tracker.spawn(question(&*self.shelf.kept()))),
            _ => {
                let (behind, late) = (Arc::clone(&self.shelf), self.part_of(LATE_MAX));
                self.tracker.spawn(async move {
                    tokio::time::sleep(late).await;
                    let answer = question(&*behind.kept());
                    answer.await
                });
            }
        }
        async {
            tokio::time::sleep(PATIENCE).await;
            Err(StreamError::Unanswered)
        }
        .boxed()
    }
}

impl StreamStore for FaultyStreams {
    fn open(&self, opening: Opening) -> Answer<Opened> {
        self.ask(move |store| store.open(opening))
    }

    fn renew(&self, inbox: StreamKey, sessions: Vec<Arc<str>>) -> Answer<Option<Marks>> {
        self.ask(move |store| store.renew(inbox, sessions))
    }

    fn close(&self, inbox: StreamKey, session: Arc<str>, generation: u64) -> Answer<()> {
        self.ask(move |store| store.close(inbox, session, generation))
    }

    fn append(&self, stream: StreamKey, messages: Vec<Append>) -> Answer<Appended> {
        let is_lost = self.happens(self.faults.hints_lost);
        let appended = self.ask(move |store| store.append(stream, messages));
        if !is_lost {
            return appended;
        }
        appended.map(|appended| appended.map(|done| Appended { readers: Vec::new(), ..done })).boxed()
    }

    fn read(&self, stream: StreamKey, after: u64, bytes_max: usize) -> Answer<Option<Range>> {
        self.ask(move |store| store.read(stream, after, bytes_max))
    }

    fn acknowledge(&self, inbox: StreamKey, ack: Ack) -> Answer<Option<Vec<Delivered>>> {
        self.ask(move |store| store.acknowledge(inbox, ack))
    }

    fn expire_unread(&self, tenant: Arc<str>) -> Answer<Vec<Delivered>> {
        self.ask(move |store| store.expire_unread(tenant))
    }

    fn keep(
        &self,
        inbox: StreamKey,
        session: Arc<str>,
        outcomes: Vec<LateOutcome>,
    ) -> Answer<Option<InstanceId>> {
        self.ask(move |store| store.keep(inbox, session, outcomes))
    }

    fn kept(&self, inbox: StreamKey, session: Arc<str>) -> Answer<Vec<LateOutcome>> {
        self.ask(move |store| store.kept(inbox, session))
    }

    fn marks(&self, topic: StreamKey) -> Answer<Marks> {
        self.ask(move |store| store.marks(topic))
    }

    fn before(&self, topic: StreamKey, unix_ms: u64) -> Answer<u64> {
        self.ask(move |store| store.before(topic, unix_ms))
    }
}

impl JobStore for FaultyStreams {
    fn give(&self, group: StreamKey, jobs: Vec<Append>) -> Answer<Given> {
        self.ask(move |store| store.give(group, jobs))
    }

    fn look(&self, group: StreamKey, look: Look) -> Answer<Found> {
        self.ask(move |store| store.look(group, look))
    }

    fn settle(&self, group: StreamKey, settled: Vec<Settled>) -> Answer<Vec<Delivered>> {
        self.ask(move |store| store.settle(group, settled))
    }

    fn leave(&self, group: StreamKey, instance: InstanceId) -> Answer<()> {
        self.ask(move |store| store.leave(group, instance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Stored;
    use crate::streams::conformance;

    fn store(faults: StreamFaults, seed: u64) -> Arc<FaultyStreams> {
        FaultyStreams::new(&Shelf::new(conformance::SETTINGS), faults, seed, TaskTracker::new())
    }

    fn topic() -> StreamKey {
        StreamKey::topic(&"acme".into(), "news")
    }

    #[tokio::test(start_paused = true)]
    async fn without_faults_it_conforms() {
        let store = store(StreamFaults::none(), 1);
        conformance::check(async || Arc::clone(&store) as Arc<dyn StreamStore>).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_seed_decides_what_goes_wrong() {
        let run = async |seed| {
            let store = store(StreamFaults::promised(), seed);
            let mut answers = Vec::new();
            for mid in 0..200 {
                let message = conformance::message(&mid.to_string(), "x");
                answers.push(store.append(topic(), vec![message]).await.map(|appended| appended.stored));
            }
            answers
        };
        let answers = run(7).await;
        assert_eq!(answers, run(7).await);
        assert_ne!(answers, run(8).await);
        for error in [StreamError::Away, StreamError::Unanswered] {
            assert!(answers.contains(&Err(error)), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_forgets_gives_numbers_again_in_another_epoch() {
        let shelf = Shelf::new(conformance::SETTINGS);
        let store = FaultyStreams::new(&shelf, StreamFaults::none(), 1, TaskTracker::new());
        let append = async || {
            let message = conformance::message("1", "x");
            let appended = store.append(topic(), vec![message]).await.unwrap();
            (appended.stored, appended.marks.unwrap().epoch)
        };
        let before = append().await;
        shelf.forget();
        let after = append().await;
        assert_eq!((before.0, after.0), (vec![Stored::At(1)], vec![Stored::At(1)]));
        assert_ne!(before.1, after.1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_stream_learns_that_a_life_of_it_was_forgotten() {
        let shelf = Shelf::new(conformance::SETTINGS);
        let store = FaultyStreams::new(&shelf, StreamFaults::none(), 1, TaskTracker::new());
        let unmade = store.marks(topic()).await.unwrap();
        assert!(unmade.is_unmade());
        store.append(topic(), vec![conformance::message("1", "x")]).await.unwrap();
        assert_eq!(store.marks(topic()).await.unwrap().translate(&unmade.epoch, 0), Some(0));
        shelf.forget();
        store.append(topic(), vec![conformance::message("2", "x")]).await.unwrap();
        assert_eq!(store.marks(topic()).await.unwrap().translate(&unmade.epoch, 0), None);
    }
}
