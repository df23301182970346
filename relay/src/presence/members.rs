//! Those who are present at one place, and what of it a watcher is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use relay_protocol::Address;
use relay_protocol::Text;
use relay_protocol::server::Presence as News;

/// The most agents that are told by name; of more only how many.
const NAMED_MAX: usize = 100;

/// The agents that are present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(BTreeSet<Arc<str>>);

impl FromIterator<Arc<str>> for Members {
    fn from_iter<I: IntoIterator<Item = Arc<str>>>(agents: I) -> Members {
        Members(agents.into_iter().collect())
    }
}

impl Members {
    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Their names, where there are few enough.
    pub fn names(&self) -> Option<Vec<&str>> {
        (self.0.len() <= NAMED_MAX).then(|| self.0.iter().map(|agent| &**agent).collect())
    }

    /// What is news to somebody who was told of `before`, if anything is.
    pub(super) fn news<'a>(&'a self, before: Option<&'a Members>, to: &'a Address<'_>) -> Option<News<'a>> {
        let mut news = News {
            id: None,
            to: to.borrowed(),
            version: 0,
            count: self.count(),
            members: None,
            joined: Vec::new(),
            left: Vec::new(),
        };
        match (before, self.names()) {
            (Some(before), _) if before == self => return None,
            // By numbers alone nothing happened.
            (Some(before), None) if before.count() == self.count() => return None,
            (Some(before), Some(_)) if before.names().is_some() => {
                news.joined = texts(self.0.difference(&before.0));
                news.left = texts(before.0.difference(&self.0));
            }
            (_, Some(_)) => news.members = Some(texts(self.0.iter())),
            (_, None) => {}
        }
        Some(news)
    }
}

fn texts<'a>(agents: impl Iterator<Item = &'a Arc<str>>) -> Vec<Text<'a>> {
    agents.map(|agent| (&**agent).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: &[&str]) -> Members {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    fn many(count: usize) -> Members {
        (0..count).map(|number| Arc::from(format!("a{number:04}"))).collect()
    }

    /// Count, members, joined and left.
    fn told(before: Option<&Members>, now: &Members) -> Option<(u64, Option<usize>, String, String)> {
        let to = Address::parse("topic/t".into()).unwrap();
        let news = now.news(before, &to)?;
        let text = |texts: &[Text<'_>]| texts.iter().map(|text| &**text).collect::<Vec<_>>().join(" ");
        Some((news.count, news.members.map(|members| members.len()), text(&news.joined), text(&news.left)))
    }

    #[test]
    fn few_are_told_by_name_and_then_what_changed() {
        let (two, other) = (members(&["al", "bob"]), members(&["bob", "carol"]));
        let none = String::new;
        assert_eq!(told(None, &two), Some((2, Some(2), none(), none())));
        assert_eq!(told(None, &members(&[])), Some((0, Some(0), none(), none())));
        assert_eq!(told(Some(&two), &two), None);
        assert_eq!(told(Some(&two), &other), Some((2, None, "carol".into(), "al".into())));
    }

    #[test]
    fn many_are_told_by_number_and_by_name_when_they_are_few_again() {
        let none = String::new;
        assert_eq!(told(None, &many(101)), Some((101, None, none(), none())));
        assert_eq!(told(Some(&many(100)), &many(101)), Some((101, None, none(), none())));
        assert_eq!(told(Some(&many(102)), &many(101)), Some((101, None, none(), none())));
        assert_eq!(told(Some(&many(101)), &many(100)), Some((100, Some(100), none(), none())));
        let mut other = many(100);
        other.0.insert("zed".into());
        assert_eq!(told(Some(&many(101)), &other), None, "as many as before");
    }
}
