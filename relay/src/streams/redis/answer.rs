//! What the scripts answer.

use std::sync::Arc;

use fred::types::Value;

use crate::bus::InstanceId;
use crate::streams::{
    Appended, Delivered, Found, Given, Marks, Opened, Range, ReturnAddress, Stored, StoredMessage, Taken,
};

/// How a stream stands: the first five words.
pub(super) fn marks(words: &[String]) -> Option<Marks> {
    let [epoch, former, last, first, head, ..] = words else { return None };
    let (last, first, head) = (last.parse().ok()?, first.parse().ok()?, head.parse().ok()?);
    let former: Option<Arc<str>> = (!former.is_empty()).then(|| former.as_str().into());
    Some(Marks { epoch: epoch.as_str().into(), former: former.map(|former| (former, last)), first, head })
}

/// How a topic's stream stands; the history of the Redis alone where there is none.
pub(super) fn found_marks(words: &[String]) -> Option<Marks> {
    match words {
        [history] => Some(Marks::unmade(history)),
        words => marks(words),
    }
}

pub(super) fn opened(words: &[String]) -> Option<Opened> {
    let marks = marks(words)?;
    let [resumed, generation, before, position] = words.get(5..)? else { return None };
    Some(Opened {
        resumed: resumed == "1",
        generation: generation.parse().ok()?,
        before: InstanceId::parse(before),
        position: if position.is_empty() { None } else { Some(position.parse().ok()?) },
        marks,
    })
}

/// What became of `count` messages; nothing answered means that there is no such agent.
pub(super) fn appended(words: &[String], count: usize) -> Option<Appended> {
    if words.is_empty() {
        return Some(Appended { stored: vec![Stored::NoRecipient; count], marks: None, readers: Vec::new() });
    }
    let marks = marks(words)?;
    let readers = words.get(5)?.split_whitespace().filter_map(InstanceId::parse).collect();
    let stored: Option<Vec<Stored>> = words.get(7..)?.iter().map(|word| stored(word)).collect();
    let stored = stored.filter(|stored| stored.len() == count)?;
    Some(Appended { stored, marks: Some(marks), readers })
}

/// When the inbox is to be looked at, in milliseconds, if it is to be entered for that.
pub(super) fn due(words: &[String]) -> Option<&str> {
    words.get(6).map(String::as_str).filter(|due| !due.is_empty())
}

fn stored(word: &str) -> Option<Stored> {
    let (what, seq) = word.split_once(' ')?;
    let seq = seq.parse().ok()?;
    Some(match what {
        "stored" => Stored::At(seq),
        "repeat" => Stored::Repeat { seq, delivered: false },
        "delivered" => Stored::Repeat { seq, delivered: true },
        "expired" => Stored::Expired,
        "nobody" => Stored::NoRecipient,
        "full" => Stored::Saturated,
        _ => Stored::OutOfOrder,
    })
}

pub(super) fn range(values: Vec<Value>) -> Option<Range> {
    let words: Vec<String> = values.iter().take(6).map(Value::as_string).collect::<Option<_>>()?;
    let marks = marks(&words)?;
    let now_ms = words.get(5)?.parse().ok()?;
    let mut messages = Vec::with_capacity(values.len() / 4);
    let mut rest = values.into_iter().skip(6);
    while let (Some(seq), Some(at), Some(expires), Some(body)) =
        (rest.next(), rest.next(), rest.next(), rest.next())
    {
        messages.push(StoredMessage {
            seq: seq.as_u64()?,
            at_ms: at.as_u64()?,
            expires_at_ms: expires.as_u64()?,
            body: body.into_bytes()?,
        });
    }
    Some(Range { marks, now_ms, messages })
}

/// Who hears that a message was delivered, or expired.
pub(super) fn delivered(words: &[String]) -> Vec<Delivered> {
    let delivered = |told: &String| {
        let (kind, to) = told.split_once(' ')?;
        Some(Delivered { to: ReturnAddress::parse(to)?, expired: kind == "e" })
    };
    words.iter().filter_map(delivered).collect()
}

/// Who is to hear that something was presented; nothing if it was said by a connection that is not the session's latest.
pub(super) fn acknowledged(words: &[String]) -> Option<Vec<Delivered>> {
    (words != ["another connection"]).then(|| delivered(words))
}

/// What became of `count` jobs.
pub(super) fn given(values: Vec<Value>, count: usize) -> Option<Given> {
    let [instances, fates, told] = <[Value; 3]>::try_from(values).ok()?;
    let instances = instances.as_string()?.split_whitespace().filter_map(InstanceId::parse).collect();
    let stored: Option<Vec<Stored>> = words(fates)?.iter().map(|word| stored(word)).collect();
    let stored = stored.filter(|stored| stored.len() == count)?;
    Some(Given { stored, instances, told: delivered(&words(told)?) })
}

/// What a look at a pending list found.
pub(super) fn found(values: Vec<Value>) -> Option<Found> {
    let [epoch, now_ms, waiting, in_hand, put_back, told, jobs] = <[Value; 7]>::try_from(values).ok()?;
    let (mut taken, mut rest) = (Vec::new(), jobs.into_array().into_iter());
    while let (Some(session), Some(again), Some(seq), Some(at), Some(expires), Some(body)) =
        (rest.next(), rest.next(), rest.next(), rest.next(), rest.next(), rest.next())
    {
        let message = StoredMessage {
            seq: seq.as_u64()?,
            at_ms: at.as_u64()?,
            expires_at_ms: expires.as_u64()?,
            body: body.into_bytes()?,
        };
        let session = session.as_string()?.into();
        taken.push(Taken { session, again: again.as_u64()? == 1, message });
    }
    Some(Found {
        epoch: epoch.as_string()?.into(),
        now_ms: now_ms.as_u64()?,
        waiting: waiting.as_u64()?,
        in_hand: in_hand.as_u64()?,
        put_back: put_back.as_u64()?,
        told: delivered(&words(told)?),
        jobs: taken,
    })
}

fn words(values: Value) -> Option<Vec<String>> {
    values.into_array().iter().map(Value::as_string).collect()
}
