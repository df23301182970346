//! The loop of one agent: hears what comes, sends what is due, and follows the stage.

use std::sync::Arc;

use relay_protocol::ServerFrame;
use tokio::sync::{Notify, watch};

use crate::agent::{Agent, Ended, Greeting, Outbox};
use crate::checker::Books;
use crate::clock;
use crate::trial::correspondent::Correspondent;
use crate::trial::stage::{Stage, Window};

/// What an agent does in a scenario.
pub trait Role: Send + 'static {
    /// Its accounts.
    fn correspondent(&mut self) -> &mut Correspondent;

    /// Hears what the relay said in its `welcome`.
    fn welcomed(&mut self, _: &Greeting) {}

    /// Hears a frame that was read at `read_ns`.
    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, outbox: &mut Outbox);

    /// Sends what is due at `now_ns`, and says when it wants to be asked again if nothing comes before.
    ///
    /// Asked whenever something came, its [`Notify`] was notified, or that time has come.
    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64>;

    /// Whether it takes from its socket what comes, asked when [`Role::tick`] was. One that does not answers no heartbeat
    /// either.
    fn reads(&self) -> bool {
        true
    }

    /// All it knows, and why its connection ended early if it did.
    fn finish(self, ended: Option<Ended>) -> Books;
}

/// Plays `role` until the stage says to stop or the connection ends.
pub async fn drive<R: Role>(
    mut agent: Agent,
    mut role: R,
    mut stage: watch::Receiver<Stage>,
    wake: Arc<Notify>,
) -> Books {
    role.welcomed(agent.greeting());
    let mut window = None;
    let ended = loop {
        match *stage.borrow_and_update() {
            Stage::Go(times) if window.is_none() => {
                role.correspondent().begin(times);
                window = Some(times);
            }
            Stage::Gather | Stage::Go(_) => {}
            Stage::Stop => break None,
        }
        let ask = window.and_then(|window| role.tick(&window, clock::now_ns(), agent.outbox()));
        let reads = role.reads();
        // Read first: an agent that always has something to read looks at the rest each time around.
        tokio::select! {
            biased;
            received = agent.receive(|frame, read_ns, outbox| role.hear(frame, read_ns, outbox)), if reads => {
                if let Err(ended) = received {
                    break Some(ended);
                }
            }
            () = wake.notified() => {}
            changed = stage.changed() => {
                if changed.is_err() {
                    break None;
                }
            }
            () = until(ask) => {}
        }
    };
    if ended.is_none() {
        agent.leave().await;
    }
    role.finish(ended)
}

async fn until(at_ns: Option<u64>) {
    match at_ns {
        Some(at_ns) => tokio::time::sleep_until(clock::instant(at_ns)).await,
        None => std::future::pending().await,
    }
}
