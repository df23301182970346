//! Work shared among the members of a group.

mod killed_worker;
mod sharing;

use relay_loadtest::agent::Agent;
use relay_protocol::{ClientFrame, ServerFrame};

/// Joins a group and waits until others can find the member.
async fn join(agent: &mut Agent, group: &str) -> anyhow::Result<()> {
    let id = agent.outbox().next_id();
    agent.outbox().push(&ClientFrame::Join { id, group: group.into() });
    let answer = agent.wait_for(|frame| match frame {
        ServerFrame::Ok { id: answered } if *answered == id => Some(Ok(())),
        ServerFrame::Error { id: Some(answered), code, .. } if *answered == id => Some(Err(*code)),
        _ => None,
    });
    answer.await?.map_err(|code| anyhow::anyhow!("join: {}", code.name()))
}
