//! The one reader of the bus: envelopes onto local queues, reports to their senders, gaps to everybody concerned.
//! It never waits; what it cannot hand over is reported or told as a gap.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relay_protocol::client::Lane;
use relay_protocol::server::GapReason;
use relay_protocol::{Chunk, Encoding, ErrorCode, SharedFrame, topic};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::{BusEvent, BusEvents, Channel, Gap, InstanceId};
use crate::entropy::Keys;
use crate::outbound::{GapNotice, Item};
use crate::router::Router;
use crate::router::delivery::{Delivery, Frames, SATURATED_RETRY_MS};
use crate::router::envelope::{self, Ack, Direct, Nack, Topic};
use crate::router::groups;
use crate::router::route::UNAVAILABLE_RETRY_MS;
use crate::router::turn::Turn;
use crate::telemetry::metrics::Shed;
use crate::telemetry::outcome::Outcome;

/// Instances whose numbers are remembered. Above it the longest silent is forgotten: its senders then hear `unknown` for
/// what got lost meanwhile, where they could have heard `failed`.
const ORIGINS_MAX: usize = 4_096;
/// Lost messages of one jump that are reported one by one.
const LOST_REPORTED_MAX: u64 = 8_192;

/// What has been seen of each other instance.
type Origins = HashMap<InstanceId, Origin, Keys>;

#[derive(Debug, Clone, Copy)]
struct Origin {
    expected: u64,
    seen_at: Instant,
}

/// Where the numbers of links stand, and what is to be reported about this batch.
struct Numbers<'b> {
    origins: &'b mut Origins,
    report: &'b mut Option<Ack>,
}

impl Router {
    /// Takes what the bus brings until it ends, or until `stop`: the router holds the bus, so by itself it never would.
    pub async fn run(self: Arc<Self>, mut events: BusEvents, stop: CancellationToken) {
        let mut origins = Origins::default();
        while let Some(Some(event)) = stop.run_until_cancelled(events.recv()).await {
            match event {
                BusEvent::Batch { channel, batch } => self.take_batch(&channel, &batch, &mut origins),
                BusEvent::Gap(gap) => self.take_gap(gap),
            }
        }
    }

    fn take_batch(self: &Arc<Self>, channel: &Channel, batch: &Bytes, origins: &mut Origins) {
        self.metrics.bus_received.increment(1);
        let Some((sender, items)) = envelope::read(batch) else {
            return self.metrics.bus_unreadable.increment(1);
        };
        let now = Instant::now();
        let mut report: Option<Ack> = None;
        let mut run = TopicRun::default();
        let mut turn = Turn::default();
        let mut count = 0;
        for item in items {
            count += 1;
            match item {
                Some(envelope::Item::Topic(topic)) => self.take_topic(channel, topic, &mut run, now),
                Some(envelope::Item::Direct(seq, direct)) => {
                    let numbers = Numbers { origins, report: &mut report };
                    self.take_direct(&sender, seq, &direct, numbers, &mut turn, now);
                }
                Some(envelope::Item::Ack(ack)) => self.take_report(&sender, &ack),
                Some(envelope::Item::Moved { tenant, agent }) => self.take_moved(tenant, agent),
                Some(envelope::Item::Disconnect { tenant, agent, session }) => {
                    self.disconnect_here(tenant, agent, session);
                }
                Some(envelope::Item::Settled(settled)) => self.take_settled(&sender, settled),
                Some(envelope::Item::Held(ranges)) => {
                    if let Some(link) = self.links.get(&sender) {
                        link.still_held(&ranges);
                    }
                }
                Some(envelope::Item::Loads { tenant, loads }) => {
                    if sender != self.instance {
                        self.take_loads(tenant, &loads);
                    }
                }
                Some(envelope::Item::Jobs { tenant, group, jobs }) => self.take_jobs(tenant, group, jobs),
                Some(envelope::Item::Wake(wake)) => self.take_wake(&wake),
                Some(envelope::Item::Delivered(delivered)) => self.take_delivered(&delivered),
                Some(envelope::Item::Kept { tenant, session }) => self.tell_kept(tenant, session),
                Some(envelope::Item::Replaced { tenant, session, generation }) => {
                    self.take_replaced(tenant, session, generation);
                }
                None => self.metrics.bus_unreadable.increment(1),
            }
        }
        self.metrics.bus_received_envelopes.increment(count);
        self.flush_topics(&mut run, now);
        turn.end(&self.metrics);
        if let Some(ack) = report {
            let link = self.link(&sender);
            let pushed =
                link.outbox.push(&self.instance, None, None, |batch| envelope::append_ack(batch, &ack));
            // A report that does not fit is one that got lost: its senders hear `unknown`.
            if let Ok(pump) = pushed {
                self.pump_link(pump, &link);
            }
        }
    }

