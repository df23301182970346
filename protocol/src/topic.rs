//! Topics and the patterns that subscribe to them.

use crate::address::is_word;
use crate::limit;

/// Whether `name` is a topic: words joined by dots.
pub fn is_topic(name: &str) -> bool {
    let mut segments = 0;
    name.len() <= limit::TOPIC_BYTES_MAX
        && name.split('.').all(|segment| {
            segments += 1;
            !segment.is_empty() && segment.bytes().all(is_word)
        })
        && segments <= limit::TOPIC_SEGMENTS_MAX
}

/// Whether `name` is a pattern: a topic, or a topic with `*` for its last segment, or `*`.
pub fn is_pattern(name: &str) -> bool {
    if name.len() > limit::TOPIC_BYTES_MAX {
        return false;
    }
    match name.strip_suffix('*') {
        None => is_topic(name),
        Some("") => true,
        Some(head) => {
            name.split('.').count() <= limit::TOPIC_SEGMENTS_MAX
                && head.strip_suffix('.').is_some_and(is_topic)
        }
    }
}

/// Whether `pattern` matches `topic`; `a.*` matches `a.b` and `a.b.c`, not `a`.
pub fn matches(pattern: &str, topic: &str) -> bool {
    match pattern.strip_suffix('*') {
        None => pattern == topic,
        Some(head) => topic.len() > head.len() && topic.starts_with(head),
    }
}

/// Whether every topic that `narrow` matches is matched by `wide` too.
pub fn covers(wide: &str, narrow: &str) -> bool {
    match (wide.strip_suffix('*'), narrow.strip_suffix('*')) {
        (None, None) => wide == narrow,
        (None, Some(_)) => false,
        (Some(wide_head), Some(narrow_head)) => narrow_head.starts_with(wide_head),
        (Some(_), None) => matches(wide, narrow),
    }
}

/// The patterns ending in `*` that match `topic`, widest first: `*`, `a.*`, `a.b.*` for `a.b.c`.
pub fn wildcards(topic: &str) -> impl Iterator<Item = String> + '_ {
    std::iter::once("*".to_owned())
        .chain(topic.match_indices('.').map(|(dot, _)| format!("{}.*", &topic[..dot])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_topics_with_a_trailing_star() {
        for good in ["a", "a.b", "*", "a.*", "a-1.b_2.*"] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in ["", ".", "a.", "a*", "*.a", "a.*.b", "a..*", ".*", "a.b.c.d.e.f.g.h.*"] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }

    #[test]
    fn a_star_stands_for_one_or_more_segments() {
        assert!(matches("a.*", "a.b") && matches("a.*", "a.b.c") && matches("*", "a"));
        assert!(!matches("a.*", "a") && !matches("a.*", "ab.c") && !matches("a", "a.b"));
    }

    #[test]
    fn the_wildcards_of_a_topic_are_those_that_match_it() {
        let all: Vec<String> = wildcards("a.b.c").collect();
        assert_eq!(all, ["*", "a.*", "a.b.*"]);
        assert!(all.iter().all(|pattern| matches(pattern, "a.b.c") && is_pattern(pattern)));
        assert!(
            covers("*", "a.*") && covers("a.*", "a.b.*") && covers("a.*", "a.b") && !covers("a.b.*", "a.*")
        );
        assert!(!covers("a", "a.*") && covers("a.*", "a.*"));
    }
}
