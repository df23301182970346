//! Two tenants on the same relays: pairs of one talk within its quota, while the other sends at many times its own.
//!
//! The relays are started with a quota for every tenant. `--rate` is the quiet tenant's, `--noise` the noisy one's; latency
//! and throughput are those of the quiet tenant, compared with a run in which the noisy one is connected and silent. Not one
//! message of the quiet tenant may be refused.

mod party;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, ensure};
use futures_util::future::BoxFuture;
use rand::seq::SliceRandom as _;
use relay_protocol::Address;
use serde_json::json;
use tokio::sync::Notify;

use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::scenario::noisy_tenant::party::{Noise, Party};
use crate::stamp::Destination;
use crate::trial::conduct::conduct;
use crate::trial::crew::{Crew, Member};
use crate::trial::pace::{Metronome, Schedule};
use crate::trial::performance::Performance;
use crate::trial::{Place, Trial, addresses};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "noisy-tenant",
    about: "pairs of one tenant talk while --noisy agents of another send at 50 times its quota; compares the pairs' latency",
    arguments: "--agents=20 --rate=250 --receipt=all --warm-up=5 --against=--noise=0 --limit=p99<=1.5",
    // The quiet tenant takes half of it, the noisy one 60 times as much, which stays above 50 when the relay closes some for it;
    // each connection stays below its own rate.
    environment: &[("RELAY_TENANT_QUOTA_MESSAGES", "500")],
    floor: None,
    instances: 1,
    divisible: false,
    run,
};

/// The tenants' numbers.
const QUIET: u32 = 0;
const NOISY: u32 = 1;
/// Messages that a noisy agent writes at a time. It does so in a loop, and the generator is not to be what slows the others.
const BURST: u32 = 10;

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let plan = trial.plan();
        let rate = plan.rate.context("noisy-tenant needs --rate")?;
        ensure!(plan.noisy >= 2, "noise needs two --noisy agents");
        let quiet = plan.agents.next_multiple_of(2);
        let book = Arc::new(Noise::default());
        let members = members(trial, quiet, rate, &book)?;
        let wakes: Vec<Arc<Notify>> = members.iter().map(|member| Arc::clone(&member.wake)).collect();
        let crew = Crew::gather(trial, members).await?;
        let metronomes = |window| {
            let (quiet, noisy) = wakes.split_at(quiet as usize);
            let bursts = plan.noise.div_ceil(BURST);
            let loud = (bursts > 0).then(|| Metronome::start(window, bursts, shuffled(noisy)));
            Ok((Metronome::start(window, rate, quiet.to_vec())?, loud.transpose()?))
        };
        let mut performance = conduct(trial, crew, 1, metronomes).await?;
        book.judge(plan, &mut performance)?;
        Ok(performance)
    })
}

/// The senders many times over, in an order that repeats only after a while: were each to send in step with the quota's
/// refills, some would always meet them and some never.
fn shuffled(senders: &[Arc<Notify>]) -> Vec<Arc<Notify>> {
    let mut order: Vec<_> = senders.iter().cycle().take(senders.len() * 64).map(Arc::clone).collect();
    order.shuffle(&mut rand::rng());
    order
}

fn members(
    trial: &Trial<'_>,
    quiet: u32,
    rate: u32,
    noise: &Arc<Noise>,
) -> anyhow::Result<Vec<Member<Party>>> {
    let plan = trial.plan();
    let place = |number: u32| match number.checked_sub(quiet) {
        None => Place { tenant: QUIET, slot: number },
        Some(slot) => Place { tenant: NOISY, slot },
    };
    let identities = trial.identities(quiet + plan.noisy, place)?;
    let everybody: Arc<Vec<Address<'static>>> = addresses(&identities)?;
    let member = |(identity, number)| {
        let Place { tenant, slot } = place(number);
        let is_noisy = tenant == NOISY;
        let correspondent = trial.correspondent(number, Vec::new(), &everybody, !is_noisy);
        let (peer, schedule) = if is_noisy {
            let turn = Schedule::new(slot, plan.noisy, plan.noise.max(1));
            (quiet + (slot + 1) % plan.noisy, (plan.noise > 0).then_some(turn))
        } else {
            (number ^ 1, Some(Schedule::new(number, quiet, rate)))
        };
        let role = Party {
            correspondent: if is_noisy { correspondent.uncounted() } else { correspondent },
            peer: (Destination::Agent(peer), everybody[peer as usize].clone()),
            schedule,
            is_noisy,
            window: None,
            noise: Arc::clone(noise),
        };
        Member { identity, role, topics: Vec::new(), wake: Arc::new(Notify::new()) }
    };
    Ok(identities.into_iter().zip(0..).map(member).collect())
}

impl Noise {
    /// Adds what became of the noise to what the trial showed, and breaches of what the quiet tenant was promised.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    fn judge(&self, plan: &Plan, performance: &mut Performance) -> anyhow::Result<()> {
        let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        if plan.noise > 0 {
            let (offered, carried) = (load(&self.offered), load(&self.carried));
            ensure!(
                performance.tally.failed.contains_key("rate_limited"),
                "nothing was refused, so nothing was shown: set RELAY_TENANT_QUOTA_MESSAGES on the relays"
            );
            let seconds = plan.duration.max(f64::MIN_POSITIVE);
            performance.extra.insert(
                "noise".to_owned(),
                json!({
                    "offered_per_s": offered as f64 / seconds,
                    "carried_per_s": carried as f64 / seconds,
                    "times_what_was_carried": offered as f64 / carried.max(1) as f64,
                    "closed_for_it": load(&self.closed),
                }),
            );
        }
        let refused = load(&self.quiet_refused);
        if refused > 0 {
            performance.broken.insert("refused to the quiet tenant", refused);
        }
        Ok(())
    }
}
