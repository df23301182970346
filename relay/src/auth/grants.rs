//! A set of names and beginnings of names, arranged to be asked often.

/// Which names are granted. The default grants none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::auth) struct Grants {
    /// Whether every name is; there are then no others. The commonest grant, and the one whose head is empty: to
    /// compare with an empty `Box<str>` can cost `memcmp` 60 ns instead of 3, as it points to no memory.
    all: bool,
    /// Sorted.
    names: Box<[Box<str>]>,
    /// Sorted, and none begins with another: so only the last one not above a name can be its beginning.
    heads: Box<[Box<str>]>,
}

impl Grants {
    /// What `patterns` grant: each a name, or with a trailing `*` all names that begin so.
    pub(in crate::auth) fn new<'a>(patterns: impl Iterator<Item = &'a str>) -> Grants {
        let (mut names, mut heads) = (Vec::new(), Vec::new());
        for pattern in patterns {
            match pattern.strip_suffix('*') {
                Some("") => return Grants { all: true, ..Grants::default() },
                Some(head) => heads.push(head),
                None => names.push(pattern),
            }
        }
        names.sort_unstable();
        names.dedup();
        heads.sort_unstable();
        heads.dedup_by(|longer, kept| longer.starts_with(*kept));
        Grants { all: false, names: boxed(&names), heads: boxed(&heads) }
    }

    /// Whether `name` is granted.
    pub(in crate::auth) fn allow(&self, name: &str) -> bool {
        self.cover_head(name) || self.names.binary_search_by(|granted| (**granted).cmp(name)).is_ok()
    }

    /// Whether every name that `pattern` matches is granted.
    pub(in crate::auth) fn cover(&self, pattern: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(head) => self.cover_head(head),
            None => self.allow(pattern),
        }
    }

    /// Whether every name that begins with `head` is granted.
    fn cover_head(&self, head: &str) -> bool {
        if self.all {
            return true;
        }
        let above = self.heads.partition_point(|granted| **granted <= *head);
        self.heads[..above].last().is_some_and(|granted| head.starts_with(&**granted))
    }
}

fn boxed(texts: &[&str]) -> Box<[Box<str>]> {
    texts.iter().map(|text| Box::from(*text)).collect()
}
