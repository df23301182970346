//! Garbage and damaged messages.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use relay_protocol::{Data, Encoding, decode_client, decode_server};

use crate::{FRAMES_MAX, client_message, encoding, frames, read_client, read_server, server_message};

/// One change to some bytes.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let marker = proptest::sample::select(&[
        0x80, 0x90, 0xc1, 0xc6, 0xc7, 0xdb, 0xdd, 0xdf, 0xff, b'"', b'[', b'{', b'\\',
    ]);
    prop_oneof![
        (any::<Index>(), prop_oneof![any::<u8>(), marker]).prop_map(|(at, byte)| Damage::Set(at, byte)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let length = bytes.len().max(1);
        match damage {
            Damage::Set(at, byte) => {
                if let Some(place) = bytes.get_mut(at.index(length)) {
                    *place = *byte;
                }
            }
            Damage::Cut(at) => bytes.truncate(at.index(length)),
            Damage::Insert(at, inserted) => {
                let at = at.index(length).min(bytes.len());
                bytes.splice(at..at, inserted.iter().copied());
            }
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(length).min(bytes.len()), to.index(length).min(bytes.len()));
                let repeated = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend(repeated);
            }
        }
    }
    bytes
}

/// Whatever comes out of any bytes is a frame that can be written and read again, within the bound of frames.
fn survives(encoding: Encoding, data: &[u8]) {
    let Ok(data) = Data::new(encoding, data) else { return };
    let mut handed = 0;
    let _ = decode_client(data, FRAMES_MAX, |frame| {
        handed += 1;
        if let Ok(frame) = frame {
            for other in Encoding::ALL {
                let only = std::slice::from_ref(&*frame);
                assert_eq!(read_client(other, &client_message(other, only)), only);
            }
        }
    });
    assert!(handed <= FRAMES_MAX);
    let _ = decode_server(data, FRAMES_MAX, |frame| {
        if let Ok(frame) = frame {
            for other in Encoding::ALL {
                let only = std::slice::from_ref(&*frame);
                assert_eq!(read_server(other, &server_message(other, only).bytes), only);
            }
        }
    });
}

#[test]
fn garbage_never_panics() {
    frames::for_all(&(encoding(), vec(any::<u8>(), 0..200)), |(encoding, bytes)| {
        survives(encoding, &bytes);
        Ok(())
    });
}

#[test]
fn damaged_messages_never_panic() {
    let input = (encoding(), vec(frames::client(), 1..4), vec(frames::server(), 1..4), vec(damage(), 1..4));
    frames::for_all(&input, |(encoding, client, server, damages)| {
        survives(encoding, &damaged(client_message(encoding, &client), &damages));
        survives(encoding, &damaged(server_message(encoding, &server).bytes.to_vec(), &damages));
        Ok(())
    });
}
