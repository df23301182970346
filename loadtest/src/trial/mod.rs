//! One execution of a scenario: agents gather, traffic flows for a while, what is under way drains, the books are judged.

pub mod conduct;
pub mod correspondent;
pub mod crew;
pub mod drive;
pub mod live;
pub mod pace;
pub mod part;
pub mod performance;
pub mod stage;
pub mod timeline;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use relay_protocol::Address;

use crate::agent::ConnectOptions;
use crate::bench::Bench;
use crate::plan::{Placement, Plan};
use crate::stamp::{Destination, Stamper};
use crate::target::Target;
use crate::token::Identity;
use crate::trial::correspondent::{Correspondent, Particulars};
use crate::trial::crew::Connecting;
use crate::trial::live::Live;
use crate::trial::part::Part;
use crate::trial::stage::Window;

/// One execution of a scenario.
#[derive(Debug)]
pub struct Trial<'b> {
    /// What is run, and on what.
    pub bench: &'b Bench,
    /// Tells its messages from those of other trials.
    pub run: u32,
    /// Its counters.
    pub live: Arc<Live>,
    /// Which agents are here; numbers begin at 0 in each part.
    pub part: Part,
}

/// Where an agent of that number belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The tenant's number.
    pub tenant: u32,
    /// Its number within the tenant; agents of different tenants share names.
    pub slot: u32,
}

impl<'b> Trial<'b> {
    /// A trial that has not begun.
    pub fn new(bench: &'b Bench) -> anyhow::Result<Trial<'b>> {
        Ok(Trial { bench, run: rand::random(), live: Arc::new(Live::new()?), part: Part::default() })
    }

    /// What the command line asks for.
    pub fn plan(&self) -> &'b Plan {
        &self.bench.plan
    }

    /// When traffic begins, counts, and ends, now that everybody here is connected.
    pub async fn window(&self, connecting: &Connecting) -> anyhow::Result<Window> {
        let (warm_up, duration) = (self.plan().warm_up(), self.plan().duration());
        match &self.part.cue {
            None => Ok(Window::soon(warm_up, duration)),
            Some(cue) => Ok(Window::from(cue.wait(connecting).await?, warm_up, duration)),
        }
    }

    /// The identities of `count` agents, each at its place.
    pub fn identities(&self, count: u32, place: impl Fn(u32) -> Place) -> anyhow::Result<Vec<Identity>> {
        (0..count)
            .map(|number| {
                let Place { tenant, slot } = place(self.part.first + number);
                // A tenant of this trial's own: sessions that a trial before left behind are in another.
                self.bench.tokens.identity(number, &format!("load-{:08x}-{tenant}", self.run), slot)
            })
            .collect()
    }

    /// The relay that agent connects to, if agents `2n` and `2n + 1` belong together.
    pub fn target(&self, number: u32) -> &'b Target {
        let number = self.part.first + number;
        let turn = match self.plan().placement {
            Placement::Cross => number,
            Placement::Local => number / 2,
        };
        &self.bench.targets[turn as usize % self.bench.targets.len()]
    }

    /// How that agent connects.
    pub fn connect_options(&self, number: u32) -> ConnectOptions {
        let plan = self.plan();
        let source = |count: u8| {
            let last = u8::try_from((self.part.first + number) % u32::from(count)).unwrap_or(0) + 1;
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
        };
        ConnectOptions {
            encoding: plan.encoding.of(number),
            batch: plan.batch as usize,
            source: plan.source_addresses.map(source),
            receive_buffer: plan.receive_buffer,
        }
    }

    /// The accounts of that agent.
    pub fn correspondent(
        &self,
        number: u32,
        topics: Vec<(Destination, String)>,
        everybody: &Arc<Vec<Address<'static>>>,
        timed: bool,
    ) -> Correspondent {
        self.sized_correspondent(number, topics, everybody, timed, self.plan().payload)
    }

    /// The accounts of that agent, with payloads of another size.
    pub fn sized_correspondent(
        &self,
        number: u32,
        topics: Vec<(Destination, String)>,
        everybody: &Arc<Vec<Address<'static>>>,
        timed: bool,
        payload_bytes: usize,
    ) -> Correspondent {
        Correspondent::new(Particulars {
            number,
            run: self.run,
            receipt: self.plan().receipt_mode(),
            payload_bytes,
            stamper: Stamper::new(self.plan().encoding.of(number), payload_bytes),
            topics,
            everybody: Arc::clone(everybody),
            live: Arc::clone(&self.live),
            timed,
        })
    }
}

/// The addresses of agents by number.
pub fn addresses(identities: &[Identity]) -> anyhow::Result<Arc<Vec<Address<'static>>>> {
    let parse = |identity: &Identity| {
        Address::parse(identity.address().into())
            .map(Address::into_owned)
            .ok_or_else(|| anyhow::anyhow!("{} is no agent", identity.agent))
    };
    identities.iter().map(parse).collect::<anyhow::Result<Vec<_>>>().map(Arc::new)
}
