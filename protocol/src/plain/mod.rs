//! The one frame that comes by the million, `send`, read in one pass in the form in which clients write it.
//!
//! Only a shortcut: whatever is not plain (an escape in a name, a field that is seldom used or stands twice, a number of
//! another form, anything to be refused) is left to serde, which alone decides. What is read here is what serde reads,
//! several times as fast (`cargo bench --bench codec`); a property holds the two against each other.
//!
//! A send fills several cache lines, so it is written where it stays: moving it costs as much as reading it.

mod json;
mod msgpack;

use crate::address::{Address, is_token_name};
use crate::client::{ClientFrame, ReceiptMode, Send};
use crate::limit;
use crate::payload::Payload;
use crate::read_client::{is_command_id, lane};
use crate::text::Text;

pub(crate) use json::json_send;
pub(crate) use msgpack::msgpack_send;

/// Values of one encoding, read in order.
trait Values<'a> {
    fn number(&mut self) -> Option<u64>;
    fn text(&mut self) -> Option<&'a str>;
    fn payload(&mut self) -> Option<Payload<'a>>;
}

/// The fields that were read, a bit each: a second one of a name is not plain.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    const ID: u16 = 1;
    const TO: u16 = 1 << 1;

    fn once(&mut self, field: u16) -> Option<()> {
        let new = self.0 & field == 0;
        self.0 |= field;
        new.then_some(())
    }

    fn is_whole(&self) -> bool {
        self.0 & (Seen::ID | Seen::TO) == Seen::ID | Seen::TO
    }
}

/// Makes `frame` a send with nothing in it.
#[inline]
fn empty_send<'f, 'a>(frame: &'f mut ClientFrame<'a>) -> Option<&'f mut Send<'a>> {
    *frame = ClientFrame::Send(Send::new(0, Address::EMPTY, Payload::NULL));
    match frame {
        ClientFrame::Send(send) => Some(send),
        _ => None,
    }
}

/// Reads the value of the field `key` into `send`.
#[inline]
fn field<'a>(send: &mut Send<'a>, seen: &mut Seen, key: &str, values: &mut impl Values<'a>) -> Option<()> {
    match key {
        "id" => {
            seen.once(Seen::ID)?;
            send.id = values.number().filter(|id| is_command_id(*id))?;
        }
        "to" => {
            seen.once(Seen::TO)?;
            send.to = Address::parse(values.text()?.into())?;
        }
        "payload" => {
            seen.once(1 << 2)?;
            send.payload = values.payload()?;
        }
        "mid" => {
            seen.once(1 << 3)?;
            send.mid = Some(token_name(values.text()?)?);
        }
        "receipt" => {
            seen.once(1 << 4)?;
            send.receipt = match values.text()? {
                "failure" => ReceiptMode::Failure,
                "none" => ReceiptMode::None,
                "all" => ReceiptMode::All,
                _ => return None,
            };
        }
        "reply_to" => {
            seen.once(1 << 5)?;
            send.reply_to = Some(Address::parse(values.text()?.into())?);
        }
        "correlation_id" => {
            seen.once(1 << 6)?;
            send.correlation_id = Some(token_name(values.text()?)?);
        }
        "deadline_ms" => {
            seen.once(1 << 7)?;
            send.deadline_ms = Some(lifetime(values.number()?)?);
        }
        "ttl_ms" => {
            seen.once(1 << 8)?;
            send.ttl_ms = Some(lifetime(values.number()?)?);
        }
        "lane" => {
            seen.once(1 << 9)?;
            send.lane = lane(Some(values.text()?)).ok()?;
        }
        _ => return None,
    }
    Some(())
}

fn token_name(name: &str) -> Option<Text<'_>> {
    is_token_name(name).then(|| name.into())
}

fn lifetime(ms: u64) -> Option<u64> {
    (ms <= limit::TTL_MS_MAX).then_some(ms)
}

#[cfg(test)]
mod tests;
