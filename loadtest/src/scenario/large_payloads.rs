//! Pairs that send payloads of a size that fills buffers: documents, images, contexts of models.
//!
//! The relays are started with bounds that let them through. Buffers that grew must shrink again: memory at the end is shown.

use crate::scenario::{Scenario, direct};

/// See the page.
pub const SCENARIO: Scenario = Scenario {
    name: "large-payloads",
    about: "pairs send 256 KiB at a time on a schedule",
    arguments: "--agents=40 --payload=262144 --rate=80",
    // Twice what each pair sends, and room for a few at a time.
    environment: &[
        ("RELAY_PAYLOAD_BYTES", "1048576"),
        ("RELAY_RATE_BYTES", "4194304"),
        ("RELAY_QUEUE_BYTES", "4194304"),
    ],
    ..direct::SCENARIO
};
