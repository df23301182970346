//! From flat fields to a client frame that holds only what PROTOCOL.md allows.

use crate::address::{Address, AddressKind, is_token_name};
use crate::base64_text;
use crate::client::{ClientFrame, Headers, Lane, Point, Position, Qos, ReceiptMode, Resume, Rewind, Send};
use crate::error::{ErrorCode, FrameError};
use crate::limit;
use crate::payload::Payload;
use crate::strict::Map;
use crate::text::Text;
use crate::topic::{is_pattern, is_topic};
use crate::wire::{WireClient, WirePayload, WirePosition, WireResume};

type Refusal<'a> = (ErrorCode, Text<'a>);

/// Understands a client frame.
pub(crate) fn client_frame<'a, P: WirePayload<'a>>(
    wire: WireClient<'a, P>,
) -> Result<ClientFrame<'a>, FrameError<'a>> {
    let id = wire.id.filter(|id| is_command_id(*id));
    let is_send = wire.kind.as_deref() == Some("send");
    understand(wire).map_err(|(code, what)| FrameError { id, is_send, code, what })
}

fn understand<'a, P: WirePayload<'a>>(wire: WireClient<'a, P>) -> Result<ClientFrame<'a>, Refusal<'a>> {
    let kind = required(wire.kind.clone(), "type")?;
    match &*kind {
        "send" => send(wire).map(ClientFrame::Send),
        "pong" => Ok(ClientFrame::Pong),
        "ping" => Ok(ClientFrame::Ping { id: command_id(wire.id)? }),
        "ack" => Ok(ClientFrame::Ack(Position {
            stream: required(wire.stream, "stream")?,
            epoch: required(wire.epoch, "epoch")?,
            seq: required(wire.seq, "seq")?,
        })),
        "credit" => Ok(ClientFrame::Credit {
            messages: required(wire.messages, "messages")?,
            bytes: required(wire.bytes, "bytes")?,
        }),
        "subscribe" => Ok(ClientFrame::Subscribe {
            id: command_id(wire.id)?,
            topic: pattern(wire.topic)?,
            qos: qos(wire.qos)?,
            rewind: match wire.rewind.map(|Map(rewind)| (rewind.last, rewind.since_ms)) {
                None => None,
                Some((Some(count), None)) => Some(Rewind::Last(count)),
                Some((None, Some(time))) => Some(Rewind::SinceMs(time)),
                Some(_) => return Err(invalid("rewind")),
            },
            from: wire.from.map(|Map(from)| Point { epoch: from.epoch, seq: from.seq }),
            present: wire.present.unwrap_or(false),
        }),
        "unsubscribe" => {
            Ok(ClientFrame::Unsubscribe { id: command_id(wire.id)?, topic: pattern(wire.topic)? })
        }
        "join" => Ok(ClientFrame::Join { id: command_id(wire.id)?, group: group(wire.group)? }),
        "leave" => Ok(ClientFrame::Leave { id: command_id(wire.id)?, group: group(wire.group)? }),
        "watch" => Ok(ClientFrame::Watch { id: command_id(wire.id)?, to: watched(wire.to)? }),
        "unwatch" => Ok(ClientFrame::Unwatch { id: command_id(wire.id)?, to: watched(wire.to)? }),
        "hello" => hello(wire),
        "auth" => Ok(ClientFrame::Auth { id: command_id(wire.id)?, token: token(wire.token)? }),
        "bye" => Ok(ClientFrame::Bye),
        _ => Err((ErrorCode::UnknownFrame, shortened(kind))),
    }
}

fn hello<'a, P: WirePayload<'a>>(wire: WireClient<'a, P>) -> Result<ClientFrame<'a>, Refusal<'a>> {
    let resume = wire.resume.map(|Map(resume)| resumption(resume)).transpose()?;
    if wire.client.as_ref().is_some_and(|client| client.len() > limit::CLIENT_NAME_BYTES_MAX) {
        return Err((ErrorCode::TooLarge, "client".into()));
    }
    let token = wire.token.map(|text| token(Some(text))).transpose()?;
    let card =
        wire.card.map(|Map(card)| card.understand()).transpose().map_err(|code| (code, "card".into()))?;
    Ok(ClientFrame::Hello { id: command_id(wire.id)?, token, client: wire.client, resume, card })
}

fn resumption(wire: WireResume<'_>) -> Result<Resume<'_>, Refusal<'_>> {
    let streams = wire.streams.0;
    if streams.len() > limit::RESUME_STREAMS_MAX {
        return Err((ErrorCode::LimitExceeded, "resume".into()));
    }
    let streams =
        streams.into_iter().map(|Map(WirePosition { stream, epoch, seq })| Position { stream, epoch, seq });
    Ok(Resume { ticket: wire.ticket, streams: streams.collect() })
}

