//! What is sent again is stored once, and what comes out of turn not at all.

use crate::streams::conformance::{append, message, topic};
use crate::streams::{Append, Stored, StreamStore};

/// The repeat of a message has the place of the first, whoever is asked; another sender's mid is another.
pub(super) async fn repeats(a: &dyn StreamStore, b: &dyn StreamStore) {
    let stream = topic("repeats");
    assert_eq!(
        append(a, &stream, vec![message("m", "one"), message("m", "two")]).await,
        [Stored::At(1), Stored::Repeat { seq: 1, delivered: false }]
    );
    assert_eq!(
        append(b, &stream, vec![message("m", "one")]).await,
        [Stored::Repeat { seq: 1, delivered: false }]
    );
    let other = Append { from: "carol".into(), ..message("m", "one") };
    assert_eq!(append(b, &stream, vec![other]).await, [Stored::At(2)]);
    // Also when the message itself is gone.
    let many = (0..30).map(|number| message(&format!("r{number}"), "x")).collect();
    append(a, &stream, many).await;
    assert_eq!(
        append(a, &stream, vec![message("m", "one")]).await,
        [Stored::Repeat { seq: 1, delivered: false }]
    );
}

/// Of a session only the next message of its newest connection is taken; each session counts for itself.
pub(super) async fn counters(a: &dyn StreamStore) {
    let stream = topic("counters");
    let counted =
        |mid: &str, generation, counter| Append { generation, counter: Some(counter), ..message(mid, "x") };
    let told = append(
        a,
        &stream,
        vec![
            counted("c1", 1, 1),
            counted("c3", 1, 3),
            counted("c2", 1, 2),
            counted("c2", 1, 2),
            counted("c3", 2, 3),
            counted("c4", 1, 4),
            counted("c4", 2, 4),
            counted("c4 again", 2, 4),
        ],
    )
    .await;
    assert_eq!(
        told,
        [
            Stored::At(1),
            Stored::OutOfOrder,
            Stored::At(2),
            Stored::Repeat { seq: 2, delivered: false },
            Stored::At(3),
            Stored::OutOfOrder,
            Stored::At(4),
            Stored::OutOfOrder,
        ]
    );
    let other = Append { session: "alice~2".into(), ..counted("d", 1, 9) };
    assert_eq!(
        append(a, &stream, vec![other, message("uncounted", "x")]).await,
        [Stored::At(5), Stored::At(6)]
    );
}

/// What its sender has the outcome of it does not send again, whatever is remembered of it; what has none is not overtaken.
pub(super) async fn settled(a: &dyn StreamStore, b: &dyn StreamStore) {
    let stream = topic("settled");
    let counted = |mid: &str, counter, settled| Append {
        counter: Some(counter),
        settled: Some(settled),
        ..message(mid, "x")
    };
    let told = append(
        a,
        &stream,
        vec![
            counted("s6", 6, 4),
            counted("s5", 5, 4),
            counted("s6", 6, 4),
            counted("s8", 8, 6),
            // The seventh had an outcome and is not remembered.
            counted("s8", 8, 7),
            counted("s7", 7, 6),
        ],
    )
    .await;
    assert_eq!(
        told,
        [
            Stored::OutOfOrder,
            Stored::At(1),
            Stored::At(2),
            Stored::OutOfOrder,
            Stored::At(3),
            Stored::OutOfOrder,
        ]
    );
    // A repeat by another session of its agent has its place there too.
    let later = |mid: &str, counter| Append { session: "alice~2".into(), ..counted(mid, counter, 7) };
    assert_eq!(
        append(b, &stream, vec![later("s9", 9), later("s8", 8), later("s9", 9)]).await,
        [Stored::OutOfOrder, Stored::Repeat { seq: 3, delivered: false }, Stored::At(4)]
    );
}
