//! Words as bytes.

use relay_protocol::Encoding;
use relay_protocol::client::Lane;

use crate::router::envelope::Nack;

pub(super) const fn encoding_byte(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Json => 0,
        Encoding::Msgpack => 1,
    }
}

pub(super) const fn encoding(byte: u8) -> Option<Encoding> {
    match byte {
        0 => Some(Encoding::Json),
        1 => Some(Encoding::Msgpack),
        _ => None,
    }
}

pub(super) const fn lane_byte(lane: Lane) -> u8 {
    match lane {
        Lane::Normal => 0,
        Lane::High => 1,
    }
}

pub(super) const fn lane(byte: u8) -> Option<Lane> {
    match byte {
        0 => Some(Lane::Normal),
        1 => Some(Lane::High),
        _ => None,
    }
}

/// A reason of a later release is, at least, that the message did not arrive.
pub(super) const fn nack_of(byte: u8) -> Nack {
    match byte {
        1 => Nack::NotHere,
        2 => Nack::Saturated,
        3 => Nack::Expired,
        4 => Nack::Held,
        _ => Nack::Lost,
    }
}
