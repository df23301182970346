//! Reads what another instance wrote, within its bounds.

use bytes::Bytes;

pub(super) struct Cursor<'b> {
    pub(super) batch: &'b Bytes,
    pub(super) at: usize,
    pub(super) end: usize,
}

impl<'b> Cursor<'b> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let to = self.at.checked_add(N).filter(|to| *to <= self.end)?;
        let array = self.batch[self.at..to].try_into().ok();
        self.at = to;
        array
    }
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
    pub(super) fn short(&mut self) -> Option<&'b str> {
        let length = usize::from(self.u8()?);
        let to = self.at.checked_add(length).filter(|to| *to <= self.end)?;
        let text = std::str::from_utf8(&self.batch[self.at..to]).ok()?;
        self.at = to;
        Some(text)
    }
}
