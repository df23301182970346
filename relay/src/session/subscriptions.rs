//! The patterns a session wishes for. Two patterns either have no topic in common or one covers the other, so only the
//! widest are in force and each message comes once.

use std::sync::Arc;

use relay_protocol::topic::covers;

/// The patterns of a session. At most a few hundred, looked through in order.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Vec<Subscription>);

#[derive(Debug)]
struct Subscription {
    pattern: Arc<str>,
    in_force: bool,
}

/// What a wish or its end changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// To be subscribed to now.
    pub(super) begin: Vec<Arc<str>>,
    /// To be left now.
    pub(super) end: Vec<Arc<str>>,
}

impl Subscriptions {
    /// How many wishes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Every wish.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|subscription| &subscription.pattern)
    }

    /// Whether `pattern` is wished for.
    pub(super) fn contains(&self, pattern: &str) -> bool {
        self.patterns().any(|own| **own == *pattern)
    }

    /// The pattern in force that brings the messages of `pattern`.
    pub(super) fn carrier(&self, pattern: &str) -> Option<&Arc<str>> {
        self.0
            .iter()
            .find(|subscription| subscription.in_force && covers(&subscription.pattern, pattern))
            .map(|subscription| &subscription.pattern)
    }

    /// Wishes for `pattern`.
    pub(super) fn wish(&mut self, pattern: &Arc<str>) -> Change {
        let mut change = Change::default();
        if self.contains(pattern) {
            return change;
        }
        let in_force = self.carrier(pattern).is_none();
        if in_force {
            change.begin.push(Arc::clone(pattern));
            for narrow in self.0.iter_mut().filter(|own| own.in_force && covers(pattern, &own.pattern)) {
                narrow.in_force = false;
                change.end.push(Arc::clone(&narrow.pattern));
            }
        }
        self.0.push(Subscription { pattern: Arc::clone(pattern), in_force });
        change
    }

    /// Takes a wish back; narrower ones that it stood for come into force.
    pub(super) fn forget(&mut self, pattern: &str) -> Change {
        let mut change = Change::default();
        let Some(at) = self.0.iter().position(|own| *own.pattern == *pattern) else { return change };
        let gone = self.0.swap_remove(at);
        if !gone.in_force {
            return change;
        }
        change.end.push(gone.pattern);
        // Widest first, so that the narrower among them stay out of force.
        let mut order: Vec<usize> = (0..self.0.len()).filter(|index| !self.0[*index].in_force).collect();
        order.sort_by_key(|index| {
            self.0[*index].pattern.len() - usize::from(self.0[*index].pattern.ends_with('*'))
        });
        for index in order {
            if self.carrier(&self.0[index].pattern).is_none() {
                self.0[index].in_force = true;
                change.begin.push(Arc::clone(&self.0[index].pattern));
            }
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(patterns: &[Arc<str>]) -> Vec<&str> {
        let mut names: Vec<&str> = patterns.iter().map(|pattern| &**pattern).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn only_the_widest_are_in_force() {
        let mut own = Subscriptions::default();
        assert_eq!(names(&own.wish(&"a.b".into()).begin), ["a.b"]);
        assert_eq!(names(&own.wish(&"a.c".into()).begin), ["a.c"]);
        let wide = own.wish(&"a.*".into());
        assert_eq!((names(&wide.begin), names(&wide.end)), (vec!["a.*"], vec!["a.b", "a.c"]));
        assert_eq!(own.wish(&"a.c.*".into()), Change::default());
        assert_eq!(own.wish(&"a.c".into()), Change::default());
        assert_eq!(own.carrier("a.c.d").map(|pattern| &**pattern), Some("a.*"));
        let left = own.forget("a.*");
        assert_eq!((names(&left.begin), names(&left.end)), (vec!["a.b", "a.c", "a.c.*"], vec!["a.*"]));
        assert_eq!(own.forget("a.*"), Change::default());
        assert_eq!(own.len(), 3);
    }
}
