//! Which rate is tried next. Pure.

/// The search ends when the lowest rate that missed is within this factor of the highest that met.
const FINE: f64 = 1.06;
/// No more rates than this are tried, whatever happens: a machine that wavers would never end.
const RATES_MAX: u32 = 24;
/// Below this nothing is worth trying.
const RATE_MIN: u32 = 10;
/// No machine this runs on is beyond that.
const RATE_MAX: u32 = 50_000_000;

/// Rates that met and that missed.
#[derive(Debug, Clone, Copy)]
pub struct Ladder {
    start: u32,
    met: Option<u32>,
    missed: Option<u32>,
    tried: u32,
}

impl Ladder {
    /// Begins at `start`.
    pub fn new(start: u32) -> Ladder {
        Ladder { start: start.max(RATE_MIN), met: None, missed: None, tried: 0 }
    }

    /// The next rate, or nothing when it is found.
    pub fn next_rate(&self) -> Option<u32> {
        if self.tried >= RATES_MAX {
            return None;
        }
        match (self.met, self.missed) {
            (None, None) => Some(self.start),
            (Some(met), None) => met.checked_mul(2).filter(|rate| *rate <= RATE_MAX),
            (None, Some(missed)) => Some(missed / 2).filter(|rate| *rate >= RATE_MIN),
            (Some(met), Some(missed)) => {
                let fine = f64::from(missed) <= f64::from(met) * FINE;
                Some(met.midpoint(missed)).filter(|rate| !fine && *rate > met)
            }
        }
    }

    /// A rate was tried.
    pub fn tried(&mut self, rate: u32, met: bool) {
        self.tried += 1;
        if met {
            self.met = self.met.max(Some(rate));
        } else {
            self.missed = Some(self.missed.map_or(rate, |missed| missed.min(rate)));
        }
    }

    /// The highest rate that met.
    pub fn highest(&self) -> Option<u32> {
        self.met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn climb(start: u32, capacity: u32) -> (Option<u32>, u32) {
        let mut ladder = Ladder::new(start);
        while let Some(rate) = ladder.next_rate() {
            ladder.tried(rate, rate <= capacity);
        }
        (ladder.highest(), ladder.tried)
    }

    #[test]
    fn the_edge_is_found_from_below_and_from_above() {
        for start in [1_000, 64_000] {
            let (found, tried) = climb(start, 23_456);
            let found = f64::from(found.unwrap());
            assert!((23_456.0 / 1.06..=23_456.0).contains(&found), "{found}");
            assert!(tried <= 12, "{tried}");
        }
    }

    #[test]
    fn it_ends_where_nothing_meets_and_where_everything_does() {
        assert_eq!(climb(1_000, 0).0, None);
        assert!(climb(1_000, u32::MAX).0 > Some(10_000_000));
    }
}
