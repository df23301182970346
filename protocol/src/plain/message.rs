//! The plain `message`.

use crate::address::Address;
use crate::client::Lane;
use crate::payload::Payload;
use crate::plain::{Plain, Seen, Values};
use crate::read_client::lane;
use crate::server::{Message, ServerFrame};

const FROM: u16 = 1;
const SESSION: u16 = 1 << 1;
const TO: u16 = 1 << 2;
const TS: u16 = 1 << 3;

const EMPTY: Message<'static> = Message {
    from: Address::EMPTY,
    session: Address::EMPTY,
    to: Address::EMPTY,
    ts: 0,
    payload: Payload::NULL,
    mid: None,
    reply_to: None,
    correlation_id: None,
    deadline_ms: None,
    lane: Lane::Normal,
    key: None,
    headers: Vec::new(),
    position: None,
    redelivered: false,
};

impl<'a> Plain<'a> for ServerFrame<'a> {
    const TYPE: &'static str = "message";
    const BEGINNING: &'static str = r#"{"type":"message""#;
    type Content = Message<'a>;

    #[inline]
    fn frequent(json: &[u8]) -> Option<(&'static str, usize)> {
        let keys = [
            ("from", r#""from":"#),
            ("session", r#""session":"#),
            ("to", r#""to":"#),
            ("ts", r#""ts":"#),
            ("payload", r#""payload":"#),
        ];
        for (key, written) in keys {
            if json.starts_with(written.as_bytes()) {
                return Some((key, written.len()));
            }
        }
        None
    }

    #[inline]
    fn empty(&mut self) -> Option<&mut Message<'a>> {
        *self = ServerFrame::Message(EMPTY);
        match self {
            ServerFrame::Message(message) => Some(message),
            _ => None,
        }
    }

    #[inline]
    fn read(
        message: &mut Message<'a>,
        seen: &mut Seen,
        key: &str,
        values: &mut impl Values<'a>,
    ) -> Option<()> {
        match key {
            "from" => {
                seen.once(FROM)?;
                message.from = Address::parse(values.text()?.into())?;
            }
            "session" => {
                seen.once(SESSION)?;
                message.session = Address::parse(values.text()?.into())?;
            }
            "to" => {
                seen.once(TO)?;
                message.to = Address::parse(values.text()?.into())?;
            }
            "ts" => {
                seen.once(TS)?;
                message.ts = values.number()?;
            }
            "payload" => {
                seen.once(1 << 4)?;
                message.payload = values.payload()?;
            }
            "mid" => {
                seen.once(1 << 5)?;
                message.mid = Some(values.text()?.into());
            }
            "reply_to" => {
                seen.once(1 << 6)?;
                message.reply_to = Some(Address::parse(values.text()?.into())?);
            }
            "correlation_id" => {
                seen.once(1 << 7)?;
                message.correlation_id = Some(values.text()?.into());
            }
            "deadline_ms" => {
                seen.once(1 << 8)?;
                message.deadline_ms = Some(values.number()?);
            }
            "lane" => {
                seen.once(1 << 9)?;
                message.lane = lane(Some(values.text()?)).ok()?;
            }
            _ => return None,
        }
        Some(())
    }

    #[inline]
    fn is_whole(seen: &Seen) -> bool {
        seen.all(FROM | SESSION | TO | TS)
    }
}
