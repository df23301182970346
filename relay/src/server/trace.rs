//! The trace that a request belongs to (W3C Trace Context, Level 1, §3.2): its ids stand in every log line of its
//! connection.

use axum::http::HeaderMap;
use tracing::Span;

/// The span of a connection. Without a trace there is none, and it costs nothing.
pub(super) fn span(headers: &HeaderMap) -> Span {
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(parent);
    match parent {
        Some((trace_id, span_id)) => tracing::info_span!("connection", trace_id, span_id),
        None => Span::none(),
    }
}

/// Trace id and span id of a `traceparent` of version 00, or of a later one that begins like it.
fn parent(value: &str) -> Option<(&str, &str)> {
    let mut parts = value.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let sound = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_id(trace_id, 32)
        && is_id(span_id, 16)
        && is_hex(flags, 2);
    sound.then_some((trace_id, span_id))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// All zeros are no id.
fn is_id(text: &str, digits: usize) -> bool {
    is_hex(text, digits) && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_from_sound_headers_only() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for good in [format!("00-{trace}-{span}-01"), format!("01-{trace}-{span}-00-later")] {
            assert_eq!(parent(&good), Some((trace, span)), "{good}");
        }
        let zeros = ["0".repeat(32), "0".repeat(16)];
        for bad in [
            String::new(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", zeros[0]),
            format!("00-{trace}-{}-01", zeros[1]),
            format!("00-{trace}-{span}-0g"),
            format!("00-{trace}\n-{span}-01"),
        ] {
            assert_eq!(parent(&bad), None, "{bad}");
        }
    }
}
