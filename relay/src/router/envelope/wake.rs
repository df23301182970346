//! The hint that a stream has messages, and the messages themselves where they are few: who has all before them need not ask
//! the store.

use bytes::Bytes;

use crate::router::envelope::{Cursor, WAKE, header, item, short};

/// A stream may have messages that its readers have not seen. Who misses some before those that came along looks into the
/// store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::router) struct Wake<T> {
    pub(in crate::router) tenant: T,
    /// The address of its agent or topic.
    pub(in crate::router) stream: T,
    pub(in crate::router) epoch: T,
    pub(in crate::router) head: u64,
    /// The last messages, up to `head` and without a hole; none need come along.
    pub(in crate::router) latest: Vec<Latest>,
}

/// A message that was just stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::router) struct Latest {
    /// The life left to it; relative, as clocks differ. 0: it does not end.
    pub(in crate::router) expires_in_ms: u32,
    /// As it is stored.
    pub(in crate::router) body: Bytes,
}

/// Appends the hint that a stream has messages.
pub(in crate::router) fn append_wake<T: AsRef<str>>(batch: &mut Vec<u8>, wake: &Wake<T>) {
    item(batch, |batch| {
        header(batch, WAKE, |h| {
            h.extend_from_slice(&wake.head.to_be_bytes());
            short(h, wake.tenant.as_ref());
            short(h, wake.stream.as_ref());
            short(h, wake.epoch.as_ref());
        });
        for Latest { expires_in_ms, body } in &wake.latest {
            batch.extend_from_slice(&expires_in_ms.to_be_bytes());
            batch.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
            batch.extend_from_slice(body);
        }
    });
}

/// An earlier release lets no message come along.
pub(super) fn read_wake<'b>(h: &mut Cursor<'b>, mut rest: Cursor<'b>) -> Option<Wake<&'b str>> {
    let head = h.u64()?;
    let (tenant, stream, epoch) = (h.short()?, h.short()?, h.short()?);
    let mut latest = Vec::new();
    while rest.at < rest.end {
        let (expires_in_ms, length) = (rest.u32()?, rest.u32()?);
        let to = rest.at.checked_add(usize::try_from(length).ok()?).filter(|to| *to <= rest.end)?;
        // Copied: it is kept longer than the batch.
        let body = Bytes::copy_from_slice(&rest.batch[rest.at..to]);
        rest.at = to;
        latest.push(Latest { expires_in_ms, body });
    }
    Some(Wake { tenant, stream, epoch, head, latest })
}
