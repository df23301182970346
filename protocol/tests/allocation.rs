//! Decoding takes memory by what came in, never by what the bytes claim. One test, as it measures its whole process.

use peak_alloc::PeakAlloc;
use relay_protocol::{Data, Encoding, decode_client, decode_server};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const KIB: usize = 1024;

/// Messages of about a mebibyte that ask for as much memory as they can.
fn hostile() -> Vec<(&'static str, Encoding, Vec<u8>)> {
    let json = |name, text: String| (name, Encoding::Json, text.into_bytes());
    let msgpack = |name, head: &[u8], body: &[u8]| (name, Encoding::Msgpack, [head, body].concat());
    let filled = |element: &str| vec![element; KIB * KIB / (element.len() + 1)].join(",");
    let resume = |stream: &str| {
        format!(r#"{{"type":"hello","id":1,"resume":{{"ticket":"","streams":[{}]}}}}"#, filled(stream))
    };
    vec![
        json("numbers behind a wrong frame", format!(r#"[{{"type":1}},{}]"#, filled("0"))),
        json("empty frames", format!("[{}]", filled("{}"))),
        json("lists in lists", "[".repeat(KIB * KIB)),
        json("maps in maps", r#"{"":"#.repeat(200 * KIB)),
        json("a deep value where text belongs", format!(r#"{{"type":{}"#, "[".repeat(KIB * KIB))),
        json("streams", resume(r#"{"stream":"","epoch":"","seq":0}"#)),
        json("wrong streams", resume("0")),
        json("headers", format!(r#"{{"type":"send","headers":{{"":"{}"}}}}"#, "x".repeat(KIB * KIB))),
        json("a long type", format!(r#"{{"type":"{}","id":1}}"#, "\\n".repeat(500 * KIB))),
        json("a long key", format!(r#"{{"{}":1,"type":1}}"#, "\\n".repeat(500 * KIB))),
        json("ranges", format!(r#"{{"type":"receipt","queued":[{}]}}"#, filled("[1,1]"))),
        msgpack("a claim of four billion fields", &[0xdf, 0xff, 0xff, 0xff, 0xff], &[0xa0; 64 * KIB]),
        msgpack("a claim of four billion elements", b"\x81\xa6queued\xdd\xff\xff\xff\xff", &[0x92; 64 * KIB]),
        msgpack("a claim of four billion bytes", b"\x81\xa7payload\xc6\xff\xff\xff\xff", &[0; 64 * KIB]),
        msgpack("lists in lists", b"\x81\xa1x", &[0x91; KIB * KIB]),
        msgpack("empty frames", b"", &[0x80; KIB * KIB]),
    ]
}

#[test]
fn memory_is_bounded_by_the_size_of_a_message() {
    for (name, encoding, bytes) in hostile() {
        let data = Data::new(encoding, &bytes).unwrap();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let _ = decode_client(data, 64, |_| {});
        let _ = decode_server(data, 64, |_| {});
        let taken = MEMORY.peak_usage() - before;
        assert!(taken <= 8 * bytes.len() + 64 * KIB, "{name}: {taken} bytes for {}", bytes.len());
    }
}
