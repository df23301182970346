//! What a ratio to a baseline may be: `p99<=1.5`.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::Serialize;

/// A figure of a run that is compared with a baseline's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Half of the messages take less, in milliseconds.
    P50,
    /// 95 of 100 take less, in milliseconds.
    P95,
    /// 99 of 100 take less, in milliseconds.
    P99,
    /// Arrivals a second.
    Throughput,
    /// Microseconds of the relays' CPU time for each arrival.
    Cpu,
    /// KiB resident for each connection, where a scenario is about that and the two are of different processes.
    Memory,
}

/// A bound of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Whose ratio.
    pub figure: Figure,
    /// Whether the ratio may be below the bound, or above.
    pub below: bool,
    /// The bound itself, which is allowed too.
    pub bound: f64,
}

impl Figure {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Figure::P50 => "p50",
            Figure::P95 => "p95",
            Figure::P99 => "p99",
            Figure::Throughput => "throughput",
            Figure::Cpu => "cpu",
            Figure::Memory => "memory",
        }
    }

    /// What it is measured in.
    pub fn unit(self) -> &'static str {
        match self {
            Figure::P50 | Figure::P95 | Figure::P99 => "ms",
            Figure::Throughput => "/s",
            Figure::Cpu => "µs",
            Figure::Memory => "KiB",
        }
    }
}

impl Limit {
    /// Whether a ratio keeps it.
    pub fn is_kept(self, ratio: f64) -> bool {
        if self.below { ratio <= self.bound } else { ratio >= self.bound }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (below, parts) = match (text.split_once("<="), text.split_once(">=")) {
            (Some(parts), None) => (true, parts),
            (None, Some(parts)) => (false, parts),
            _ => return Err("not of the form p99<=1.5".to_owned()),
        };
        let figure = Figure::from_str(parts.0.trim(), false)?;
        match parts.1.trim().parse() {
            Ok(bound) if (0.0..1e9).contains(&bound) => Ok(Limit { figure, below, bound }),
            _ => Err(format!("{} is no bound", parts.1)),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.below { "<=" } else { ">=" };
        write!(f, "{}{sign}{}", self.figure.name(), self.bound)
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_kept() {
        let limit: Limit = "p99<=1.5".parse().unwrap();
        assert_eq!(
            (limit.is_kept(1.5), limit.is_kept(1.51), limit.to_string()),
            (true, false, "p99<=1.5".to_owned())
        );
        let limit: Limit = "throughput>=0.9".parse().unwrap();
        assert_eq!((limit.is_kept(0.9), limit.is_kept(0.89)), (true, false));
        for bad in ["p99", "p99<1", "p98<=1", "p99<=NaN", "p99<=x", "p99<=-1"] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }
}