    fn take_direct(
        self: &Arc<Self>,
        sender: &InstanceId,
        seq: u64,
        direct: &Direct<&str>,
        Numbers { origins, report }: Numbers<'_>,
        turn: &mut Turn,
        now: Instant,
    ) {
        let expected = if let Some(origin) = origins.get_mut(sender) {
            let expected = origin.expected;
            if seq < expected {
                // It was reported lost; a late arrival would make two outcomes and break the order.
                return;
            }
            *origin = Origin { expected: seq + 1, seen_at: now };
            expected
        } else {
            forget_oldest(origins);
            origins.insert(sender.clone(), Origin { expected: seq + 1, seen_at: now });
            seq
        };
        let lost = seq - expected;
        let from = if lost > LOST_REPORTED_MAX { seq } else { expected };
        let ack = report.get_or_insert_with(|| Ack { from, upto: seq, failed: Vec::new() });
        ack.upto = seq;
        if lost > 0 {
            self.metrics.link_lost.increment(lost);
            ack.failed.extend((from..seq).map(|lost| (lost, Nack::Lost)));
        }
        let nack = if groups::is_group(direct.agent) {
            Some(self.take_work(sender, seq, direct, turn, (now, expiry(direct.expires_in_ms, now))))
        } else {
            self.deliver_remote(direct, turn, now)
        };
        if let Some(nack) = nack {
            ack.failed.push((seq, nack));
        }
    }

    fn deliver_remote(&self, direct: &Direct<&str>, turn: &mut Turn, now: Instant) -> Option<Nack> {
        let tenant = self.tenants.get(direct.tenant).map(|tenant| Arc::clone(&tenant));
        let Some(tenant) = tenant else { return Some(Nack::NotHere) };
        // Copied, as a message that waits would keep its whole batch in memory.
        let shared = SharedFrame::new(direct.encoding, Chunk::one(Bytes::copy_from_slice(&direct.frame)));
        let delivery = Delivery {
            frames: Frames::Written(&shared),
            lane: direct.lane,
            key: direct.key.map(Into::into),
            taken_at: now,
            expires_at: expiry(direct.expires_in_ms, now),
            reply_to: direct.reply_to,
        };
        match tenant.deliver(direct.agent, direct.session, &delivery, turn) {
            Outcome::Failed { reason: ErrorCode::Saturated, .. } => Some(Nack::Saturated),
            Outcome::Failed { .. } => {
                self.metrics.link_not_here.increment(1);
                Some(Nack::NotHere)
            }
            Outcome::Queued | Outcome::Accepted | Outcome::Delivered | Outcome::Unknown => None,
        }
    }

    fn take_report(self: &Arc<Self>, sender: &InstanceId, ack: &Ack) {
        let Some(link) = self.links.get(sender).map(|link| Arc::clone(&link)) else { return };
        for reported in link.report(ack) {
            match reported.nack {
                // What is held was taken out of the report.
                None | Some(Nack::Held) => reported.pending.settlement.settle(Outcome::Queued),
                Some(Nack::NotHere) => {
                    self.send_again(&link, reported, Outcome::failed(ErrorCode::NoRecipient));
                }
                Some(Nack::Saturated) => {
                    let outcome = Outcome::failed_for(ErrorCode::Saturated, SATURATED_RETRY_MS);
                    reported.pending.settlement.settle(outcome);
                }
                Some(Nack::Expired) => {
                    reported.pending.settlement.settle(Outcome::failed(ErrorCode::Expired));
                }
                Some(Nack::Lost) => {
                    let outcome = Outcome::failed_for(ErrorCode::Unavailable, UNAVAILABLE_RETRY_MS);
                    reported.pending.settlement.settle(outcome);
                }
            }
        }
    }

    fn take_moved(&self, tenant: &str, agent: &str) {
        let Some(tenant) = self.tenants.get(tenant) else { return };
        tenant.forget_route(agent);
        if let Some(mut local) = tenant.agents.get_mut(agent) {
            local.elsewhere = true;
        }
    }

