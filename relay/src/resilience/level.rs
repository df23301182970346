//! How far the relay is from normal, and what does not work meanwhile.

use std::fmt;
use std::sync::Arc;

use relay_protocol::ServerFrame;

/// How one dependency does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As it should.
    Well,
    /// It answers late.
    Slow,
    /// It does not do its part.
    Down,
}

impl Health {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Health::Well => "well",
            Health::Slow => "slow",
            Health::Down => "down",
        }
    }
}

/// How far from normal (requirements, row MS2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// L0: everything works.
    Normal,
    /// L1: a dependency is slow.
    Slow,
    /// L2: a dependency is down.
    Down,
    /// L3: several are.
    SeveralDown,
    /// L4: the instance itself is at its bounds.
    Emergency,
}

impl Level {
    /// 0 to 4.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.number())
    }
}

/// Something the relay leans on.
pub struct Dependency {
    /// Its name.
    pub name: &'static str,
    /// What clients can do less of while it is down, as PROTOCOL.md names it.
    pub reduces: &'static [&'static str],
    /// What happens meanwhile, for operators.
    pub meanwhile: &'static str,
    probe: Box<dyn Fn() -> Health + Send + Sync>,
    warning: Option<Warning>,
}

/// What operators should hear of, and whether they should now.
struct Warning {
    text: &'static str,
    holds: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Dependency {
    /// A dependency whose health `probe` tells, at once and without waiting.
    pub fn new(
        name: &'static str,
        reduces: &'static [&'static str],
        meanwhile: &'static str,
        probe: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Dependency {
        Dependency { name, reduces, meanwhile, probe: Box::new(probe), warning: None }
    }

    /// With something that operators should hear of while `holds`, although it does its part.
    #[must_use]
    pub fn warning(
        mut self,
        text: &'static str,
        holds: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Dependency {
        self.warning = Some(Warning { text, holds: Box::new(holds) });
        self
    }

    /// What operators should hear of now.
    pub fn warns(&self) -> Option<&'static str> {
        self.warning.as_ref().filter(|warning| (warning.holds)()).map(|warning| warning.text)
    }

    /// How it does now.
    pub fn health(&self) -> Health {
        (self.probe)()
    }
}

/// Everything the relay leans on.
#[derive(Debug, Clone, Default)]
pub struct Dependencies(Arc<[Dependency]>);

/// How it all stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How far from normal.
    pub level: Level,
    /// What clients can do less of.
    pub reduced: Vec<&'static str>,
}

impl Standing {
    /// Nothing is amiss.
    pub const NORMAL: Standing = Standing { level: Level::Normal, reduced: Vec::new() };

    /// As clients are told.
    pub fn frame(&self) -> ServerFrame<'static> {
        ServerFrame::Degraded {
            level: u64::from(self.level.number()),
            reduced: self.reduced.iter().map(|what| (*what).into()).collect(),
        }
    }
}

/// The instance itself, as a dependency: down means at its bounds.
pub const SELF: &str = "instance";

/// The processor, as a dependency: down means that sends are refused for it.
pub const PROCESSOR: &str = "processor";

impl Dependencies {
    /// These.
    pub fn new(all: Vec<Dependency>) -> Dependencies {
        Dependencies(all.into())
    }

    /// Each with its health.
    pub fn each(&self) -> impl Iterator<Item = (&Dependency, Health)> {
        self.0.iter().map(|dependency| (dependency, dependency.health()))
    }

    /// How it all stands now.
    pub fn standing(&self) -> Standing {
        let (mut worst, mut down, mut emergency) = (Health::Well, 0_usize, false);
        let mut reduced = Vec::new();
        for (dependency, health) in self.each() {
            worst = worst.max(health);
            if health == Health::Down {
                down += 1;
                emergency |= [SELF, PROCESSOR].contains(&dependency.name);
                reduced.extend(dependency.reduces);
            }
        }
        reduced.sort_unstable();
        reduced.dedup();
        let level = match (emergency, down, worst) {
            (true, ..) => Level::Emergency,
            (false, 2.., _) => Level::SeveralDown,
            (false, 1, _) => Level::Down,
            (false, 0, Health::Well) => Level::Normal,
            (false, 0, _) => Level::Slow,
        };
        Standing { level, reduced }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[test]
    fn each_level_is_entered_and_left() {
        let healths: Arc<[AtomicU8; 4]> = Arc::default();
        let dependency = |name, at: usize, reduces| {
            let healths = Arc::clone(&healths);
            Dependency::new(name, reduces, "", move || match healths[at].load(Ordering::Relaxed) {
                0 => Health::Well,
                1 => Health::Slow,
                _ => Health::Down,
            })
        };
        let all = Dependencies::new(vec![
            dependency("redis", 0, &["other_instances", "topics"]),
            dependency("key_server", 1, &["sign_in"]),
            dependency(SELF, 2, &["connections"]),
            dependency(PROCESSOR, 3, &["sends"]),
        ]);
        let steps: [([u8; 4], Level, &[&str]); 7] = [
            ([0, 0, 0, 0], Level::Normal, &[]),
            ([1, 0, 0, 0], Level::Slow, &[]),
            ([2, 1, 0, 0], Level::Down, &["other_instances", "topics"]),
            ([2, 2, 0, 0], Level::SeveralDown, &["other_instances", "sign_in", "topics"]),
            ([0, 0, 2, 0], Level::Emergency, &["connections"]),
            ([0, 0, 0, 2], Level::Emergency, &["sends"]),
            ([0, 0, 0, 0], Level::Normal, &[]),
        ];
        for (now, level, reduced) in steps {
            healths.iter().zip(now).for_each(|(health, now)| health.store(now, Ordering::Relaxed));
            assert_eq!(all.standing(), Standing { level, reduced: reduced.to_vec() });
            assert_eq!(level.to_string(), format!("L{}", level.number()));
        }
    }
}
