//! What travels between instances. Two releases share the bus for up to an hour at every deploy, so an item has a header
//! of stated length whose unknown end is skipped, and a kind that is not known is counted and passed over.
//!
//! A batch is `version u8, sender (u8 length + text)`, then items of `length u32, kind u8, header length u16, header,
//! body`. Integers are big-endian. The body is frames as clients read them, so that nothing is encoded twice.

mod wake;
mod work;

use bytes::Bytes;
use relay_protocol::client::Lane;
use relay_protocol::{Data, Encoding};

use crate::bus::InstanceId;

mod codes;
mod cursor;

use codes::{encoding, encoding_byte, lane, lane_byte, nack_of};
use cursor::Cursor;
pub(super) use wake::{Latest, Wake, append_wake};
pub(super) use work::{Fate, RANGES_MAX, Settled, append_held, append_jobs, append_loads, append_settled};

const VERSION: u8 = 1;
const DIRECT: u8 = 1;
const ACK: u8 = 2;
const TOPIC: u8 = 3;
const MOVED: u8 = 4;
const DISCONNECT: u8 = 5;
const WAKE: u8 = 6;
const DELIVERED: u8 = 7;
const REPLACED: u8 = 8;
const SETTLED: u8 = 9;
const HELD: u8 = 10;
const LOADS: u8 = 11;
const JOBS: u8 = 12;
const KEPT: u8 = 13;

/// One thing said by another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item<'b> {
    Direct(u64, Direct<&'b str>),
    Ack(Ack),
    Topic(Topic<&'b str>),
    Moved {
        tenant: &'b str,
        agent: &'b str,
    },
    Disconnect {
        tenant: &'b str,
        agent: &'b str,
        session: Option<&'b str>,
    },
    Wake(Wake<&'b str>),
    Delivered(Delivered<&'b str>),
    /// A session has another connection, of this generation.
    Replaced {
        tenant: &'b str,
        session: &'b str,
        generation: u64,
    },
    /// Outcomes are kept for a session.
    Kept {
        tenant: &'b str,
        session: &'b str,
    },
    Settled(Settled),
    Held(Vec<(u64, u64)>),
    Loads {
        tenant: &'b str,
        loads: Vec<(&'b str, u32)>,
    },
    /// So many jobs of a group are for members of the receiver; none: some wait for whoever has room.
    Jobs {
        tenant: &'b str,
        group: &'b str,
        jobs: u32,
    },
}

/// A message at `qos` 1 was presented, or expired before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivered<T> {
    pub(super) tenant: T,
    /// The session that sent it, and which connection of it.
    pub(super) session: T,
    pub(super) generation: u64,
    /// The command.
    pub(super) id: u64,
    pub(super) expired: bool,
    /// Of the message; empty if an earlier release says it.
    pub(super) mid: T,
}

/// A message for an agent or session of the receiving instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Direct<T> {
    pub(super) tenant: T,
    /// An agent's name, or a group's address.
    pub(super) agent: T,
    /// Nothing when the message is for every session of the agent.
    pub(super) session: Option<T>,
    pub(super) lane: Lane,
    /// Of the message; relative, as clocks differ. 0: none.
    pub(super) expires_in_ms: u32,
    /// Where an answer goes, if the message is a request.
    pub(super) reply_to: Option<T>,
    /// Under which only the newest waits, and whose key it is.
    pub(super) key: Option<T>,
    pub(super) encoding: Encoding,
    pub(super) frame: Bytes,
}

/// What became of the messages `from`…`upto` of a link: queued, but for those named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) from: u64,
    pub(super) upto: u64,
    pub(super) failed: Vec<(u64, Nack)>,
}

/// Why a message of a link was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nack {
    Lost = 0,
    NotHere = 1,
    Saturated = 2,
    Expired = 3,
    /// Work that waits: what became of it will be said.
    Held = 4,
}

/// A message for the subscribers of the channel it came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topic<T> {
    pub(super) tenant: T,
    pub(super) name: T,
    pub(super) lane: Lane,
    pub(super) key: Option<T>,
    pub(super) expires_in_ms: u32,
    pub(super) encoding: Encoding,
    pub(super) frame: Bytes,
}

/// Begins a batch of `sender`.
pub(super) fn begin(sender: &InstanceId) -> Vec<u8> {
    let mut batch = Vec::with_capacity(256);
    batch.push(VERSION);
    short(&mut batch, sender.as_str());
    batch
}

