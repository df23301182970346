//! A set of message numbers, kept as ranges: numbers that come in order cost nothing, each hole costs one range.

use std::collections::VecDeque;

/// The most ranges of one set: 64 KiB. Beyond it the oldest hole is forgotten, and counted as that.
const RANGES_MAX: usize = 4096;

/// A set of numbers.
#[derive(Debug, Clone, Default)]
pub struct Ranges {
    /// Inclusive, ascending, never touching.
    ranges: VecDeque<(u64, u64)>,
    forgotten: u64,
}

impl Ranges {
    /// Adds a number; false if it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        if let Some(last) = self.ranges.back_mut()
            && last.1.checked_add(1) == Some(number)
        {
            last.1 = number;
            return true;
        }
        // The first range that ends at or behind the number.
        let at = self.ranges.partition_point(|range| range.1 < number);
        if self.ranges.get(at).is_some_and(|range| range.0 <= number) {
            return false;
        }
        let joins_left = at > 0 && self.ranges[at - 1].1.checked_add(1) == Some(number);
        let joins_right = self.ranges.get(at).is_some_and(|range| range.0 == number + 1);
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = number,
            (false, true) => self.ranges[at].0 = number,
            (false, false) => self.ranges.insert(at, (number, number)),
        }
        self.bound();
        true
    }

    fn bound(&mut self) {
        if self.ranges.len() > RANGES_MAX
            && let Some((first, end)) = self.ranges.pop_front()
            && let Some(next) = self.ranges.front_mut()
        {
            self.forgotten += next.0 - end - 1;
            next.0 = first;
        }
    }

    /// Whether the number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < number);
        self.ranges.get(at).is_some_and(|range| range.0 <= number)
    }

    /// The greatest number.
    pub fn last(&self) -> Option<u64> {
        self.ranges.back().map(|range| range.1)
    }

    /// How many numbers, those of forgotten holes left out.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum::<u64>() - self.forgotten
    }

    /// How many numbers were taken for members because there was no room to remember that they are not.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().copied()
    }

    /// How many numbers are in both.
    pub fn in_common(&self, other: &Ranges) -> u64 {
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        let mut common = 0;
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                common += last - first + 1;
            }
            if a.1 < b.1 {
                left.next();
            } else {
                right.next();
            }
        }
        common
    }
}

/// The stretches of `1..=end` that are in none of the sets.
pub fn in_none(end: u64, sets: &[&Ranges]) -> Vec<(u64, u64)> {
    let mut taken: Vec<(u64, u64)> = sets.iter().flat_map(|set| set.iter()).collect();
    taken.sort_unstable();
    let mut free = Vec::new();
    let mut next = 1;
    for (first, last) in taken {
        if first > next && next <= end {
            free.push((next, end.min(first - 1)));
        }
        next = next.max(last.saturating_add(1));
    }
    if next <= end {
        free.push((next, end));
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[u64]) -> Ranges {
        let mut set = Ranges::default();
        for number in numbers {
            set.insert(*number);
        }
        set
    }

    #[test]
    fn numbers_in_any_order_become_few_ranges() {
        let set = of(&[1, 2, 5, 4, 9, 3, 8]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [(1, 5), (8, 9)]);
        assert_eq!((set.count(), set.last()), (7, Some(9)));
        assert!(set.contains(3) && !set.contains(6) && !set.contains(10));
        assert!(!of(&[1, 2, 3]).insert(2));
    }

    #[test]
    fn what_is_in_no_set_is_found() {
        assert_eq!(in_none(10, &[&of(&[1, 2, 5]), &of(&[7, 12])]), [(3, 4), (6, 6), (8, 10)]);
        assert_eq!(in_none(3, &[]), [(1, 3)]);
        assert_eq!(in_none(3, &[&of(&[1, 2, 3, 4])]), []);
        assert_eq!(of(&[1, 2, 3, 7, 8]).in_common(&of(&[2, 3, 4, 8, 9])), 3);
    }

    #[test]
    fn holes_beyond_the_bound_are_forgotten_and_counted() {
        let set = of(&(0..5000).map(|n| n * 3 + 1).collect::<Vec<_>>());
        assert_eq!(set.iter().count(), RANGES_MAX);
        assert_eq!(set.forgotten(), (5000 - RANGES_MAX as u64) * 2);
        assert_eq!(set.count(), 5000);
    }
}
