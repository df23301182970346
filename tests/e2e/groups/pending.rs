//! Work at `qos` 1 on three relays while a worker's connection breaks, a worker's relay is killed with jobs in hand, and
//! every connection to Redis is cut: each job that was accepted is done, flagged when somebody may have had it before, and
//! its sender hears one final outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use relay_loadtest::agent::Agent;
use relay_protocol::client::{Position, Qos, ReceiptMode};
use relay_protocol::{ClientFrame, Payload, ServerFrame};
use relay_tests::fleet::{PATIENCE, UNLIMITED, address, join};
use relay_tests::{Fleet, eventually, turn};
use tokio::task::JoinSet;
use tokio::time::Instant;

const GROUP: &str = "render";
/// Before the faults, and after them.
const JOBS: [usize; 2] = [400, 400];
/// Jobs that a worker takes at a time.
const WINDOW: usize = 16;
/// What is not heard of for so long is sent again, under its `mid`: receipts travel as what is at `qos` 0 does.
const SILENCE: Duration = Duration::from_secs(10);

/// What is refused is sent again after this.
const PAUSE: Duration = Duration::from_millis(500);

/// What workers were given: which job, whether it was flagged, whether by one that does it.
type Given = Arc<Mutex<Vec<(String, bool, bool)>>>;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn every_accepted_job_is_done_whatever_happens_to_workers_and_relays() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let mut fleet = Fleet::joined(3, &UNLIMITED).await?;
    let given = Given::default();
    let (mut workers, mut handles) = (JoinSet::new(), Vec::new());
    for (instance, name, works) in
        [(0, "one", true), (1, "two", true), (1, "broken", false), (2, "lost", false)]
    {
        let mut agent = fleet.agent(instance, name).await?;
        join(&mut agent, GROUP).await?;
        handles.push(workers.spawn(work(agent, works, Arc::clone(&given))));
    }
    let mut sender = Sender::new(fleet.agent(0, "sender").await?);
    sender.send(0..JOBS[0]).await?;
    let idle = 2 * WINDOW;
    let in_vain = |given: &Given| given.lock().iter().filter(|(_, _, works)| !works).count();
    sender.until(|sender| sender.accepted() == JOBS[0] && in_vain(&given) == idle).await?;

    let begun = Instant::now();
    handles[2].abort();
    fleet.take(2).kill().await?;
    fleet.redis()?.say("CLIENT KILL TYPE normal").await?;
    fleet.redis()?.say("CLIENT KILL TYPE pubsub").await?;
    sender.send(JOBS[0]..JOBS[0] + JOBS[1]).await?;
    let all = JOBS[0] + JOBS[1];
    sender.until(|sender| sender.delivered() == all).await?;

    let given = given.lock().clone();
    let mut seen = BTreeSet::new();
    let (mut again, mut unflagged) = (0, 0);
    for (job, flagged, _) in &given {
        let repeated = !seen.insert(job.clone());
        again += usize::from(repeated);
        unflagged += usize::from(repeated && !flagged);
    }
    let done: BTreeSet<_> = given.iter().filter(|(_, _, works)| *works).map(|(job, ..)| job).collect();
    println!(
        "{all} jobs: {} done, {again} given again, {} sent again, all delivered {:?} after the faults",
        done.len(),
        sender.resent,
        begun.elapsed()
    );
    ensure!(done.len() == all, "{} were not done", all - done.len());
    ensure!(again >= idle, "{again} of {idle} in hand were given again");
    ensure!(unflagged == 0, "{unflagged} were given again without being flagged");
    ensure!(sender.twice.is_empty(), "two final outcomes: {:?}", sender.twice);
    workers.shutdown().await;
    eventually("the books balance", PATIENCE, async || {
        Ok(fleet.all_metrics().await?.broken_identities().is_empty().then_some(()))
    })
    .await?;
    fleet.cluster.stop().await
}