/// Appends a message for an agent or session.
pub(super) fn append_direct<T: AsRef<str>>(batch: &mut Vec<u8>, seq: u64, direct: &Direct<T>) {
    item(batch, |batch| {
        header(batch, DIRECT, |h| {
            h.extend_from_slice(&seq.to_be_bytes());
            h.extend_from_slice(&[encoding_byte(direct.encoding), lane_byte(direct.lane)]);
            h.extend_from_slice(&direct.expires_in_ms.to_be_bytes());
            short(h, direct.tenant.as_ref());
            short(h, direct.agent.as_ref());
            short(h, direct.session.as_ref().map_or("", AsRef::as_ref));
            short(h, direct.reply_to.as_ref().map_or("", AsRef::as_ref));
            short(h, direct.key.as_ref().map_or("", AsRef::as_ref));
        });
        batch.extend_from_slice(&direct.frame);
    });
}

/// Appends a message for subscribers.
pub(super) fn append_topic<T: AsRef<str>>(batch: &mut Vec<u8>, topic: &Topic<T>) {
    item(batch, |batch| {
        header(batch, TOPIC, |h| {
            h.extend_from_slice(&[encoding_byte(topic.encoding), lane_byte(topic.lane)]);
            h.extend_from_slice(&topic.expires_in_ms.to_be_bytes());
            short(h, topic.tenant.as_ref());
            short(h, topic.name.as_ref());
            short(h, topic.key.as_ref().map_or("", AsRef::as_ref));
        });
        batch.extend_from_slice(&topic.frame);
    });
}

/// Appends a report.
pub(super) fn append_ack(batch: &mut Vec<u8>, ack: &Ack) {
    item(batch, |batch| {
        header(batch, ACK, |h| {
            h.extend_from_slice(&ack.from.to_be_bytes());
            h.extend_from_slice(&ack.upto.to_be_bytes());
        });
        for (seq, nack) in &ack.failed {
            batch.extend_from_slice(&seq.to_be_bytes());
            batch.push(*nack as u8);
        }
    });
}

/// Appends the news that an agent has sessions on another instance than before: routes to it are out of date.
pub(super) fn append_moved(batch: &mut Vec<u8>, tenant: &str, agent: &str) {
    item(batch, |batch| {
        header(batch, MOVED, |h| {
            short(h, tenant);
            short(h, agent);
        });
    });
}

/// Appends the order to end the connections of an agent, or of one of its sessions.
pub(super) fn append_disconnect(batch: &mut Vec<u8>, tenant: &str, agent: &str, session: Option<&str>) {
    item(batch, |batch| {
        header(batch, DISCONNECT, |h| {
            short(h, tenant);
            short(h, agent);
            short(h, session.unwrap_or_default());
        });
    });
}

/// Appends the news that a message was presented.
pub(super) fn append_delivered<T: AsRef<str>>(batch: &mut Vec<u8>, delivered: &Delivered<T>) {
    item(batch, |batch| {
        header(batch, DELIVERED, |h| {
            h.extend_from_slice(&delivered.generation.to_be_bytes());
            h.extend_from_slice(&delivered.id.to_be_bytes());
            h.push(u8::from(delivered.expired));
            short(h, delivered.tenant.as_ref());
            short(h, delivered.session.as_ref());
            short(h, delivered.mid.as_ref());
        });
    });
}

/// Appends the news that a session has another connection.
pub(super) fn append_replaced(batch: &mut Vec<u8>, tenant: &str, session: &str, generation: u64) {
    item(batch, |batch| {
        header(batch, REPLACED, |h| {
            h.extend_from_slice(&generation.to_be_bytes());
            short(h, tenant);
            short(h, session);
        });
    });
}

/// Appends the news that outcomes are kept for a session.
pub(super) fn append_kept(batch: &mut Vec<u8>, tenant: &str, session: &str) {
    item(batch, |batch| {
        header(batch, KEPT, |h| {
            short(h, tenant);
            short(h, session);
        });
    });
}

