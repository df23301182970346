//! What frames look like before they are understood: one flat map of optional fields for each direction.
//!
//! Serde's tagged enums buffer a whole frame before they choose a variant and cannot keep a payload raw; a flat struct
//! reads each byte once and borrows.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::card::WireCard;
use crate::client::Headers;
use crate::limit;
use crate::payload::Payload;
use crate::strict::Map;
use crate::text::Text;

/// A payload as one encoding carries it.
pub(crate) trait WirePayload<'a>: Deserialize<'a> {
    /// The payload, or nothing if it is text that is not well-formed JSON.
    fn into_payload(self) -> Option<Payload<'a>>;
}

/// JSON: any value, kept as text. Serde checks that it is well-formed.
#[derive(Debug, Deserialize)]
pub(crate) struct JsonPayload<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> WirePayload<'a> for JsonPayload<'a> {
    fn into_payload(self) -> Option<Payload<'a>> {
        Some(Payload::Json(self.0.get().into()))
    }
}

/// MessagePack: `str` is JSON text, `bin` is bytes.
#[derive(Debug)]
pub(crate) enum MsgpackPayload<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> WirePayload<'a> for MsgpackPayload<'a> {
    fn into_payload(self) -> Option<Payload<'a>> {
        match self {
            // Text that is not JSON would break out of a JSON recipient's frame.
            MsgpackPayload::Text(text) => {
                serde_json::from_str::<&RawValue>(text).ok().map(|value| Payload::Json(value.get().into()))
            }
            MsgpackPayload::Bytes(bytes) => Some(Payload::Bytes(bytes.into())),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MsgpackPayload<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PayloadVisitor;
        impl<'de> Visitor<'de> for PayloadVisitor {
            type Value = MsgpackPayload<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("str or bin")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(MsgpackPayload::Text(text))
            }
            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(MsgpackPayload::Bytes(bytes))
            }
        }
        deserializer.deserialize_any(PayloadVisitor)
    }
}

/// Headers, at most one more than are allowed: enough to refuse them by.
#[derive(Debug)]
pub(crate) struct WireHeaders<'a>(pub(crate) Headers<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for WireHeaders<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;
        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = WireHeaders<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of text to text")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut headers = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
                    // Receivers would differ in which of the two they take.
                    if headers.iter().any(|(known, _)| *known == name) {
                        return Err(M::Error::custom("a header twice"));
                    }
                    if headers.len() <= limit::HEADERS_MAX {
                        headers.push((name, value));
                    }
                }
                Ok(WireHeaders(headers))
            }
        }
        deserializer.deserialize_map(HeadersVisitor)
    }
}

/// A list, at most one element longer than is allowed: enough to refuse it by.
#[derive(Debug)]
pub(crate) struct Bounded<T, const MAX: usize>(pub(crate) Vec<T>);

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Bounded(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = Bounded<T, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<S: serde::de::SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if list.len() <= MAX {
                        list.push(element);
                    }
                }
                Ok(Bounded(list))
            }
        }
        deserializer.deserialize_seq(ListVisitor(std::marker::PhantomData))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct WirePoint<'a> {
    #[serde(borrow)]
    pub(crate) epoch: Text<'a>,
    pub(crate) seq: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WirePosition<'a> {
    #[serde(borrow)]
    pub(crate) stream: Text<'a>,
    #[serde(borrow)]
    pub(crate) epoch: Text<'a>,
    pub(crate) seq: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WireRewind {
    #[serde(default)]
    pub(crate) last: Option<u64>,
    #[serde(default)]
    pub(crate) since_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WireResume<'a> {
    #[serde(borrow)]
    pub(crate) ticket: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) streams: Bounded<Map<WirePosition<'a>>, { limit::RESUME_STREAMS_MAX }>,
}

