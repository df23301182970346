//! The plain `send`.

use crate::address::{Address, is_token_name};
use crate::client::{ClientFrame, ReceiptMode, Send};
use crate::limit;
use crate::payload::Payload;
use crate::plain::{Plain, Seen, Values};
use crate::read_client::{is_command_id, lane};
use crate::text::Text;

const ID: u16 = 1;
const TO: u16 = 1 << 1;

impl<'a> Plain<'a> for ClientFrame<'a> {
    const TYPE: &'static str = "send";
    const BEGINNING: &'static str = r#"{"type":"send""#;
    type Content = Send<'a>;

    #[inline]
    fn frequent(json: &[u8]) -> Option<(&'static str, usize)> {
        for (key, written) in [("id", r#""id":"#), ("to", r#""to":"#), ("payload", r#""payload":"#)] {
            if json.starts_with(written.as_bytes()) {
                return Some((key, written.len()));
            }
        }
        None
    }

    #[inline]
    fn empty(&mut self) -> Option<&mut Send<'a>> {
        *self = ClientFrame::Send(Send::new(0, Address::EMPTY, Payload::NULL));
        match self {
            ClientFrame::Send(send) => Some(send),
            _ => None,
        }
    }

    #[inline]
    fn read(send: &mut Send<'a>, seen: &mut Seen, key: &str, values: &mut impl Values<'a>) -> Option<()> {
        match key {
            "id" => {
                seen.once(ID)?;
                send.id = values.number().filter(|id| is_command_id(*id))?;
            }
            "to" => {
                seen.once(TO)?;
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

    #[inline]
    fn is_whole(seen: &Seen) -> bool {
        seen.all(ID | TO)
    }
}

fn token_name(name: &str) -> Option<Text<'_>> {
    is_token_name(name).then(|| name.into())
}

fn lifetime(ms: u64) -> Option<u64> {
    (ms <= limit::TTL_MS_MAX).then_some(ms)
}