fn item(batch: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = batch.len();
    batch.extend_from_slice(&[0; 4]);
    write(batch);
    let length = u32::try_from(batch.len() - start - 4).unwrap_or(u32::MAX);
    batch[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn header(batch: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    batch.push(kind);
    let at = batch.len();
    batch.extend_from_slice(&[0; 2]);
    write(batch);
    let length = u16::try_from(batch.len() - at - 2).unwrap_or(u16::MAX);
    batch[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// Names are at most 152 bytes, a session address 159, a key with its owner 199.
fn short(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(&text.as_bytes()[..text.len().min(usize::from(u8::MAX))]);
}

/// The sender of a batch, and its items; an item that cannot be read is nothing.
pub(super) fn read(batch: &Bytes) -> Option<(InstanceId, impl Iterator<Item = Option<Item<'_>>> + '_)> {
    let mut cursor = Cursor { batch, at: 0, end: batch.len() };
    if cursor.u8()? != VERSION {
        return None;
    }
    let sender = InstanceId::parse(cursor.short()?)?;
    let items = std::iter::from_fn(move || {
        if cursor.at == cursor.end {
            return None;
        }
        let Some(length) =
            cursor.u32().map(|length| length as usize).filter(|length| *length <= cursor.end - cursor.at)
        else {
            cursor.at = cursor.end;
            return Some(None);
        };
        let item = Cursor { batch, at: cursor.at, end: cursor.at + length };
        cursor.at += length;
        Some(read_item(item))
    });
    Some((sender, items))
}

fn read_item(mut cursor: Cursor<'_>) -> Option<Item<'_>> {
    let kind = cursor.u8()?;
    let header_length = usize::from(u16::from_be_bytes(cursor.array()?));
    let body_at = cursor.at.checked_add(header_length).filter(|at| *at <= cursor.end)?;
    let body = cursor.batch.slice(body_at..cursor.end);
    let mut h = Cursor { batch: cursor.batch, at: cursor.at, end: body_at };
    match kind {
        DIRECT => {
            let seq = h.u64()?;
            let (encoding, lane, expires_in_ms) = (encoding(h.u8()?)?, lane(h.u8()?)?, h.u32()?);
            let (tenant, agent) = (h.short()?, h.short()?);
            let (session, reply_to) = (present(h.short()?), present(h.short()?));
            // An earlier release ends its header here.
            let key = h.short().and_then(present);
            let frame = sound(encoding, body)?;
            Some(Item::Direct(
                seq,
                Direct { tenant, agent, session, lane, expires_in_ms, reply_to, key, encoding, frame },
            ))
        }
        TOPIC => {
            let (encoding, lane, expires_in_ms) = (encoding(h.u8()?)?, lane(h.u8()?)?, h.u32()?);
            let (tenant, name) = (h.short()?, h.short()?);
            let key = h.short().and_then(present);
            let frame = sound(encoding, body)?;
            Some(Item::Topic(Topic { tenant, name, lane, key, expires_in_ms, encoding, frame }))
        }
        ACK => {
            let (from, upto) = (h.u64()?, h.u64()?);
            let failed = body.chunks_exact(9).map(|entry| {
                let (seq, nack) = entry.split_at(8);
                Some((u64::from_be_bytes(seq.try_into().ok()?), nack_of(nack[0])))
            });
            Some(Item::Ack(Ack { from, upto, failed: failed.collect::<Option<_>>()? }))
        }
        MOVED => Some(Item::Moved { tenant: h.short()?, agent: h.short()? }),
        DISCONNECT => {
            let (tenant, agent, session) = (h.short()?, h.short()?, present(h.short()?));
            Some(Item::Disconnect { tenant, agent, session })
        }
        SETTLED => Some(Item::Settled(work::read_settled(&mut h)?)),
        HELD => Some(Item::Held(work::read_held(&body)?)),
        LOADS => {
            let rest = Cursor { batch: cursor.batch, at: body_at, end: cursor.end };
            Some(Item::Loads { tenant: h.short()?, loads: work::read_loads(rest)? })
        }
        JOBS => work::read_jobs(&mut h),
        WAKE => {
            let rest = Cursor { batch: cursor.batch, at: body_at, end: cursor.end };
            Some(Item::Wake(wake::read_wake(&mut h, rest)?))
        }
        DELIVERED => {
            let (generation, id, expired) = (h.u64()?, h.u64()?, h.u8()? == 1);
            let (tenant, session) = (h.short()?, h.short()?);
            let mid = h.short().unwrap_or_default();
            Some(Item::Delivered(Delivered { tenant, session, generation, id, expired, mid }))
        }
        REPLACED => read_replaced(&mut h),
        KEPT => Some(Item::Kept { tenant: h.short()?, session: h.short()? }),
        _ => None,
    }
}

fn read_replaced<'b>(h: &mut Cursor<'b>) -> Option<Item<'b>> {
    let generation = h.u64()?;
    Some(Item::Replaced { tenant: h.short()?, session: h.short()?, generation })
}

/// Frames that recipients may be sent as they are: another instance is not trusted to write UTF-8.
fn sound(encoding: Encoding, frames: Bytes) -> Option<Bytes> {
    Data::new(encoding, &frames).is_ok().then_some(frames)
}

/// An empty text stands for none.
fn present(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
