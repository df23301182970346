//! Base64 as `payload_b64` uses it: RFC 4648 §4, padding required, nothing but the one canonical form accepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Appends the base64 form of `bytes`.
pub(crate) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The slice has exactly the length that padded base64 needs, so there is no error to meet.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// The bytes that `text` stands for.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
