//! How long the answer of a key server may be used (RFC 9111 §5.2.2), within our own bounds.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{AGE, CACHE_CONTROL};

/// Where a key server says nothing: rotations are announced by an unknown `kid` anyway, withdrawals are not.
const DEFAULT: Duration = Duration::from_mins(5);

/// How long until the keys are to be asked for again, from `min` to `max`.
pub(super) fn fresh_for(headers: &HeaderMap, min: Duration, max: Duration) -> Duration {
    told(headers).unwrap_or(DEFAULT).clamp(min, max.max(min))
}

fn told(headers: &HeaderMap) -> Option<Duration> {
    let mut max_age = None;
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            max_age = value.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    Some(max_age?.saturating_sub(age.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn what_the_server_says_counts_within_bounds() {
        let cases = [
            ("", None, 300),
            ("public, max-age=19302, must-revalidate, no-transform", None, 3_600),
            ("max-age=120", None, 120),
            ("Max-Age=\"120\"", None, 120),
            ("max-age=120", Some("100"), 60),
            ("max-age=120", Some("x"), 120),
            ("max-age=5", None, 60),
            ("no-store, max-age=900", None, 60),
            ("max-age=99999999999999999999", None, 300),
            ("max-age=-1", None, 300),
            ("max-age", None, 300),
        ];
        for (cache_control, age, expected) in cases {
            let mut headers = HeaderMap::new();
            if !cache_control.is_empty() {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
            }
            if let Some(age) = age {
                headers.insert(AGE, HeaderValue::from_static(age));
            }
            let fresh = fresh_for(&headers, Duration::from_mins(1), Duration::from_hours(1));
            assert_eq!(fresh.as_secs(), expected, "{cache_control} {age:?}");
        }
    }
}