macro_rules! flat {
    ($(#[$doc:meta])* $name:ident { $($borrowed:ident: $borrowed_type:ty,)* ; $($owned:ident: $owned_type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(bound(deserialize = "P: Deserialize<'de>"))]
        pub(crate) struct $name<'a, P> {
            #[serde(rename = "type", borrow, default)]
            pub(crate) kind: Option<Text<'a>>,
            #[serde(default = "none")]
            pub(crate) payload: Option<P>,
            $(#[serde(borrow, default)] pub(crate) $borrowed: Option<$borrowed_type>,)*
            $(#[serde(default)] pub(crate) $owned: Option<$owned_type>,)*
        }
    };
}

fn none<P>() -> Option<P> {
    None
}

flat! {
    /// Any client frame.
    WireClient {
        token: Text<'a>, client: Text<'a>, resume: Map<WireResume<'a>>, card: Map<WireCard<'a>>, to: Text<'a>, payload_b64: Text<'a>,
        receipt: Text<'a>, mid: Text<'a>, reply_to: Text<'a>, correlation_id: Text<'a>, lane: Text<'a>, key: Text<'a>,
        headers: WireHeaders<'a>, topic: Text<'a>, group: Text<'a>, from: Map<WirePoint<'a>>, stream: Text<'a>,
        epoch: Text<'a>,
        ;
        id: u64, qos: u64, deadline_ms: u64, ttl_ms: u64, counter: u64, settled: u64, rewind: Map<WireRewind>, seq: u64,
        messages: u64, bytes: u64, present: bool,
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct WireLimits {
    pub(crate) payload: u64,
    pub(crate) message: u64,
    pub(crate) frames: u64,
    pub(crate) subscriptions: u64,
    pub(crate) in_flight: u64,
    pub(crate) rate_messages: u64,
    pub(crate) rate_burst: u64,
    pub(crate) rate_bytes: u64,
    pub(crate) queue_messages: u64,
    pub(crate) queue_bytes: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WireFailed<'a> {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) last: Option<u64>,
    #[serde(borrow)]
    pub(crate) reason: Text<'a>,
    #[serde(default)]
    pub(crate) retry_after_ms: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) limit: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WireStored<'a> {
    pub(crate) id: u64,
    #[serde(borrow)]
    pub(crate) stream: Text<'a>,
    #[serde(borrow)]
    pub(crate) epoch: Text<'a>,
    pub(crate) seq: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WireEarlier<'a> {
    #[serde(borrow)]
    pub(crate) mid: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) reason: Option<Text<'a>>,
}

/// A field that is an address or code in one frame and a number in another.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum NameOrNumber<'a> {
    Number(u64),
    Name(#[serde(borrow)] Text<'a>),
}

flat! {
    /// Any server frame.
    WireServer {
        agent: Text<'a>, session: Text<'a>, ticket: Text<'a>, code: NameOrNumber<'a>, message: Text<'a>, limit: Text<'a>,
        from: NameOrNumber<'a>, to: NameOrNumber<'a>, payload_b64: Text<'a>, mid: Text<'a>, reply_to: Text<'a>,
        correlation_id: Text<'a>, lane: Text<'a>, key: Text<'a>, headers: WireHeaders<'a>, stream: Text<'a>,
        epoch: Text<'a>, failed: Vec<WireFailed<'a>>, positions: Vec<WireStored<'a>>, earlier: Vec<WireEarlier<'a>>, state: Text<'a>, reason: Text<'a>,
        topics: Vec<Text<'a>>, reduced: Vec<Text<'a>>, reconnect: Text<'a>,
        members: Vec<Text<'a>>, joined: Vec<Text<'a>>, left: Vec<Text<'a>>,
        ;
        id: u64, protocol: u64, generation: u64, resumed: bool, heartbeat_ms: u64, lease_ms: u64,
        token_expires_in_ms: u64, server_time_ms: u64, limits: WireLimits, retry_after_ms: u64, ts: u64,
        deadline_ms: u64, seq: u64, redelivered: bool, queued: Vec<(u64, u64)>, accepted: Vec<(u64, u64)>,
        delivered: Vec<(u64, u64)>, unknown: Vec<(u64, u64)>, queued_messages: u64, queued_bytes: u64, direct: bool,
        dropped: u64, level: u64, recovered: bool, in_ms: u64, reconnect_after_ms: u64, closes_in_ms: u64,
        version: u64, count: u64,
    }
}
