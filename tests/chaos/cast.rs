//! All clients of a world: what they are told, and what is waited for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use relay_tests::eventually;
use relay_tests::history::{History, Judgement, Rest, What};
use relay_tests::seed::Chance;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Board, Client, Identity, Stage};
use crate::world::World;

/// Each has agents of the same names, so that what leaks is seen.
const TENANTS: [&str; 3] = ["north", "south", "west"];
const AGENTS_OF_TENANT: usize = 10;
/// Tokens are older than a clock can jump back.
const TOKEN_AGE_S: u64 = 3_600;
/// How long nothing more may be missing before all counts as settled: what comes twice has come by then.
const QUIET: Duration = Duration::from_millis(500);
/// How long what was accepted may take to be presented when no fault is left; a lost hint is found within 5 s.
const SETTLED_WITHIN: Duration = Duration::from_secs(15);

/// Clients that talk.
pub(crate) struct Cast {
    pub(crate) history: History,
    stage: watch::Sender<Stage>,
    board: Arc<Board>,
    proof: u64,
    clients: JoinSet<anyhow::Result<()>>,
}

impl Cast {
    /// Lets everybody connect and talk.
    pub(crate) fn enter(world: &World, seed: u32, history: History) -> anyhow::Result<Cast> {
        let board = Arc::new(Board::new(TENANTS.len() * AGENTS_OF_TENANT));
        let (stage, told) = watch::channel(Stage::Talk { proof: 0 });
        let (targets, mut clients) = (world.targets()?, JoinSet::new());
        for number in 0..TENANTS.len() * AGENTS_OF_TENANT {
            let (tenant, agent) = (TENANTS[number % TENANTS.len()], number / TENANTS.len());
            let name = |agent: usize| format!("agent-{}", agent % AGENTS_OF_TENANT);
            let mut claims = world.minter.claims(tenant, &name(agent));
            claims.iat -= TOKEN_AGE_S;
            let identity = Identity {
                number,
                tenant: tenant.to_owned(),
                agent: name(agent),
                token: world.minter.sign(&claims)?,
                to: name(agent + 1),
                targets: Arc::clone(&targets),
            };
            let chance = Chance::new(seed, u32::try_from(number)? + 1);
            clients.spawn(Client::new(identity, &history, chance, told.clone(), &board)?.run());
        }
        Ok(Cast { history, stage, board, proof: 0, clients })
    }

    /// Has everybody prove that everything works, from now on; how long that took.
    pub(crate) async fn proves(&mut self, within: Duration) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.proof += 1;
        self.stage.send_replace(Stage::Talk { proof: self.proof });
        let proved = eventually("everything works for everybody", within, async || {
            Ok(self.board.missing(self.proof).is_empty().then_some(()))
        })
        .await;
        proved.with_context(|| {
            let missing = self.board.missing(self.proof);
            let each = missing.iter().map(|(client, at)| {
                let (tenant, agent) = (TENANTS[client % TENANTS.len()], client / TENANTS.len());
                format!("\n  agent-{agent} of {tenant} {at}")
            });
            format!("not for {} clients:{}", missing.len(), each.collect::<String>())
        })?;
        Ok(begun.elapsed())
    }

    /// From here on nothing may be refused; a little of that.
    pub(crate) async fn calm(&mut self, within: Duration) -> anyhow::Result<()> {
        self.history.record(What::Calm);
        self.proves(within).await.map(drop)
    }

    /// Nobody begins a message; waits for those that are on their way, and judges.
    pub(crate) async fn settle(mut self) -> anyhow::Result<Judgement> {
        self.stage.send_replace(Stage::Settle);
        let mut since = Instant::now();
        let settled = eventually("what was accepted is presented", SETTLED_WITHIN, async || {
            if self.history.outstanding() > 0 {
                since = Instant::now();
            }
            Ok((since.elapsed() >= QUIET).then_some(()))
        })
        .await;
        // What is missing is in the judgement, with its story.
        drop(settled);
        let judgement = self.history.judge(Rest::Settled);
        self.stage.send_replace(Stage::Leave);
        while let Some(ended) = self.clients.join_next().await {
            ended??;
        }
        Ok(judgement)
    }
}
