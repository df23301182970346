//! Who was at the end of their strength: a figure is the relay's only as long as the generator had something left.

use serde::Serialize;

use crate::process::cores;
use crate::report::figures::Milliseconds;
use crate::trial::performance::Performance;

/// The generator's own share of a latency from which on the latency is mostly its own.
const LAG_SHARE_MAX: f64 = 0.5;
/// Below this it is the grain of timers, and no rate is limited by it.
const LAG_MS_MIN: f64 = 5.0;
/// Share of the machine's processors that is left when nothing is left: ticks are coarse.
const IDLE_SHARE_MIN: f64 = 0.05;

/// Processors in use while figures counted, and what was the limit.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Headroom {
    /// Processors that the machine has.
    pub cores: f64,
    /// Used by the relays, where they are known.
    pub relay_cores: Option<f64>,
    /// Used by the generator.
    pub generator_cores: f64,
    /// Used by Redis and whatever else runs here.
    pub others_cores: f64,
    /// Used by nobody.
    pub idle_cores: f64,
    /// How late the generator sent, at the 95th of 100 messages.
    pub send_lag_p95_ms: f64,
    /// What would have been in the way of more.
    pub limit: Bottleneck,
}

/// What was in the way of more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// The generator sent late, so latency is largely its own.
    Generator,
    /// All processors were busy: the relays, the generator and what else runs share them.
    Machine,
    /// Neither: what was slow was the relay.
    Relay,
}

impl Headroom {
    /// Of one turn.
    pub fn of(turn: &Performance) -> Headroom {
        let each = |seconds: f64| seconds / turn.duration_s.max(f64::MIN_POSITIVE);
        let (relay, generator, idle) =
            (turn.cpu.relay.map(each), each(turn.cpu.generator), each(turn.cpu.idle));
        let lag = Milliseconds::of(&turn.lag).p95;
        Headroom {
            cores: cores(),
            relay_cores: relay,
            generator_cores: generator,
            others_cores: (cores() - relay.unwrap_or(0.0) - generator - idle).max(0.0),
            idle_cores: idle,
            send_lag_p95_ms: lag,
            limit: limit(lag, Milliseconds::of(&turn.latency).p95, idle / cores()),
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        let Headroom { cores, relay_cores, generator_cores, others_cores, idle_cores, .. } = self;
        let relay = relay_cores.map_or(String::new(), |relay| format!("relay {relay:.2} · "));
        format!(
            "of {cores:.0} cores: {relay}generator {generator_cores:.2} · others {others_cores:.2} · idle {idle_cores:.2}; \
             {}",
            self.limit.words()
        )
    }
}

impl Bottleneck {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Bottleneck::Generator => "the GENERATOR was the limit: it sent late",
            Bottleneck::Machine => "the MACHINE was the limit: no core was idle",
            Bottleneck::Relay => "the generator had headroom",
        }
    }
}

fn limit(lag_ms: f64, latency_ms: f64, idle_share: f64) -> Bottleneck {
    // A generator that finds no core idle sends late too.
    if idle_share < IDLE_SHARE_MIN {
        Bottleneck::Machine
    } else if lag_ms > LAG_MS_MIN && lag_ms > latency_ms * LAG_SHARE_MAX {
        Bottleneck::Generator
    } else {
        Bottleneck::Relay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_blamed_before_the_generator_and_the_generator_before_the_relay() {
        assert_eq!(limit(60.0, 100.0, 0.5), Bottleneck::Generator);
        assert_eq!(limit(60.0, 100.0, 0.0), Bottleneck::Machine);
        assert_eq!(limit(10.0, 100.0, 0.01), Bottleneck::Machine);
        assert_eq!(limit(10.0, 100.0, 0.3), Bottleneck::Relay);
        assert_eq!(limit(0.4, 0.5, 0.3), Bottleneck::Relay);
    }
}