fn send<'a, P: WirePayload<'a>>(wire: WireClient<'a, P>) -> Result<Send<'a>, Refusal<'a>> {
    let send = Send {
        id: command_id(wire.id)?,
        to: address(required(wire.to, "to")?, "to")?,
        payload: payload(wire.payload, wire.payload_b64)?,
        qos: qos(wire.qos)?,
        receipt: match wire.receipt.as_deref() {
            None | Some("failure") => ReceiptMode::Failure,
            Some("none") => ReceiptMode::None,
            Some("all") => ReceiptMode::All,
            Some(_) => return Err(invalid("receipt")),
        },
        mid: token_name(wire.mid, "mid")?,
        reply_to: wire.reply_to.map(|text| address(text, "reply_to")).transpose()?,
        correlation_id: token_name(wire.correlation_id, "correlation_id")?,
        deadline_ms: lifetime(wire.deadline_ms, "deadline_ms")?,
        ttl_ms: lifetime(wire.ttl_ms, "ttl_ms")?,
        lane: lane(wire.lane.as_deref())?,
        key: token_name(wire.key, "key")?,
        headers: headers(wire.headers.map(|headers| headers.0).unwrap_or_default())?,
        counter: wire.counter,
        settled: wire.settled,
    };
    // Stored once under its name: two without one would be one.
    if send.qos == Qos::AtLeastOnce && send.mid.is_none() { Err(invalid("mid")) } else { Ok(send) }
}

/// The payload of the one field that is given.
pub(crate) fn payload<'a, P: WirePayload<'a>>(
    value: Option<P>,
    base64: Option<Text<'a>>,
) -> Result<Payload<'a>, Refusal<'a>> {
    match (value, base64) {
        (None, None) => Ok(Payload::NULL),
        (Some(value), None) => value.into_payload().ok_or_else(|| invalid("payload")),
        (None, Some(text)) => base64_text::decode(&text)
            .map(|bytes| Payload::Bytes(bytes.into()))
            .ok_or_else(|| invalid("payload_b64")),
        (Some(_), Some(_)) => Err(invalid("payload_b64")),
    }
}

pub(crate) fn lane<'a>(name: Option<&str>) -> Result<Lane, Refusal<'a>> {
    match name {
        None | Some("normal") => Ok(Lane::Normal),
        Some("high") => Ok(Lane::High),
        Some(_) => Err(invalid("lane")),
    }
}

fn address<'a>(text: Text<'a>, field: &'static str) -> Result<Address<'a>, Refusal<'a>> {
    Address::parse(text.0).ok_or((ErrorCode::InvalidAddress, field.into()))
}

fn pattern(text: Option<Text<'_>>) -> Result<Text<'_>, Refusal<'_>> {
    let text = required(text, "topic")?;
    if is_pattern(&text) { Ok(text) } else { Err((ErrorCode::InvalidAddress, "topic".into())) }
}

/// A group is named like a topic.
fn group(text: Option<Text<'_>>) -> Result<Text<'_>, Refusal<'_>> {
    let text = required(text, "group")?;
    if is_topic(&text) { Ok(text) } else { Err((ErrorCode::InvalidAddress, "group".into())) }
}

/// Whom one can watch: an agent, a group or a topic, all sessions of an agent being one.
fn watched(text: Option<Text<'_>>) -> Result<Address<'_>, Refusal<'_>> {
    let address = Address::parse(required(text, "to")?.0);
    let watchable = address.filter(|address| address.kind() != AddressKind::Session);
    watchable.ok_or((ErrorCode::InvalidAddress, "to".into()))
}

fn token(text: Option<Text<'_>>) -> Result<Text<'_>, Refusal<'_>> {
    let text = required(text, "token")?;
    if text.len() > limit::TOKEN_BYTES_MAX { Err((ErrorCode::TooLarge, "token".into())) } else { Ok(text) }
}

fn token_name<'a>(text: Option<Text<'a>>, field: &'static str) -> Result<Option<Text<'a>>, Refusal<'a>> {
    match text {
        Some(text) if !is_token_name(&text) => Err(invalid(field)),
        text => Ok(text),
    }
}

fn lifetime<'a>(value: Option<u64>, field: &'static str) -> Result<Option<u64>, Refusal<'a>> {
    match value {
        Some(ms) if ms > limit::TTL_MS_MAX => Err(invalid(field)),
        value => Ok(value),
    }
}

fn headers(headers: Headers<'_>) -> Result<Headers<'_>, Refusal<'_>> {
    if headers.len() > limit::HEADERS_MAX {
        return Err((ErrorCode::LimitExceeded, "headers".into()));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limit::HEADERS_BYTES_MAX {
        return Err((ErrorCode::TooLarge, "headers".into()));
    }
    Ok(headers)
}

fn qos<'a>(value: Option<u64>) -> Result<Qos, Refusal<'a>> {
    match value {
        None | Some(0) => Ok(Qos::AtMostOnce),
        Some(1) => Ok(Qos::AtLeastOnce),
        Some(_) => Err(invalid("qos")),
    }
}

/// What is no id of a command names none in an answer either, nor counts as the last one.
pub(crate) fn is_command_id(id: u64) -> bool {
    (1..=limit::ID_MAX).contains(&id)
}

fn command_id<'a>(id: Option<u64>) -> Result<u64, Refusal<'a>> {
    match id {
        Some(id) if is_command_id(id) => Ok(id),
        _ => Err(invalid("id")),
    }
}

fn required<'a, T>(value: Option<T>, field: &'static str) -> Result<T, Refusal<'a>> {
    value.ok_or_else(|| invalid(field))
}

fn invalid<'a>(field: &'static str) -> Refusal<'a> {
    (ErrorCode::InvalidFrame, field.into())
}

/// A name from outside that goes back in an error: not longer than a person reads.
pub(crate) fn shortened(text: Text<'_>) -> Text<'_> {
    const SHOWN_CHARS_MAX: usize = 32;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text,
        Some((end, _)) => text[..end].to_owned().into(),
    }
}
