//! Arbitrary server frames.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use relay_protocol::server::{
    Earlier, Failed, FlowState, GapReason, Limits, Message, Presence, Receipt, Welcome,
};
use relay_protocol::{ErrorCode, Reconnect, ServerFrame};

use super::name::{address, agent, headers, id, lane, payload, point, position, session, text};

/// Any server frame.
pub(crate) fn server() -> impl Strategy<Value = ServerFrame<'static>> {
    let number = any::<u64>;
    prop_oneof![
        1 => welcome().prop_map(|welcome| ServerFrame::Welcome(Box::new(welcome))),
        1 => id().prop_map(|id| ServerFrame::Ok { id }),
        1 => (of(id()), code(), text(), of(number()), of(text())).prop_map(
            |(id, code, message, retry_after_ms, limit)| ServerFrame::Error {
                id,
                code,
                message,
                retry_after_ms,
                limit
            }
        ),
        6 => message().prop_map(ServerFrame::Message),
        3 => receipt().prop_map(ServerFrame::Receipt),
        1 => Just(ServerFrame::Ping),
        1 => id().prop_map(|id| ServerFrame::Pong { id }),
        1 => (select(&[FlowState::Normal, FlowState::High, FlowState::Full]), number(), number()).prop_map(
            |(state, queued_messages, queued_bytes)| ServerFrame::Flow { state, queued_messages, queued_bytes }
        ),
        1 => (gap_reason(), any::<bool>(), vec(text(), 0..4), of(number()))
            .prop_map(|(reason, direct, topics, dropped)| ServerFrame::Gap { reason, direct, topics, dropped }),
        1 => (number(), vec(text(), 0..4)).prop_map(|(level, reduced)| ServerFrame::Degraded { level, reduced }),
        1 => presence().prop_map(ServerFrame::Presence),
        1 => (position(), number(), text()).prop_map(|(first, to, reason)| ServerFrame::Skip { first, to, reason }),
        1 => (position(), any::<bool>(), of(text()))
            .prop_map(|(position, recovered, reason)| ServerFrame::Resume { position, recovered, reason }),
        1 => number().prop_map(|in_ms| ServerFrame::TokenExpiring { in_ms }),
        1 => (text(), number(), number(), of(text())).prop_map(
            |(reason, reconnect_after_ms, closes_in_ms, ticket)| ServerFrame::Drain {
                reason,
                reconnect_after_ms,
                closes_in_ms,
                ticket
            }
        ),
        1 => (any::<u16>(), text(), text(), reconnect(), of(number())).prop_map(
            |(code, reason, message, reconnect, reconnect_after_ms)| ServerFrame::Closing {
                code,
                reason,
                message,
                reconnect,
                reconnect_after_ms
            }
        ),
    ]
}

fn code() -> impl Strategy<Value = ErrorCode> {
    select(ErrorCode::ALL)
}

fn gap_reason() -> impl Strategy<Value = GapReason> {
    select(&[GapReason::BusInterrupted, GapReason::BusLagged, GapReason::Slow, GapReason::Expired])
}

fn reconnect() -> impl Strategy<Value = Reconnect> {
    select(&[Reconnect::Never, Reconnect::BackOff, Reconnect::Now])
}

fn presence() -> impl Strategy<Value = Presence<'static>> {
    let texts = || vec(text(), 0..4);
    (of(id()), address(), any::<(u64, u64)>(), of(texts()), texts(), texts()).prop_map(
        |(id, to, (version, count), members, joined, left)| Presence {
            id,
            to,
            version,
            count,
            members,
            joined,
            left,
        },
    )
}

fn welcome() -> impl Strategy<Value = Welcome<'static>> {
    let numbers = any::<[u64; 5]>();
    (id(), agent(), session(), any::<bool>(), of(text()), of(any::<u64>()), numbers, any::<[u64; 10]>())
        .prop_map(|(id, agent, session, resumed, ticket, lease_ms, numbers, limits)| {
            let [protocol, generation, heartbeat_ms, token_expires_in_ms, server_time_ms] = numbers;
            let [payload, message, frames, subscriptions, in_flight, rate_messages, rate_burst, rest @ ..] =
                limits;
            let [rate_bytes, queue_messages, queue_bytes] = rest;
            Welcome {
                id,
                protocol,
                agent,
                session,
                generation,
                resumed,
                ticket,
                heartbeat_ms,
                lease_ms,
                token_expires_in_ms,
                server_time_ms,
                limits: Limits {
                    payload,
                    message,
                    frames,
                    subscriptions,
                    in_flight,
                    rate_messages,
                    rate_burst,
                    rate_bytes,
                    queue_messages,
                    queue_bytes,
                },
            }
        })
}

/// Any message.
pub(crate) fn message() -> impl Strategy<Value = Message<'static>> {
    let who = (agent(), session(), address(), of(address()));
    let names = (of(text()), of(text()), of(text()));
    let rest = (lane(), headers(), of(position()), any::<bool>(), of(any::<u64>()));
    (who, any::<u64>(), payload(), names, rest).prop_map(
        |((from, session, to, reply_to), ts, payload, (mid, correlation_id, key), rest)| {
            let (lane, headers, position, redelivered, deadline_ms) = rest;
            Message {
                from,
                session,
                to,
                ts,
                payload,
                mid,
                reply_to,
                correlation_id,
                deadline_ms,
                lane,
                key,
                headers,
                position,
                redelivered,
            }
        },
    )
}

fn receipt() -> impl Strategy<Value = Receipt<'static>> {
    let ranges = || vec(any::<(u64, u64)>(), 0..3);
    let ids = (id(), 0..3u64).prop_map(|(first, more)| (first, first.saturating_add(more)));
    let failed = (ids, code(), of(any::<u64>()), of(text()))
        .prop_map(|(ids, reason, retry_after_ms, limit)| Failed { ids, reason, retry_after_ms, limit });
    let earlier = (text(), of(code())).prop_map(|(mid, failed)| Earlier { mid, failed });
    let lists = (vec(failed, 0..3), vec((id(), text(), point()), 0..3), vec(earlier, 0..3));
    (ranges(), ranges(), ranges(), ranges(), lists).prop_map(
        |(queued, accepted, delivered, unknown, (failed, positions, earlier))| Receipt {
            queued,
            accepted,
            delivered,
            unknown,
            failed,
            positions,
            earlier,
        },
    )
}
