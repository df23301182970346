//! What happens in a run, by its seed.

use std::time::Duration;

use relay::bus::faulty::Faults;
use relay::streams::faulty::StreamFaults;
use relay_tests::seed::Chance;

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// While things still go wrong.
    Safety,
    /// When everything works again and nothing is left to be done.
    Liveness,
}

impl Mode {
    /// Both.
    pub const ALL: [Mode; 2] = [Mode::Safety, Mode::Liveness];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Safety => "safety",
            Mode::Liveness => "liveness",
        }
    }
}

/// A part that breaks its promise with one message, which the checker has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spoil {
    /// It is not there.
    Drop,
    /// The next one of its sender goes before it.
    Swap,
    /// It is there twice.
    Duplicate,
    /// It is in another tenant too.
    Leak,
}

impl Spoil {
    /// All.
    pub const ALL: [Spoil; 4] = [Spoil::Drop, Spoil::Swap, Spoil::Duplicate, Spoil::Leak];
}

/// Which way a message takes over the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// To one instance, numbered, and reported by it.
    Link,
    /// To all that listen.
    Topic,
}

/// A run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Everything random follows from it.
    pub seed: u32,
    /// How it ends.
    pub mode: Mode,
    /// How long things go wrong.
    pub disturbed: Duration,
    /// Whether clients leave, instances end, and parts fail.
    pub faults: bool,
    /// The store breaks its promise with the message of that number.
    pub spoiled_store: Option<(Spoil, u64)>,
    /// The bus does, with the message of that number that takes this way.
    pub spoiled_bus: Option<(Spoil, Way, u64)>,
    /// Each event is printed.
    pub aloud: bool,
}

impl Plan {
    /// The run of that seed.
    pub fn new(seed: u32, mode: Mode) -> Plan {
        Plan {
            seed,
            mode,
            disturbed: Duration::from_secs(3),
            faults: true,
            spoiled_store: None,
            spoiled_bus: None,
            aloud: false,
        }
    }

    /// Whatever follows from the seed for one purpose.
    pub(crate) fn chance(&self, purpose: u32) -> Chance {
        Chance::new(self.seed, purpose)
    }
}

/// What may go wrong in a run, and how tight it is.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each kind of trouble comes or does not, by itself")]
pub(crate) struct Weather {
    pub(crate) bus: Faults,
    pub(crate) streams: StreamFaults,
    /// Instances end without a word.
    pub(crate) crashes: bool,
    /// Instances take their leave.
    pub(crate) drains: bool,
    /// The bus or the store goes away for a while.
    pub(crate) outages: bool,
    /// The store forgets everything.
    pub(crate) forgets: bool,
    /// How many messages a stream holds.
    pub(crate) stream_messages: u32,
    /// How long a session outlives its connection.
    pub(crate) grace: Duration,
}

impl Weather {
    /// The weather of a run: each kind of trouble comes in some and not in others, so that none hides another.
    pub(crate) fn of(plan: &Plan) -> Weather {
        let mut chance = plan.chance(1);
        let mut often = |percent| plan.faults && chance.below(100) < percent;
        let bus = if often(70) { Faults::promised() } else { Faults::none() };
        let streams = match often(70) {
            true => StreamFaults::promised(),
            // Slow, so that several messages are stored together.
            false if plan.spoiled_store.is_some() => {
                StreamFaults { slow: 1.0, slow_max: Duration::from_millis(80), ..StreamFaults::none() }
            }
            false => StreamFaults::none(),
        };
        let (crashes, drains, outages, forgets) = (often(60), often(50), often(60), often(25));
        let (tight, short) = (often(20), often(20));
        let stream_messages = if tight { 40 } else { 10_000 };
        // What a session has not acknowledged that never comes back is in the way as long.
        let grace = Duration::from_secs(if tight || short { 4 } else { 120 });
        Weather { bus, streams, crashes, drains, outages, forgets, stream_messages, grace }
    }
}
