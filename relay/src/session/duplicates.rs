//! What becomes of the sessions that an agent has already when it opens another one. The directory says which those are: of
//! two that come at once it tells exactly one of the other.

use relay_protocol::CloseCode;

use crate::config::session::DuplicateAgents;
use crate::directory::Entry;
use crate::outbound::CloseSignal;
use crate::router::Registration;
use crate::session::Over;

/// Does as an operator chose with the sessions that were there before; an error refuses the one that comes.
pub(super) fn settle(
    policy: DuplicateAgents,
    registration: &Registration,
    before: &[Entry],
) -> Result<(), Over> {
    let own = &registration.entry().session;
    let mut others = before.iter().filter(|entry| entry.session != *own);
    match policy {
        DuplicateAgents::FanOut => Ok(()),
        DuplicateAgents::TakeOver => {
            others.for_each(|entry| registration.take_over(entry));
            Ok(())
        }
        DuplicateAgents::Refuse if others.next().is_none() => Ok(()),
        DuplicateAgents::Refuse => Err(Over::Close(CloseSignal {
            code: CloseCode::ConnectionLimit,
            message: "the agent has a session already",
            reconnect_after_ms: None,
        })),
    }
}
