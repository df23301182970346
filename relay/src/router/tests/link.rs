//! Who waits for messages on a link waits for what their reports bring about.

use std::sync::Arc;

use futures_util::FutureExt as _;
use relay_protocol::Encoding;
use relay_protocol::client::{Lane, ReceiptMode};
use tokio::time::Instant;

use crate::bus::InstanceId;
use crate::outbound::{Bounds, Outbound, Settlement};
use crate::router::envelope::{Ack, Direct};
use crate::router::link::Link;
use crate::router::link::Tried;
use crate::telemetry::metrics::Metrics;

#[tokio::test]
async fn a_report_is_carried_out_before_the_next_may_go_on() {
    let (own, peer) = (InstanceId::parse("own").unwrap(), InstanceId::parse("peer").unwrap());
    let sender = Arc::new(Outbound::new(Encoding::Json, Bounds { messages: 1, bytes: 1 }));
    let metrics = Metrics::new().unwrap();
    let link = Link::new(peer, 1);
    let direct: Direct<Arc<str>> = Direct {
        tenant: "acme".into(),
        agent: "a".into(),
        session: None,
        lane: Lane::Normal,
        expires_in_ms: 0,
        reply_to: None,
        key: None,
        encoding: Encoding::Json,
        frame: "{}".into(),
    };
    let settlement = Settlement::new(&sender, &metrics, 1, ReceiptMode::None);
    let _pump = link.push(&own, Arc::new(direct), settlement, Tried::Nowhere, Instant::now()).unwrap();
    let next = link.next_seq();
    let mut early = Box::pin(link.settled_before(next));
    assert!(early.as_mut().now_or_never().is_none());
    let mut report = link.report(&Ack { from: 1, upto: 1, failed: Vec::new() });
    assert!(report.next().is_some());
    assert!(early.as_mut().now_or_never().is_none(), "overtook what the report sends again");
    assert!(link.settled_before(next).now_or_never().is_none(), "came late and overtook it");
    drop(report);
    assert!(early.now_or_never().is_some());
}
