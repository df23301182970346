//! What instances say to one another about the work of groups.

use bytes::Bytes;

use crate::router::envelope::{Cursor, HELD, Item, JOBS, LOADS, SETTLED, header, item, short};

/// Ranges in one item.
pub(in crate::router) const RANGES_MAX: usize = 4_096;

/// What became of work that waited here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) struct Settled {
    /// Its number on the link it came by.
    pub(in crate::router) seq: u64,
    pub(in crate::router) fate: Fate,
    /// How much more its member can take.
    pub(in crate::router) room: u32,
}

/// The same in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Fate {
    Queued = 0,
    NotHere = 1,
    Saturated = 2,
    Expired = 3,
    Unknown = 4,
}

/// Appends what became of work.
pub(in crate::router) fn append_settled(batch: &mut Vec<u8>, settled: Settled) {
    item(batch, |batch| {
        header(batch, SETTLED, |h| {
            h.extend_from_slice(&settled.seq.to_be_bytes());
            h.push(settled.fate as u8);
            h.extend_from_slice(&settled.room.to_be_bytes());
        });
    });
}

/// Appends which work waits still.
pub(in crate::router) fn append_held(batch: &mut Vec<u8>, ranges: &[(u64, u64)]) {
    item(batch, |batch| {
        header(batch, HELD, |_| {});
        for (first, last) in ranges {
            batch.extend_from_slice(&first.to_be_bytes());
            batch.extend_from_slice(&last.to_be_bytes());
        }
    });
}

/// Appends what members of groups can take.
pub(in crate::router) fn append_loads<T: AsRef<str>>(batch: &mut Vec<u8>, tenant: &str, loads: &[(T, u32)]) {
    item(batch, |batch| {
        header(batch, LOADS, |h| short(h, tenant));
        for (session, room) in loads {
            short(batch, session.as_ref());
            batch.extend_from_slice(&room.to_be_bytes());
        }
    });
}

/// Appends the news of jobs of a group.
pub(in crate::router) fn append_jobs(batch: &mut Vec<u8>, tenant: &str, group: &str, jobs: u32) {
    item(batch, |batch| {
        header(batch, JOBS, |h| {
            h.extend_from_slice(&jobs.to_be_bytes());
            short(h, tenant);
            short(h, group);
        });
    });
}

pub(super) fn read_settled(h: &mut Cursor<'_>) -> Option<Settled> {
    Some(Settled { seq: h.u64()?, fate: fate_of(h.u8()?), room: h.u32()? })
}

pub(super) fn read_jobs<'b>(h: &mut Cursor<'b>) -> Option<Item<'b>> {
    let jobs = h.u32()?;
    Some(Item::Jobs { tenant: h.short()?, group: h.short()?, jobs })
}

pub(super) fn read_held(body: &Bytes) -> Option<Vec<(u64, u64)>> {
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    body.chunks_exact(16).map(|range| number(&range[..8]).zip(number(&range[8..]))).collect()
}

pub(super) fn read_loads(mut rest: Cursor<'_>) -> Option<Vec<(&str, u32)>> {
    let mut loads = Vec::new();
    while rest.at < rest.end {
        loads.push((rest.short()?, rest.u32()?));
    }
    Some(loads)
}

const fn fate_of(byte: u8) -> Fate {
    match byte {
        0 => Fate::Queued,
        1 => Fate::NotHere,
        2 => Fate::Saturated,
        3 => Fate::Expired,
        _ => Fate::Unknown,
    }
}
