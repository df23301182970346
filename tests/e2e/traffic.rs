//! Three relays, three hundred agents, a hundred thousand messages: all of them arrive, once, in order and only where
//! they should, each send hears of one outcome, and the counters of the three add up to what the clients saw.

use std::time::Duration;

use anyhow::ensure;
use relay_protocol::client::ReceiptMode;
use relay_tests::fleet::UNLIMITED;
use relay_tests::talk::{Conversation, Pace, Talk};
use relay_tests::{Fleet, seed, turn};

const AGENTS: u32 = 300;
const MESSAGES: u32 = 100_000;
const SUBSCRIBERS: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_messages_are_all_accounted_for() -> anyhow::Result<()> {
    let _machine = turn::alone().await;
    let fleet = Fleet::joined(3, &UNLIMITED).await?;
    let talk = Talk {
        agents: AGENTS,
        subscribers: SUBSCRIBERS,
        topics_percent: 20,
        pace: Pace::Count { messages: MESSAGES.div_ceil(AGENTS), depth: 16 },
        seed: seed::seed(),
    };
    let conversation = Conversation::begin(&fleet, talk).await?;
    conversation.rest(Duration::from_mins(3)).await?;
    let at_rest = fleet.all_metrics().await?;
    let tally = conversation.end().await;
    ensure!(tally.broken(ReceiptMode::All).is_empty(), "{tally:?}");
    ensure!(tally.sent >= u64::from(MESSAGES) && tally.accepted == tally.sent, "{tally:?}");
    ensure!(tally.failed.is_empty() && tally.unknown == 0, "{tally:?}");
    ensure!(tally.gaps == 0 && tally.lost_declared == 0 && tally.unverified == 0, "{tally:?}");

    let broken = at_rest.broken_identities();
    ensure!(broken.is_empty(), "{broken:?}");
    let outcome = |name| count(at_rest.having("relay_send_outcomes_total", &format!("outcome=\"{name}\"")));
    ensure!(count(at_rest.sum("relay_sends_total")) == tally.sent, "{tally:?}");
    ensure!(outcome("queued") + outcome("accepted") == tally.sent);
    // A message to an agent arrives once, one to a topic at each of its subscribers.
    let arrivals = outcome("queued") + outcome("accepted") * u64::from(SUBSCRIBERS);
    ensure!(arrivals == tally.delivered, "{arrivals} and {tally:?}");
    ensure!(count(at_rest.sum("relay_deliveries_queued_total")) == tally.delivered);
    ensure!(count(at_rest.sum("relay_deliveries_written_total")) == tally.delivered);
    ensure!(count(at_rest.sum("relay_deliveries_dropped_total")) == 0);
    ensure!(count(at_rest.sum("relay_deliveries_shed_total")) == 0);
    fleet.cluster.stop().await
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters count up from 0")]
fn count(value: f64) -> u64 {
    value as u64
}
