//! Of which sends of a connection the last word was said. Ids grow, and what is told of them mostly comes in their order, so
//! that few ranges hold them.

use std::collections::VecDeque;

/// Ranges that are remembered, 16 bytes each. Of what stood in earlier ones the last word may be said twice.
const RANGES_MAX: usize = 1_024;

/// Ids in ranges, inclusive, sorted and apart.
#[derive(Debug, Default)]
pub(super) struct IdRanges(VecDeque<(u64, u64)>);

impl IdRanges {
    /// Adds an id; false if it is there.
    pub(super) fn add(&mut self, id: u64) -> bool {
        let ranges = &mut self.0;
        let next = ranges.partition_point(|(first, _)| *first <= id);
        let is_before = ranges.get(next).is_some_and(|(first, _)| *first == id.saturating_add(1));
        let former = next.checked_sub(1).and_then(|at| ranges.get(at)).map(|(_, last)| *last);
        if former.is_some_and(|last| last >= id) {
            return false;
        }
        let is_behind = former.is_some_and(|last| last.saturating_add(1) == id);
        match (is_behind, is_before) {
            (true, true) => {
                let last = ranges.remove(next).map_or(id, |(_, last)| last);
                ranges[next - 1].1 = last;
            }
            (true, false) => ranges[next - 1].1 = id,
            (false, true) => ranges[next].0 = id,
            (false, false) => {
                ranges.insert(next, (id, id));
                if ranges.len() > RANGES_MAX {
                    ranges.pop_front();
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_added_once_in_whatever_order() {
        let mut told = IdRanges::default();
        for id in [5, 3, 9, 4, 1, 8, 6, 7] {
            assert!(told.add(id), "{id}");
        }
        assert_eq!(told.0, [(1, 1), (3, 9)]);
        for id in [1, 3, 5, 9] {
            assert!(!told.add(id), "{id}");
        }
        assert!(told.add(2));
        assert_eq!(told.0, [(1, 9)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut told = IdRanges::default();
        for id in 0..2 * RANGES_MAX as u64 {
            assert!(told.add(2 * id));
        }
        assert_eq!(told.0.len(), RANGES_MAX);
        assert!(!told.add(2 * RANGES_MAX as u64), "the later half is there");
        assert!(told.add(0), "the earlier is forgotten");
    }
}