    /// Messages of a channel wait until another topic or encoding comes, and go to each subscriber together.
    fn take_topic(&self, channel: &Channel, item: Topic<&str>, run: &mut TopicRun, now: Instant) {
        let here = channel
            .as_topic()
            .filter(|(tenant, pattern)| *tenant == item.tenant && topic::matches(pattern, item.name));
        let Some((tenant, pattern)) = here else {
            return self.metrics.bus_unreadable.increment(1);
        };
        let joins = run.encoding == Some(item.encoding)
            && run.lane == Some(item.lane)
            && run.key.is_none()
            && item.key.is_none()
            && run.expires_in_ms == 0
            && item.expires_in_ms == 0;
        if !joins {
            self.flush_topics(run, now);
            *run = TopicRun {
                tenant: tenant.into(),
                pattern: pattern.into(),
                encoding: Some(item.encoding),
                lane: Some(item.lane),
                key: item.key.map(Into::into),
                expires_in_ms: item.expires_in_ms,
                chunks: Vec::new(),
            };
        }
        run.chunks.push(Chunk::one(item.frame));
    }

    fn flush_topics(&self, run: &mut TopicRun, now: Instant) {
        let TopicRun {
            tenant,
            pattern,
            encoding: Some(encoding),
            lane: Some(lane),
            key,
            expires_in_ms,
            chunks,
        } = std::mem::take(run)
        else {
            return;
        };
        let Some(tenant) = self.tenants.get(&*tenant).map(|tenant| Arc::clone(&tenant)) else { return };
        for some in chunks.chunks(FRAMES_TOGETHER_MAX) {
            let joined = match some {
                // Copied, as a message that waits would keep its whole batch in memory.
                [only] => Chunk::one(Bytes::copy_from_slice(&only.bytes)),
                several => Chunk::join(encoding, several),
            };
            let mut item = Item::new(joined.clone(), now);
            item.lane = lane;
            item.key.clone_from(&key);
            item.expires_at = expiry(expires_in_ms, now);
            let (queued, bytes, shed) =
                tenant.deliver_topic(&pattern, &SharedFrame::new(encoding, joined), &item);
            self.metrics.queue_deliveries(queued, bytes);
            if shed > 0 {
                self.metrics.shed_delivery(Shed::QueueFull, shed);
            }
        }
    }

    fn take_gap(self: &Arc<Self>, gap: Gap) {
        let reason = match gap {
            Gap::Interrupted => {
                self.metrics.bus_gaps_interrupted.increment(1);
                GapReason::BusInterrupted
            }
            Gap::Lagged(_) => {
                self.metrics.bus_gaps_lagged.increment(1);
                GapReason::BusLagged
            }
        };
        tracing::warn!(reason = reason.name(), "the bus may have lost messages");
        // Hints may be among them.
        self.look_at_feeds(true);
        for tenant in &self.tenants {
            // News of moves may be among what was lost.
            tenant.forget_routes();
            for mut agent in tenant.agents.iter_mut() {
                agent.elsewhere = true;
                for member in &agent.members {
                    member.outbound.push_gap(GapNotice::everything(reason));
                }
            }
        }
    }
}

/// Frames of a topic that wait for a subscriber as one: few enough for a client's `limits.frames`.
const FRAMES_TOGETHER_MAX: usize = 64;

/// Messages of one channel that go out together.
#[derive(Debug, Default)]
struct TopicRun {
    tenant: Box<str>,
    pattern: Box<str>,
    encoding: Option<Encoding>,
    lane: Option<Lane>,
    /// With one, the only message.
    key: Option<Arc<str>>,
    expires_in_ms: u32,
    chunks: Vec<Chunk>,
}

fn expiry(expires_in_ms: u32, now: Instant) -> Option<Instant> {
    (expires_in_ms > 0).then(|| now + Duration::from_millis(u64::from(expires_in_ms)))
}

fn forget_oldest(origins: &mut Origins) {
    if origins.len() < ORIGINS_MAX {
        return;
    }
    let oldest = origins.iter().min_by_key(|(_, origin)| origin.seen_at).map(|(id, _)| id.clone());
    if let Some(oldest) = oldest {
        origins.remove(&oldest);
    }
}
