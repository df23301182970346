//! The client wire format of agent-relay, as `protocol/PROTOCOL.md` states it.
//!
//! A session from first to last frame: the client offers subprotocols ([`Encoding`]), sends [`ClientFrame::Hello`] and
//! hears [`ServerFrame::Welcome`]; its [`Send`](ClientFrame::Send)s reach others as [`ServerFrame::Message`] and end in
//! exactly one [outcome](ServerFrame::Receipt); [`ServerFrame::Closing`] goes before the end and its [`CloseCode`] says
//! whether to come back.
//!
//! Pure: no I/O, no clock, no async, no logging. Payloads are opaque, and frames borrow from the bytes they came in.

pub mod address;
pub mod card;
pub mod client;
pub mod close;
pub mod encoding;
pub mod error;
pub mod limit;
pub mod payload;
pub mod server;
pub mod shared;
pub mod text;
pub mod topic;

mod base64_text;
mod batch;
mod chunk_writer;
mod extent;
mod plain;
mod read_client;
mod read_server;
mod refused;
mod strict;
mod wire;
mod write;
mod write_client;
mod write_server;

pub use address::{Address, AddressKind};
pub use batch::{Data, DecodeError, decode_client, decode_server};
pub use chunk_writer::ChunkWriter;
pub use client::{ClientFrame, Send};
pub use close::{CloseCode, Reconnect};
pub use encoding::Encoding;
pub use error::{ErrorCode, FrameError};
pub use payload::Payload;
pub use server::{Message, ServerFrame};
pub use shared::{Chunk, SharedFrame};
pub use text::Text;
