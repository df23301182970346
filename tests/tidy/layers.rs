//! Who may import whom inside the relay: a message goes around, imports only go down.

use crate::assert_clean;
use crate::files::File;

/// Each module of `relay/src` and what it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["app", "auth", "config", "lifecycle", "telemetry"]),
    (
        "app",
        &[
            "api",
            "api_keys",
            "auth",
            "bus",
            "config",
            "directory",
            "idempotency",
            "lifecycle",
            "limits",
            "outbound",
            "presence",
            "quota",
            "redis",
            "resilience",
            "revocation",
            "router",
            "server",
            "session",
            "streams",
            "telemetry",
            "tenants",
        ],
    ),
    (
        "api",
        &[
            "api_keys",
            "auth",
            "config",
            "directory",
            "idempotency",
            "limits",
            "outbound",
            "presence",
            "revocation",
            "router",
            "telemetry",
            "tenants",
        ],
    ),
    // The bus for its health alone, which readiness tells.
    (
        "server",
        &["auth", "bus", "config", "lifecycle", "limits", "resilience", "router", "session", "telemetry"],
    ),
    // The directory for the entry that a registration makes, the bus for the ids of instances.
    (
        "session",
        &[
            "auth",
            "bus",
            "clock",
            "config",
            "directory",
            "entropy",
            "limits",
            "outbound",
            "presence",
            "resilience",
            "router",
            "streams",
            "telemetry",
        ],
    ),
    ("presence", &["config", "directory", "entropy", "outbound", "telemetry"]),
    (
        "router",
        &["auth", "bus", "clock", "config", "directory", "entropy", "outbound", "streams", "telemetry"],
    ),
    // The bus for the ids of instances, the authenticator for hashes.
    ("streams", &["auth", "bus", "clock", "config", "entropy", "redis", "telemetry"]),
    ("directory", &["bus", "config", "redis", "telemetry"]),
    ("api_keys", &["auth", "config", "redis", "revocation", "telemetry"]),
    ("revocation", &["auth", "config", "redis", "telemetry"]),
    ("tenants", &["auth", "config", "redis", "telemetry"]),
    ("idempotency", &["auth", "config", "redis", "telemetry"]),
    ("bus", &["config", "redis", "telemetry"]),
    ("limits", &["config", "quota", "telemetry"]),
    ("quota", &["config", "redis", "telemetry"]),
    ("redis", &["config", "resilience", "telemetry", "tls"]),
    ("auth", &["config", "resilience", "telemetry", "tls"]),
    ("outbound", &["config", "telemetry"]),
    ("lifecycle", &["config", "telemetry"]),
    ("resilience", &["config", "telemetry"]),
    ("telemetry", &["config"]),
    ("tls", &[]),
    ("clock", &[]),
    ("entropy", &[]),
    ("config", &[]),
];

const SOURCE: &str = "relay/src/";

fn imports_only_downwards(file: &File) -> Vec<String> {
    let Some(path) = file.path.strip_prefix(SOURCE).filter(|_| file.is_rust() && !file.is_test) else {
        return Vec::new();
    };
    let module = path.split(['/', '.']).next().unwrap_or_default();
    if module == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![file.fault(1, &format!("`{module}` stands in no row of the import table"))];
    };
    let mut faults = Vec::new();
    for (at, line) in file.text.lines().enumerate().take(file.lines_before_tests()) {
        for imported in imported_in(line, depth(path)) {
            let known = MAY_IMPORT.iter().any(|(name, _)| *name == imported);
            if known && imported != module && !allowed.contains(&imported) {
                faults.push(file.fault(at + 1, &format!("`{module}` may not import `{imported}`")));
            }
        }
    }
    faults
}

/// How many `super::` lead from a file to the top.
fn depth(path: &str) -> usize {
    path.split('/').filter(|part| *part != "mod.rs").count()
}

/// The modules at the top that a line names.
fn imported_in(line: &str, depth: usize) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let upwards = "super::".repeat(depth);
    let starts = ["crate::", "relay::", upwards.as_str()];
    starts
        .iter()
        .flat_map(|start| code.match_indices(start).map(|(at, _)| (at, &code[at + start.len()..])))
        .filter(|(at, _)| {
            !code[..*at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
        })
        .map(|(_, rest)| {
            rest.split(|next: char| !next.is_alphanumeric() && next != '_').next().unwrap_or_default()
        })
        .collect()
}

fn imports_one_by_one(file: &File) -> Vec<String> {
    if !file.is_rust() || !file.path.starts_with(SOURCE) {
        return Vec::new();
    }
    file.faults("a grouped import hides from the import table", |line| {
        line.contains("use crate::{") || line.contains("use relay::{")
    })
}

#[test]
fn imports_in_the_relay_go_down() {
    assert_clean(imports_only_downwards);
}

#[test]
fn modules_are_imported_one_by_one() {
    assert_clean(imports_one_by_one);
}

#[test]
fn the_table_has_no_way_back() {
    for (at, (name, imports)) in MAY_IMPORT.iter().enumerate() {
        for import in *imports {
            let below = MAY_IMPORT.iter().position(|(other, _)| other == import);
            assert!(below.is_some_and(|below| below > at), "{name} → {import}");
        }
    }
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let bad = [
        ("relay/src/bus/memory.rs", "use crate::router::Router;"),
        ("relay/src/bus/memory.rs", "    let x = crate::router::X::default();"),
        ("relay/src/bus/memory.rs", "use super::super::router::Router;"),
        ("relay/src/bus/mod.rs", "use super::router::Router;"),
        ("relay/src/config.rs", "use crate::telemetry::metrics;"),
        ("relay/src/main.rs", "use relay::router::Router;"),
        ("relay/src/session/deep/er.rs", "pub(crate) use crate::server::X;"),
        ("relay/src/stranger/mod.rs", ""),
    ];
    for (path, text) in bad {
        assert_eq!(imports_only_downwards(&File::made_up(path, text)).len(), 1, "{path}: {text}");
    }
    let good = [
        ("relay/src/router/mod.rs", "use crate::bus::Bus;\nuse super::outbound::Outbound;"),
        ("relay/src/router/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::session::Session;\n}"),
        ("relay/src/session/tests/rig.rs", "use crate::server::X;"),
        ("relay/src/bus/mod.rs", "// The opposite of crate::router.\nuse tokio_crate::router::X;"),
    ];
    for (path, text) in good {
        assert_eq!(imports_only_downwards(&File::made_up(path, text)), [""; 0], "{path}: {text}");
    }
    assert_eq!(imports_one_by_one(&File::made_up("relay/src/a.rs", "use crate::{bus, router};")).len(), 1);
}