/// Takes jobs, and does them or keeps them in hand.
async fn work(mut agent: Agent, works: bool, given: Given) -> anyhow::Result<()> {
    agent.outbox().push(&ClientFrame::Credit { messages: WINDOW as u64, bytes: u64::from(u32::MAX) });
    agent.flush().await?;
    loop {
        let mut done = Vec::new();
        agent
            .receive(|frame, _, _| {
                let ServerFrame::Message(message) = frame else { return };
                let (Payload::Json(job), Some(position)) = (&message.payload, &message.position) else {
                    return;
                };
                given.lock().push((job.to_string(), message.redelivered, works));
                let position = Position {
                    stream: position.stream.to_string().into(),
                    epoch: position.epoch.to_string().into(),
                    seq: position.seq,
                };
                done.push(position);
            })
            .await?;
        if works && !done.is_empty() {
            agent.outbox().push(&ClientFrame::Credit { messages: done.len() as u64, bytes: 0 });
            for position in done {
                agent.outbox().push(&ClientFrame::Ack(position));
            }
            agent.flush().await?;
        }
    }
}

struct Sender {
    agent: Agent,
    /// Which job each command gave.
    commands: BTreeMap<u64, usize>,
    jobs: BTreeMap<usize, Fate>,
    /// Commands with two final outcomes.
    twice: Vec<u64>,
    resent: usize,
}

struct Fate {
    accepted: bool,
    delivered: bool,
    sent_at: Instant,
    /// To be sent again.
    refused: bool,
}

impl Sender {
    fn new(agent: Agent) -> Sender {
        let (commands, jobs) = (BTreeMap::new(), BTreeMap::new());
        Sender { agent, commands, jobs, twice: Vec::new(), resent: 0 }
    }

    async fn send(&mut self, jobs: impl Iterator<Item = usize>) -> anyhow::Result<()> {
        let to = address(&format!("group/{GROUP}"))?;
        for job in jobs {
            let id = self.agent.outbox().next_id();
            self.commands.insert(id, job);
            let sent_at = Instant::now();
            let fate = Fate { accepted: false, delivered: false, sent_at, refused: false };
            let fate = self.jobs.entry(job).or_insert(fate);
            (fate.sent_at, fate.refused) = (sent_at, false);
            let payload = Payload::Json(job.to_string().into());
            self.agent.outbox().send(id, to.clone(), payload, ReceiptMode::All, |send| {
                send.qos = Qos::AtLeastOnce;
                send.mid = Some(format!("job-{job}").into());
            });
        }
        Ok(self.agent.flush().await?)
    }

    fn accepted(&self) -> usize {
        self.jobs.values().filter(|fate| fate.accepted).count()
    }

    fn delivered(&self) -> usize {
        self.jobs.values().filter(|fate| fate.delivered).count()
    }

    async fn until(&mut self, holds: impl Fn(&Sender) -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + 3 * PATIENCE;
        while !holds(self) {
            ensure!(
                Instant::now() < until,
                "{} of {} accepted, {} delivered",
                self.accepted(),
                self.jobs.len(),
                self.delivered()
            );
            self.hear().await?;
            let silent = |fate: &Fate| !fate.delivered && fate.sent_at.elapsed() >= SILENCE;
            let refused = |fate: &Fate| fate.refused && fate.sent_at.elapsed() >= PAUSE;
            let again = self.jobs.iter().filter(|(_, fate)| refused(fate) || silent(fate));
            let again: Vec<usize> = again.map(|(job, _)| *job).collect();
            self.resent += again.len();
            self.send(again.into_iter()).await?;
        }
        Ok(())
    }

    /// Hears outcomes for a moment.
    async fn hear(&mut self) -> anyhow::Result<()> {
        let (commands, jobs, twice) = (&self.commands, &mut self.jobs, &mut self.twice);
        let heard = self.agent.receive(|frame, _, _| {
            let ServerFrame::Receipt(receipt) = frame else { return };
            let mut each = |ranges: &[(u64, u64)], change: &mut dyn FnMut(u64, &mut Fate)| {
                for id in ranges.iter().flat_map(|(first, last)| *first..=*last) {
                    if let Some(fate) = commands.get(&id).and_then(|job| jobs.get_mut(job)) {
                        change(id, fate);
                    }
                }
            };
            each(&receipt.accepted, &mut |_, fate| fate.accepted = true);
            each(&receipt.delivered, &mut |id, fate| {
                if std::mem::replace(&mut fate.delivered, true) {
                    twice.push(id);
                }
            });
            each(&receipt.unknown, &mut |_, fate| fate.refused = true);
            let failed: Vec<_> = receipt.failed.iter().map(|failed| failed.ids).collect();
            each(&failed, &mut |_, fate| fate.refused = true);
        });
        match tokio::time::timeout(Duration::from_millis(200), heard).await {
            Ok(heard) => heard.map(drop).context("the sender's connection"),
            Err(_) => Ok(()),
        }
    }
}
