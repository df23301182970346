//! Which crate of the workspace may depend on which.

use crate::assert_clean;
use crate::files::File;

const OURS: [&str; 5] =
    ["relay-protocol", "agent-relay", "relay-loadtest", "relay-tests", "relay-simulation"];

/// Each crate's manifest and what of ours it may depend on. The tests see a relay from outside only,
/// the simulation is made of its parts.
const MAY_DEPEND: [(&str, &[&str]); 5] = [
    ("protocol/Cargo.toml", &[]),
    ("relay/Cargo.toml", &["relay-protocol"]),
    ("loadtest/Cargo.toml", &["relay-protocol"]),
    ("tests/Cargo.toml", &["relay-protocol", "relay-loadtest"]),
    ("simulation/Cargo.toml", &["relay-protocol", "agent-relay", "relay-tests"]),
];

fn depends_only_on_what_it_may(file: &File) -> Vec<String> {
    let Some((_, allowed)) = MAY_DEPEND.iter().find(|(path, _)| *path == file.path) else {
        return Vec::new();
    };
    file.faults("depends on a crate of ours that it may not know", |line| {
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default().trim_matches('"');
        OURS.contains(&name) && !allowed.contains(&name)
    })
}

#[test]
fn crates_depend_downwards() {
    assert_clean(depends_only_on_what_it_may);
}

#[test]
fn a_forbidden_dependency_is_found() {
    let bad = [
        ("protocol/Cargo.toml", "[dev-dependencies]\nagent-relay.workspace = true"),
        ("tests/Cargo.toml", "agent-relay = { workspace = true }"),
        ("loadtest/Cargo.toml", "agent-relay.path = \"../relay\""),
    ];
    for (path, text) in bad {
        assert_eq!(depends_only_on_what_it_may(&File::made_up(path, text)).len(), 1, "{path}");
    }
    let own_name = File::made_up("relay/Cargo.toml", "name = \"agent-relay\"\ndefault-run = \"agent-relay\"");
    assert_eq!(depends_only_on_what_it_may(&own_name), [""; 0]);
}
