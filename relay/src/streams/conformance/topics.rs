//! A tenant makes so many topic streams and no more.

use std::sync::Arc;

use crate::streams::conformance::{SETTINGS, append, message, read, topic};
use crate::streams::{Stored, StreamKey, StreamStore};

/// Who waits for a topic's first message reads on from where it waits, whichever instance asked.
pub(super) async fn waiting(a: &dyn StreamStore, b: &dyn StreamStore) {
    let stream = topic("waiting");
    let unmade = a.marks(stream.clone()).await.unwrap();
    assert!(unmade.is_unmade());
    assert_eq!((unmade.first, unmade.head), (1, 0));
    assert_eq!(b.marks(stream.clone()).await, Ok(unmade.clone()));
    for mid in ["w1", "w2"] {
        append(b, &stream, vec![message(mid, "x")]).await;
    }
    let made = a.marks(stream.clone()).await.unwrap();
    assert_eq!((made.is_unmade(), made.head), (false, 2));
    assert_eq!(made.translate(&unmade.epoch, 0), Some(0));
    assert_eq!(read(a, &stream, 0).await.marks, made);
}

/// At the bound what is there goes on, whoever is asked; another topic is refused and leaves nothing behind. Other
/// tenants have bounds of their own.
pub(super) async fn bound(a: &dyn StreamStore, b: &dyn StreamStore) {
    let tenant: Arc<str> = "prolific".into();
    let numbered = |number: usize| StreamKey::topic(&tenant, &format!("topic{number}"));
    for number in 0..SETTINGS.topics {
        let store = if number % 2 == 0 { a } else { b };
        assert_eq!(append(store, &numbered(number), vec![message("1", "x")]).await, [Stored::At(1)]);
    }
    let further = numbered(SETTINGS.topics);
    for store in [a, b] {
        let two = vec![message("1", "x"), message("2", "x")];
        let refused = store.append(further.clone(), two).await.unwrap();
        assert_eq!(refused.stored, [Stored::TooManyTopics; 2]);
        assert_eq!(refused.marks, None);
        assert_eq!(store.read(further.clone(), 0, 1_000).await, Ok(None), "a refusal makes nothing");
        assert_eq!(
            append(store, &numbered(0), vec![message("1", "x")]).await,
            [Stored::Repeat { seq: 1, delivered: false }]
        );
    }
    for number in 0..SETTINGS.topics {
        assert_eq!(append(b, &numbered(number), vec![message("2", "x")]).await, [Stored::At(2)]);
    }
    let other = StreamKey::topic(&"modest".into(), "topic");
    assert_eq!(append(a, &other, vec![message("1", "x")]).await, [Stored::At(1)]);
}
