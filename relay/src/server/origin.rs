//! Which pages may connect. A browser tells the origin of the page and cannot be made to lie; a program sends none.

use std::collections::HashSet;

/// Origins that may connect.
#[derive(Debug, Clone)]
pub enum Origins {
    /// Every page.
    Any,
    /// These pages.
    Listed(HashSet<String>),
    /// Pages that this host itself served.
    SameHost,
}

impl Origins {
    /// The origins an operator chose.
    pub fn new(listed: &[String]) -> Origins {
        if listed.iter().any(|origin| origin == "*") {
            Origins::Any
        } else if listed.is_empty() {
            Origins::SameHost
        } else {
            Origins::Listed(listed.iter().map(|origin| origin.trim_end_matches('/').to_owned()).collect())
        }
    }

    /// Whether a page of `origin` may connect to this `host`. Compared exactly: a prefix or a part is another's site.
    pub fn allow(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Origins::Any => true,
            Origins::Listed(listed) => listed.contains(origin),
            Origins::SameHost => origin.split_once("://").is_some_and(|(scheme, page)| {
                matches!(scheme, "http" | "https") && host.is_some_and(|host| host.eq_ignore_ascii_case(page))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_an_exact_match_passes() {
        let origins =
            Origins::new(&["https://app.example.com".to_owned(), "http://localhost:3000/".to_owned()]);
        for good in [None, Some("https://app.example.com"), Some("http://localhost:3000")] {
            assert!(origins.allow(good, None), "{good:?}");
        }
        for bad in [
            "",
            "null",
            "https://app.example.com.evil.net",
            "https://evil.net/https://app.example.com",
            "https://example.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://APP.example.com",
            "https://app.example.com/",
            "https://app.example.com@evil.net",
            "https://xapp.example.com",
            "https://app.example.com\u{0}",
            "file://",
            "https://app-example.com",
            "https://app.example.com,https://evil.net",
            "http://localhost",
            "http://localhost:30000",
            "chrome-extension://abc",
            "data:text/html,x",
            "https://[::1]",
            "HTTPS://app.example.com",
            " https://app.example.com",
            "https://app.example.com ",
            "https://app.example.com#",
            "https://app.example.com?",
            "wss://app.example.com",
            "https://аpp.example.com",
            "https://app。example.com",
            "https:///app.example.com",
            "//app.example.com",
        ] {
            assert!(!origins.allow(Some(bad), Some("app.example.com")), "{bad}");
        }
    }

    #[test]
    fn without_a_list_only_the_own_page_may() {
        let origins = Origins::new(&[]);
        assert!(origins.allow(Some("http://127.0.0.1:8080"), Some("127.0.0.1:8080")));
        assert!(!origins.allow(Some("http://127.0.0.1:8081"), Some("127.0.0.1:8080")));
        assert!(!origins.allow(Some("null"), Some("127.0.0.1:8080")));
        assert!(!origins.allow(Some("http://127.0.0.1:8080"), None));
        assert!(Origins::new(&["*".to_owned()]).allow(Some("null"), None));
    }
}
