//! What the scripts answer.

use std::sync::Arc;

use fred::types::Value;

use crate::bus::InstanceId;
use crate::streams::{Appended, Marks, Opened, Range, Stored, StoredMessage};

/// How a stream stands: the first five words.
pub(super) fn marks(words: &[String]) -> Option<Marks> {
    let [epoch, former, last, first, head, ..] = words else { return None };
    let (last, first, head) = (last.parse().ok()?, first.parse().ok()?, head.parse().ok()?);
    let former: Option<Arc<str>> = (!former.is_empty()).then(|| former.as_str().into());
    Some(Marks { epoch: epoch.as_str().into(), former: former.map(|former| (former, last)), first, head })
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
    let stored: Option<Vec<Stored>> = words.get(6..)?.iter().map(|word| stored(word)).collect();
    let stored = stored.filter(|stored| stored.len() == count)?;
    Some(Appended { stored, marks: Some(marks), readers })
}

fn stored(word: &str) -> Option<Stored> {
    let (what, seq) = word.split_once(' ')?;
    let seq = seq.parse().ok()?;
    Some(match what {
        "stored" => Stored::At(seq),
        "repeat" => Stored::Repeat { seq, delivered: false },
        "delivered" => Stored::Repeat { seq, delivered: true },
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
