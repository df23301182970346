//! How an agent speaks with a server of another protocol: what it would say to a relay is written as that server takes it,
//! and what comes is handed on as a relay would have said it. All else about an agent is the same.

use std::fmt::Debug;

use relay_protocol::{Chunk, ClientFrame, ServerFrame};
use tokio_tungstenite::tungstenite::Message;

use crate::agent::ended::Ended;

/// What one connection speaks.
#[derive(Debug)]
pub struct Dialect {
    /// Says.
    pub writer: Box<dyn Writer>,
    /// Understands.
    pub reader: Box<dyn Reader>,
}

/// Says what an agent has to say.
pub trait Writer: Debug + Send {
    /// Writes what means the same as `frame`, or nothing where nothing does.
    fn write(&mut self, frame: &ClientFrame<'_>, out: &mut Vec<u8>);

    /// What was written, as one WebSocket message; never more at a time than [`Writer::batch_max`].
    fn message(&self, written: &[Chunk]) -> Message;

    /// How many may go into a WebSocket message.
    fn batch_max(&self) -> usize {
        usize::MAX
    }
}

/// Understands what comes.
pub trait Reader: Debug + Send {
    /// Hands on what a WebSocket message holds; what is not for agents is left out. An error ends the connection.
    fn read(&mut self, data: &[u8], each: &mut dyn FnMut(&ServerFrame<'_>)) -> Result<(), Ended>;
}
