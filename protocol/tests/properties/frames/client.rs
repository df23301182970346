//! Arbitrary client frames.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use relay_protocol::card::Card;
use relay_protocol::client::{Qos, ReceiptMode, Resume, Rewind, Send};
use relay_protocol::{Address, AddressKind, ClientFrame, Text};

use super::name::{address, headers, id, lane, pattern, payload, point, position, text, token_name};

const DAY_MS: u64 = relay_protocol::limit::TTL_MS_MAX;

/// Any client frame.
pub(crate) fn client() -> impl Strategy<Value = ClientFrame<'static>> {
    let resume = (text(), vec(position(), 0..4)).prop_map(|(ticket, streams)| Resume { ticket, streams });
    let client = "[a-z/0-9. ]{0,64}".prop_map(Text::from);
    let rewind = prop_oneof![any::<u64>().prop_map(Rewind::Last), any::<u64>().prop_map(Rewind::SinceMs)];
    prop_oneof![
        1 => (id(), of(text()), of(client), of(resume), of(card())).prop_map(
            |(id, token, client, resume, card)| ClientFrame::Hello { id, token, client, resume, card }
        ),
        1 => (id(), text()).prop_map(|(id, token)| ClientFrame::Auth { id, token }),
        6 => send().prop_map(ClientFrame::Send),
        1 => (id(), pattern(), qos(), of(rewind), of(point()), any::<bool>()).prop_map(
            |(id, topic, qos, rewind, from, present)| ClientFrame::Subscribe { id, topic, qos, rewind, from, present }
        ),
        1 => (id(), pattern()).prop_map(|(id, topic)| ClientFrame::Unsubscribe { id, topic }),
        1 => (id(), group()).prop_map(|(id, group)| ClientFrame::Join { id, group }),
        1 => (id(), group()).prop_map(|(id, group)| ClientFrame::Leave { id, group }),
        1 => (id(), watchable()).prop_map(|(id, to)| ClientFrame::Watch { id, to }),
        1 => (id(), watchable()).prop_map(|(id, to)| ClientFrame::Unwatch { id, to }),
        1 => id().prop_map(|id| ClientFrame::Ping { id }),
        1 => Just(ClientFrame::Pong),
        1 => position().prop_map(ClientFrame::Ack),
        1 => any::<(u64, u64)>().prop_map(|(messages, bytes)| ClientFrame::Credit { messages, bytes }),
        1 => Just(ClientFrame::Bye),
    ]
}

/// At most 992 bytes of text.
fn card() -> impl Strategy<Value = Card<'static>> {
    let name = "[^\\p{Cc}]{1,32}".prop_map(Text::from);
    let skills = vec("[A-Za-z0-9_.:~-]{1,50}", 0..16).prop_map(|mut skills| {
        skills.sort();
        skills.dedup();
        skills.into_iter().map(Text::from).collect()
    });
    let version = "[A-Za-z0-9_.:~-]{1,64}".prop_map(Text::from);
    (of(name), skills, of(version)).prop_map(|(name, skills, version)| Card { name, skills, version })
}

fn watchable() -> impl Strategy<Value = Address<'static>> {
    address().prop_filter("no session", |address| address.kind() != AddressKind::Session)
}

fn group() -> impl Strategy<Value = Text<'static>> {
    "[A-Za-z0-9_-]{1,15}(\\.[A-Za-z0-9_-]{1,15}){0,7}".prop_map(Text::from)
}

fn send() -> impl Strategy<Value = Send<'static>> {
    let receipt = prop_oneof![Just(ReceiptMode::None), Just(ReceiptMode::Failure), Just(ReceiptMode::All)];
    let names = (of(token_name()), of(token_name()), of(token_name()));
    let times = (of(0..=DAY_MS), of(0..=DAY_MS));
    let rest = (qos(), receipt, lane(), headers(), (of(any::<u64>()), of(any::<u64>())));
    (id(), address(), payload(), of(address()), names, times, rest).prop_map(
        |(id, to, payload, reply_to, (mid, correlation_id, key), (deadline_ms, ttl_ms), rest)| {
            let (qos, receipt, lane, headers, (counter, settled)) = rest;
            let qos = if mid.is_some() { qos } else { Qos::AtMostOnce };
            Send {
                qos,
                receipt,
                mid,
                reply_to,
                correlation_id,
                deadline_ms,
                ttl_ms,
                lane,
                key,
                headers,
                counter,
                settled,
                ..Send::new(id, to, payload)
            }
        },
    )
}

fn qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce)]
}
