//! One simulated agent: a connection that speaks the protocol of `relay-protocol`, cheap enough for thousands in a process.
//!
//! One task owns it. [`Agent::receive`] writes what waits, hands over every frame that can be read, answers heartbeats and
//! flushes once; it can be dropped at any time without losing a frame.

pub mod connect;
pub mod dialect;
pub mod ended;
pub mod outbox;
pub mod socket;

mod line;

use std::time::Duration;

use relay_protocol::client::Qos;
use relay_protocol::server::Limits;
use relay_protocol::{Address, ClientFrame, ServerFrame};

pub use connect::ConnectOptions;
pub use dialect::Dialect;
pub use ended::{ConnectError, Ended};
pub use outbox::Outbox;
pub use socket::Socket;

use crate::agent::line::Line;

/// How long a leaving agent waits for the relay's close.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connected agent.
#[derive(Debug)]
pub struct Agent {
    line: Line,
    greeting: Greeting,
}

/// What the relay said in its `welcome`.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// The agent's address.
    pub agent: Address<'static>,
    /// The session's address.
    pub session: Address<'static>,
    /// Raised at each connect of the session.
    pub generation: u64,
    /// Whether a ticket was honoured.
    pub resumed: bool,
    /// For the next resume.
    pub ticket: Option<String>,
    /// The longest silence to expect.
    pub heartbeat: Duration,
    /// What the agent may do.
    pub limits: Limits,
}

impl Agent {
    /// What the relay said in its `welcome`.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Where frames are queued; [`Agent::receive`] and [`Agent::flush`] write them.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.line.outbox
    }

    /// Waits until something comes and hands each frame to `each` with the time it was read at; returns how many.
    ///
    /// Heartbeats are answered before `each` hears of them.
    pub async fn receive(
        &mut self,
        each: impl FnMut(&ServerFrame<'_>, u64, &mut Outbox),
    ) -> Result<usize, Ended> {
        self.line.receive(each).await
    }

    /// Writes what waits.
    pub async fn flush(&mut self) -> Result<(), Ended> {
        self.line.flush().await
    }

    /// Reads until `pick` finds something in a frame.
    ///
    /// Frames that come with it are handed to `pick` too; the first find counts.
    pub async fn wait_for<T>(&mut self, pick: impl FnMut(&ServerFrame<'_>) -> Option<T>) -> Result<T, Ended> {
        self.line.wait_for(pick).await
    }

    /// Subscribes and waits until no later message can be missed; `each` hears what comes meanwhile.
    pub async fn subscribe(
        &mut self,
        topic: &str,
        mut each: impl FnMut(&ServerFrame<'_>),
    ) -> Result<(), ConnectError> {
        let id = self.outbox().next_id();
        self.outbox().push(&ClientFrame::Subscribe {
            id,
            topic: topic.into(),
            qos: Qos::AtMostOnce,
            rewind: None,
            from: None,
            present: false,
        });
        let answer = self.wait_for(|frame| {
            each(frame);
            match frame {
                ServerFrame::Ok { id: answered } if *answered == id => Some(Ok(())),
                ServerFrame::Error { id: Some(answered), code, .. } if *answered == id => Some(Err(*code)),
                _ => None,
            }
        });
        answer.await?.map_err(|code| ConnectError::Command { command: "subscribe", code })
    }

    /// Says `bye`, or closes where there is no such word, and returns how the relay closed, if it did soon.
    pub async fn leave(mut self) -> Option<Ended> {
        self.line.say_bye();
        let ended = async {
            loop {
                if let Err(ended) = self.receive(|_, _, _| {}).await {
                    return ended;
                }
            }
        };
        tokio::time::timeout(LEAVE_TIMEOUT, ended).await.ok()
    }
}
