//! Arbitrary names, addresses, texts and payloads.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use relay_protocol::client::{Headers, Lane, Point, Position};
use relay_protocol::{Address, Payload, Text};

pub(super) type Words = Text<'static>;

pub(super) fn id() -> impl Strategy<Value = u64> {
    prop_oneof![1..300u64, 1..=relay_protocol::limit::ID_MAX]
}

/// Any text: control characters, quotes and all.
pub(super) fn text() -> impl Strategy<Value = Words> {
    prop_oneof![any::<String>(), "[ -~]{0,40}", "[\"\\\\\u{0}-\u{1f}é😀]{0,8}"].prop_map(Text::from)
}

pub(super) fn token_name() -> impl Strategy<Value = Words> {
    "[A-Za-z0-9_.:~-]{1,64}".prop_map(Text::from)
}

pub(super) fn pattern() -> impl Strategy<Value = Words> {
    prop_oneof!["[A-Za-z0-9_-]{1,15}(\\.[A-Za-z0-9_-]{1,15}){0,6}(\\.\\*)?", Just("*".to_owned())]
        .prop_map(Text::from)
}

pub(super) fn agent() -> impl Strategy<Value = Address<'static>> {
    "agent/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}".prop_map(parsed)
}

pub(super) fn session() -> impl Strategy<Value = Address<'static>> {
    "session/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}~[A-Za-z0-9_-]{22}".prop_map(parsed)
}

pub(super) fn address() -> impl Strategy<Value = Address<'static>> {
    prop_oneof![
        agent(),
        session(),
        "(topic|group)/[A-Za-z0-9_-]{1,15}(\\.[A-Za-z0-9_-]{1,15}){0,7}".prop_map(parsed),
    ]
}

fn parsed(text: String) -> Address<'static> {
    Address::parse(text.into()).expect("the pattern writes addresses only")
}

pub(super) fn headers() -> impl Strategy<Value = Headers<'static>> {
    btree_map(".{0,12}", ".{0,12}", 0..=16)
        .prop_map(|headers| headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

pub(super) fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Normal), Just(Lane::High)]
}

pub(super) fn point() -> impl Strategy<Value = Point<'static>> {
    (text(), any::<u64>()).prop_map(|(epoch, seq)| Point { epoch, seq })
}

pub(super) fn position() -> impl Strategy<Value = Position<'static>> {
    (text(), text(), any::<u64>()).prop_map(|(stream, epoch, seq)| Position { stream, epoch, seq })
}

pub(super) fn payload() -> impl Strategy<Value = Payload<'static>> {
    prop_oneof![
        json_text().prop_map(|text| Payload::Json(text.into())),
        vec(any::<u8>(), 0..80).prop_map(|bytes| Payload::Bytes(bytes.into())),
    ]
}

/// JSON as a person or another library might write it, down to white space and numbers that no float holds.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "null|true|false|-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?",
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[\"\\\\/bfnrt]|[ !#-\\[\\]-~é]){0,9}\"",
    ];
    let space = "[ \t\r\n]{0,2}";
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..4), space)
                .prop_map(|(values, space)| format!("[{space}{}]", values.join(&format!("{space},{space}")))),
            (vec((any::<String>(), inner), 0..4), space).prop_map(|(entries, space)| {
                let entry = |(key, value): &(String, String)| {
                    format!("{}{space}:{value}", serde_json::Value::from(key.as_str()))
                };
                format!("{{{}{space}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
            }),
        ]
    })
}
