//! How long a MessagePack value is, without reading it.

/// The length of the first value of `data`, or nothing if `data` ends before it does or holds text that is not UTF-8.
///
/// The library would hand such text over as bytes, and a payload would change its kind.
/// Each step consumes a byte or ends, so a header that claims four billion elements costs nothing.
pub(crate) fn msgpack_extent(data: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    let mut pending = 1u64;
    while pending > 0 {
        pending -= 1;
        let marker = *data.get(at)?;
        at += 1;
        let (skip, children) = match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => continue,
            0xa0..=0xbf => {
                text(data, &mut at, usize::from(marker & 0x1f))?;
                continue;
            }
            0xd9..=0xdb => {
                let bytes = length(data, &mut at, 1 << (marker - 0xd9))?;
                text(data, &mut at, bytes)?;
                continue;
            }
            0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
            0x90..=0x9f => (0, u64::from(marker & 0x0f)),
            0xc1 => return None,
            0xc4 => (length(data, &mut at, 1)?, 0),
            0xc5 => (length(data, &mut at, 2)?, 0),
            0xc6 => (length(data, &mut at, 4)?, 0),
            // Extensions carry one byte of type before their data.
            0xc7 => (length(data, &mut at, 1)? + 1, 0),
            0xc8 => (length(data, &mut at, 2)? + 1, 0),
            0xc9 => (length(data, &mut at, 4)? + 1, 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 => (2, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd4..=0xd8 => ((1usize << (marker - 0xd4)) + 1, 0),
            0xdc => (0, length(data, &mut at, 2)? as u64),
            0xdd => (0, length(data, &mut at, 4)? as u64),
            0xde => (0, 2 * length(data, &mut at, 2)? as u64),
            0xdf => (0, 2 * length(data, &mut at, 4)? as u64),
        };
        at = at.checked_add(skip).filter(|end| *end <= data.len())?;
        pending += children;
    }
    Some(at)
}

/// Text of `bytes` bytes at `at`, which moves behind it.
fn text(data: &[u8], at: &mut usize, bytes: usize) -> Option<()> {
    let end = at.checked_add(bytes)?;
    std::str::from_utf8(data.get(*at..end)?).ok()?;
    *at = end;
    Some(())
}

/// A big-endian length of `bytes` bytes at `at`, which moves behind it.
fn length(data: &[u8], at: &mut usize, bytes: usize) -> Option<usize> {
    let field = data.get(*at..*at + bytes)?;
    *at += bytes;
    Some(field.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_that_the_library_writes_is_measured_to_its_last_byte() {
        let values = serde_json::json!([null, true, 1, -1, 300, -300, 70000, 5_000_000_000u64, 1.5, "a", "b".repeat(40),
            "c".repeat(300), "d".repeat(70000), [1, [2, [3]]], {"k": {"l": [1, 2, 3]}}, vec![0; 20], vec![1; 70000]]);
        for value in values.as_array().unwrap_or(&Vec::new()) {
            let mut bytes = rmp_serde::to_vec(value).unwrap_or_default();
            let whole = bytes.len();
            assert_eq!(msgpack_extent(&bytes[..whole - 1]), None, "{value:.40}");
            bytes.push(0xc0);
            assert_eq!(msgpack_extent(&bytes), Some(whole), "{value:.40}");
        }
    }

    #[test]
    fn a_claim_of_four_billion_elements_ends_with_the_data() {
        assert_eq!(msgpack_extent(&[0xdf, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]), None);
        assert_eq!(msgpack_extent(&[0xc6, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(msgpack_extent(&[]), None);
        assert_eq!(msgpack_extent(&[0xc1]), None);
    }
}
