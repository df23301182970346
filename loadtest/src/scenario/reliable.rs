//! Pairs of agents that send to each other at `qos` 1, as those of `direct` do at `qos` 0: each message is stored before it
//! is accepted, and acknowledged when it was presented.

use futures_util::future::BoxFuture;
use relay_protocol::client::Position;
use relay_protocol::{ClientFrame, ServerFrame};

use crate::agent::{Ended, Outbox};
use crate::checker::Books;
use crate::scenario::direct::{self, Partner};
use crate::scenario::{FloorKind, Scenario};
use crate::trial::Trial;
use crate::trial::correspondent::Correspondent;
use crate::trial::crew::Member;
use crate::trial::drive::Role;
use crate::trial::performance::Performance;
use crate::trial::stage::Window;

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "reliable",
    about: "pairs of agents send to each other at qos 1 and acknowledge; --redis to store in Redis",
    arguments: "",
    environment: &[],
    floor: Some(FloorKind::Store),
    instances: 1,
    divisible: true,
    run,
};

fn run<'t>(trial: &'t Trial<'t>) -> BoxFuture<'t, anyhow::Result<Performance>> {
    Box::pin(async move {
        let reliable = |member: Member<Partner>| Member {
            identity: member.identity,
            role: Acknowledging { partner: member.role.reliable(), presented: None },
            topics: member.topics,
            wake: member.wake,
        };
        let members = direct::members(trial)?.into_iter().map(reliable).collect();
        direct::talk(trial, members).await
    })
}

/// A partner that acknowledges what was presented to it, once for all that came together.
#[derive(Debug)]
struct Acknowledging {
    partner: Partner,
    presented: Option<Position<'static>>,
}

impl Role for Acknowledging {
    fn correspondent(&mut self) -> &mut Correspondent {
        self.partner.correspondent()
    }

    fn hear(&mut self, frame: &ServerFrame<'_>, read_ns: u64, outbox: &mut Outbox) {
        if let ServerFrame::Message(message) = frame
            && let Some(at) = &message.position
        {
            match &mut self.presented {
                Some(last) if last.epoch == at.epoch => last.seq = at.seq,
                presented => {
                    *presented = Some(Position {
                        stream: at.stream.to_string().into(),
                        epoch: at.epoch.to_string().into(),
                        seq: at.seq,
                    });
                }
            }
        }
        self.partner.hear(frame, read_ns, outbox);
    }

    fn tick(&mut self, window: &Window, now_ns: u64, outbox: &mut Outbox) -> Option<u64> {
        if let Some(position) = self.presented.take() {
            outbox.push(&ClientFrame::Ack(position));
        }
        self.partner.tick(window, now_ns, outbox)
    }

    fn finish(self, ended: Option<Ended>) -> Books {
        self.partner.finish(ended)
    }
}
