//! What can be run. A scenario is one file here and one line in [`ALL`].

pub mod bursty;
pub mod churn;
pub mod direct;
pub mod drain;
pub mod fan_out;
pub mod idle;
pub mod large_payloads;
pub mod noisy_tenant;
pub mod overload;
pub mod peak;
pub mod priorities;
pub mod reconnect_storm;
pub mod reliable;
pub mod request_reply;
pub mod scatter;
pub mod slow_reader;
pub mod swarm;
pub mod token_streaming;

mod owed;

use futures_util::future::BoxFuture;

use crate::trial::performance::Performance;
use crate::trial::{Place, Trial};

/// Every scenario.
pub const ALL: &[Scenario] = &[
    idle::SCENARIO,
    direct::SCENARIO,
    fan_out::SCENARIO,
    reliable::SCENARIO,
    request_reply::SCENARIO,
    slow_reader::SCENARIO,
    noisy_tenant::SCENARIO,
    overload::SCENARIO,
    peak::SCENARIO,
    priorities::SCENARIO,
    reconnect_storm::SCENARIO,
    bursty::SCENARIO,
    request_reply::READ_HEAVY,
    request_reply::WRITE_HEAVY,
    large_payloads::SCENARIO,
    token_streaming::SCENARIO,
    swarm::LEAN,
    swarm::MULTI_AGENT,
    swarm::WHOLE,
    scatter::VOTING,
    scatter::MARKET,
    drain::SCENARIO,
    churn::SCENARIO,
];

/// Something that can be run.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Arguments that stand before those given.
    pub arguments: &'static str,
    /// Settings of relays that are started for it, weaker than those given.
    pub environment: &'static [(&'static str, &'static str)],
    /// What it can be compared with.
    pub floor: Option<FloorKind>,
    /// Relays that are started for it, unless the command line says.
    pub instances: u32,
    /// Whether its pairs can be shared out among processes. Such a scenario has no promises of its own.
    pub divisible: bool,
    /// Runs it once.
    pub run: Run,
}

/// Runs a scenario once.
pub type Run = for<'t> fn(&'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>>;

/// What of a bare WebSocket server a scenario can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloorKind {
    /// Messages for each second of its CPU time; between instances those that Redis alone carries, for each second of its own.
    Echo,
    /// Deliveries for each second of its CPU time.
    Broadcast,
    /// Memory for each connection.
    Memory,
    /// Messages a second that Redis alone stores.
    Store,
}

impl Scenario {
    /// The scenario of that name.
    pub fn named(name: &str) -> Option<&'static Scenario> {
        ALL.iter().find(|scenario| scenario.name == name)
    }
}

/// Pairs, spread over tenants.
fn pair_place(number: u32, tenants: u32) -> Place {
    let pair = number / 2;
    Place { tenant: pair % tenants, slot: pair / tenants * 2 + number % 2 }
}
