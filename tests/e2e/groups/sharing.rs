//! Twenty workers on three relays, one of them ten times slower than the others: fifty thousand jobs are each done once,
//! and the slow one is given clearly less.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use relay_loadtest::agent::Agent;
use relay_protocol::client::ReceiptMode;
use relay_protocol::{ClientFrame, ErrorCode, Payload, ServerFrame};
use relay_tests::fleet::{UNLIMITED, address, join};
use relay_tests::{Fleet, turn};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

const WORKERS: u32 = 20;
const JOBS: u32 = 50_000;
/// Each of the others does so many while the slow one does one.
const SLOWER: u32 = 10;
/// Jobs that a worker takes at a time, as many as a worker keeps busy with over a round trip.
const WINDOW: u64 = 32;
/// Jobs of a sender without an outcome.
const DEPTH: usize = 64;
const PATIENCE: Duration = Duration::from_mins(3);
const GROUP: &str = "render";

/// What the workers did.
struct Done {
    /// How often each job.
    jobs: Vec<AtomicU8>,
    /// In all.
    count: AtomicU32,
    /// Told when there is more; whether nothing more comes.
    progress: watch::Sender<bool>,
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a measurement")]
async fn each_job_is_done_once_and_the_slow_worker_is_given_less() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let fleet = Fleet::joined(3, &UNLIMITED).await?;
    let done = Arc::new(Done {
        jobs: (0..JOBS).map(|_| AtomicU8::new(0)).collect(),
        count: AtomicU32::new(0),
        progress: watch::Sender::new(false),
    });
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        let mut agent = fleet.agent(number as usize % 3, &format!("worker-{number}")).await?;
        join(&mut agent, GROUP).await?;
        let done = Arc::clone(&done);
        workers.spawn(async move { (number, work(agent, number == 0, &done).await) });
    }
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for number in 0..3 {
        let agent = fleet.agent(number as usize, &format!("sender-{number}")).await?;
        senders.spawn(give(agent, (0..JOBS).filter(move |job| job % 3 == number).collect()));
    }
    let mut refused = 0;
    while let Some(given) = tokio::time::timeout(PATIENCE, senders.join_next()).await.context("too slow")? {
        refused += given??;
    }
    let took = begun.elapsed();
    done.progress.send_replace(true);
    let mut counts = vec![0; WORKERS as usize];
    while let Some(worked) = tokio::time::timeout(PATIENCE, workers.join_next()).await.context("too slow")? {
        let (number, count) = worked?;
        counts[number as usize] = count?;
    }
    let wrong: Vec<usize> =
        (0..JOBS as usize).filter(|job| done.jobs[*job].load(Ordering::Relaxed) != 1).collect();
    ensure!(wrong.is_empty(), "{} jobs not done once, {:?} among them", wrong.len(), wrong.first());
    let average = (JOBS - counts[0]) / (WORKERS - 1);
    println!("slow: {}, others: {average} on average, {counts:?}; {refused} refused, {took:?}", counts[0]);
    ensure!(counts[0] * 4 < average, "the slow worker did {} jobs, others {average}", counts[0]);
    let metrics = fleet.all_metrics().await?;
    let broken = metrics.broken_identities();
    ensure!(broken.is_empty(), "{broken:?}");
    fleet.cluster.stop().await
}

/// Does jobs until nothing more comes, and says how many.
async fn work(mut agent: Agent, slow: bool, done: &Done) -> anyhow::Result<u32> {
    let mut progress = done.progress.subscribe();
    agent.outbox().push(&ClientFrame::Credit { messages: WINDOW, bytes: u64::from(u32::MAX) });
    agent.flush().await?;
    let (mut waiting, mut count, mut over) = (VecDeque::<usize>::new(), 0_u32, false);
    // Each job has been written when all are given; what answers to a last ping stands behind it.
    let (mut last_ping, mut all_read) = (None, false);
    loop {
        let finished = count;
        while let Some(job) = waiting.front().copied() {
            let may_go_on = !slow || over || done.count.load(Ordering::Relaxed) >= count * SLOWER * WORKERS;
            if !may_go_on {
                break;
            }
            waiting.pop_front();
            count += 1;
            done.jobs[job].fetch_add(1, Ordering::Relaxed);
            done.count.fetch_add(1, Ordering::Relaxed);
        }
        if over && last_ping.is_none() {
            let id = agent.outbox().next_id();
            agent.outbox().push(&ClientFrame::Ping { id });
            agent.flush().await?;
            last_ping = Some(id);
        }
        if all_read && waiting.is_empty() {
            return Ok(count);
        }
        if count > finished {
            let messages = u64::from(count - finished);
            agent.outbox().push(&ClientFrame::Credit { messages, bytes: 0 });
            agent.flush().await?;
            if !slow {
                done.progress.send_modify(|_| {});
            }
        }
        tokio::select! {
            received = agent.receive(|frame, _, _| {
                waiting.extend(job(frame));
                all_read |= matches!(frame, ServerFrame::Pong { id } if Some(*id) == last_ping);
            }) => drop(received?),
            changed = progress.changed(), if slow || !over => {
                changed?;
                over = *progress.borrow_and_update();
            }
        }
    }
}

/// The job that a message is.
fn job(frame: &ServerFrame<'_>) -> Option<usize> {
    match frame {
        ServerFrame::Message(message) => match &message.payload {
            Payload::Json(number) => number.parse().ok(),
            Payload::Bytes(_) => None,
        },
        _ => None,
    }
}

/// Gives jobs to the group until each was taken; says how often it was refused.
async fn give(mut agent: Agent, mut jobs: VecDeque<u32>) -> anyhow::Result<u32> {
    let to = address(&format!("group/{GROUP}"))?;
    let mut under_way = std::collections::HashMap::new();
    let mut refused = 0;
    while !jobs.is_empty() || !under_way.is_empty() {
        while under_way.len() < DEPTH
            && let Some(job) = jobs.pop_front()
        {
            let id = agent.outbox().next_id();
            let payload = Payload::Json(job.to_string().into());
            agent.outbox().send(id, to.clone(), payload, ReceiptMode::All, |_| {});
            under_way.insert(id, job);
        }
        let mut unexpected = None;
        agent
            .receive(|frame, _, _| {
                let ServerFrame::Receipt(receipt) = frame else { return };
                for id in receipt.queued.iter().flat_map(|(first, last)| *first..=*last) {
                    under_way.remove(&id);
                }
                for failed in &receipt.failed {
                    for id in failed.each_id() {
                        refused += 1;
                        jobs.extend(under_way.remove(&id));
                    }
                    if failed.reason != ErrorCode::Saturated {
                        unexpected = Some(failed.reason);
                    }
                }
                if !receipt.unknown.is_empty() {
                    unexpected = Some(ErrorCode::Internal);
                }
            })
            .await?;
        ensure!(unexpected.is_none(), "{unexpected:?}");
    }
    Ok(refused)
}
