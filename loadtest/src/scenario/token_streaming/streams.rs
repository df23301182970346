//! The streams of all pairs together.

use hdrhistogram::Histogram;

use crate::clock::SECOND_NS;
use crate::trial::live::empty;

/// From one token to the next: a fast model.
pub(crate) const TOKEN_EVERY_NS: u64 = SECOND_NS / 50;
/// A reader notices when a token comes so long after the one before.
const STALL_NS: u64 = 5 * TOKEN_EVERY_NS;

/// All streams.
#[derive(Debug)]
pub(crate) struct Streams {
    /// Streams whose last token came.
    pub(crate) completed: u64,
    /// Tokens that came.
    pub(crate) tokens: u64,
    /// Tokens that came 100 ms and more after the one before.
    pub(crate) stalls: u64,
    /// From the question to the first token.
    pub(crate) first_token: Histogram<u64>,
}

/// A stream that is under way, as its reader sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub(crate) asked_ns: u64,
    pub(crate) came: u64,
    pub(crate) last_ns: u64,
}

impl Streams {
    pub(crate) fn new() -> anyhow::Result<Streams> {
        Ok(Streams { completed: 0, tokens: 0, stalls: 0, first_token: empty()? })
    }

    /// A token of a stream of so many came; tells whether it was the last.
    pub(crate) fn came(&mut self, open: &mut Open, tokens: u64, read_ns: u64) -> bool {
        if open.came == 0 {
            self.first_token.saturating_record(read_ns.saturating_sub(open.asked_ns));
        } else {
            self.stalls += u64::from(read_ns.saturating_sub(open.last_ns) >= STALL_NS);
        }
        open.came += 1;
        open.last_ns = read_ns;
        self.tokens += 1;
        let last = open.came == tokens;
        self.completed += u64::from(last);
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_a_stall_and_the_end_are_seen() {
        let mut streams = Streams::new().unwrap();
        let mut open = Open { asked_ns: 0, came: 0, last_ns: 0 };
        let times = [3_000_000, 3_000_000 + TOKEN_EVERY_NS, 3_000_000 + TOKEN_EVERY_NS + STALL_NS];
        let ended = times.map(|at_ns| streams.came(&mut open, 3, at_ns));
        assert_eq!(ended, [false, false, true]);
        assert_eq!((streams.completed, streams.tokens, streams.stalls), (1, 3, 1));
        assert!(streams.first_token.max().abs_diff(3_000_000) < 10_000);
    }
}
