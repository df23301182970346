//! What may not stand in a file.

use crate::assert_clean;
use crate::files::File;

/// Beyond it a file has two jobs.
const LINES_MAX: usize = 400;
const CODE: [&str; 5] = ["rs", "py", "mjs", "js", "ts"];

/// How far into `eventually` its rest may stand.
const EVENTUALLY_LINES: usize = 16;
/// Its clock is paused as a whole.
const SIMULATION: &str = "tests/simulation/";
const METRICS: &str = "relay/src/telemetry/metrics.rs";
const METRIC_MACROS: [&str; 6] =
    ["counter!(", "gauge!(", "histogram!(", "describe_counter!(", "describe_gauge!(", "describe_histogram!("];

fn is_short(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if CODE.contains(&file.extension()) && lines > LINES_MAX {
        return vec![file.fault(lines, &format!("more than {LINES_MAX} lines"))];
    }
    Vec::new()
}

fn begins_with_its_purpose(file: &File) -> Vec<String> {
    if file.is_rust() && !file.text.starts_with("//! ") {
        return vec![file.fault(1, "does not begin with `//!` and what it is for")];
    }
    Vec::new()
}

/// These rules are written down here, so this folder may say what they forbid.
fn is_this_test(file: &File) -> bool {
    file.path.starts_with("tests/tidy/")
}

fn skips_no_test(file: &File) -> Vec<String> {
    if !file.is_rust() || is_this_test(file) {
        return Vec::new();
    }
    file.faults("a test that is skipped", |line| line.contains("#[ignore"))
}

/// A clock that a test moves by itself makes sleeping exact; elsewhere only `eventually` rests between two looks.
fn sleeps_in_no_test(file: &File) -> Vec<String> {
    // Where the clock is paused nobody waits.
    let paused = file.text.contains("start_paused = true") || file.path.starts_with(SIMULATION);
    if !CODE.contains(&file.extension()) || is_this_test(file) || paused {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let in_eventually = |at: usize| {
        lines[at.saturating_sub(EVENTUALLY_LINES)..at].iter().any(|line| line.contains("fn eventually"))
    };
    let begin = file.lines_before_tests();
    let sleeping = (begin..lines.len()).filter(|at| lines[*at].contains("sleep(") && !in_eventually(*at));
    sleeping.map(|at| file.fault(at + 1, "a test that sleeps; wait for what is to happen")).collect()
}

fn leaves_nothing_to_do(file: &File) -> Vec<String> {
    if is_this_test(file) {
        return Vec::new();
    }
    file.faults("a note that something is to be done", |line| {
        line.split(|letter: char| !letter.is_ascii_alphanumeric())
            .any(|word| matches!(word, "TODO" | "FIXME" | "XXX"))
    })
}

fn counts_in_one_place(file: &File) -> Vec<String> {
    if !file.is_rust() || is_this_test(file) || file.path == METRICS {
        return Vec::new();
    }
    file.faults("a metric outside of telemetry/metrics.rs", |line| {
        METRIC_MACROS.iter().any(|name| line.contains(name))
            || line.trim_start().starts_with("use metrics::{")
    })
}

fn names_no_machine(file: &File) -> Vec<String> {
    if is_this_test(file) {
        return Vec::new();
    }
    file.faults("a path of one machine", |line| {
        ["/work/", "/tmp/w/", "/root/", "/home/"].iter().any(|path| {
            line.match_indices(path).any(|(at, _)| {
                !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_-.})$".contains(before))
            })
        })
    })
}

#[test]
fn files_are_short() {
    assert_clean(is_short);
}

#[test]
fn rust_files_begin_with_their_purpose() {
    assert_clean(begins_with_its_purpose);
}

#[test]
fn no_test_is_skipped() {
    assert_clean(skips_no_test);
}

#[test]
fn no_test_sleeps() {
    assert_clean(sleeps_in_no_test);
}

#[test]
fn nothing_is_left_to_do() {
    assert_clean(leaves_nothing_to_do);
}

#[test]
fn metrics_are_named_in_one_place() {
    assert_clean(counts_in_one_place);
}

#[test]
fn no_file_names_a_machine() {
    assert_clean(names_no_machine);
}

#[test]
fn each_rule_finds_its_violation() {
    let long = "//! Long.\n".repeat(LINES_MAX + 1);
    let bad: [(crate::Rule, &str, &str); 13] = [
        (is_short, "relay/src/a.rs", long.as_str()),
        (is_short, "relay/console/app.js", long.as_str()),
        (begins_with_its_purpose, "relay/src/a.rs", "use std::fmt;\n//! Late.\n"),
        (begins_with_its_purpose, "relay/src/a.rs", ""),
        (skips_no_test, "relay/src/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}"),
        (sleeps_in_no_test, "tests/e2e/a.rs", "tokio::time::sleep(Duration::from_secs(1)).await;"),
        (
            sleeps_in_no_test,
            "relay/src/a.rs",
            "//! A.\n#[cfg(test)]\nmod tests {\n    thread::sleep(SECOND);\n}",
        ),
        (leaves_nothing_to_do, "infra/main.tf", "# TODO: all of it"),
        (leaves_nothing_to_do, "relay/src/a.rs", "// FIXME(me) soon"),
        (counts_in_one_place, "relay/src/router/mod.rs", "metrics::counter!(\"a\").increment(1);"),
        (counts_in_one_place, "relay/src/router/mod.rs", "use metrics::{counter, gauge};"),
        (names_no_machine, "README.md", "see /work/notes.md"),
        (names_no_machine, ".ci/run", "cd /root/relay"),
    ];
    for (rule, path, text) in bad {
        assert_eq!(rule(&File::made_up(path, text)).len(), 1, "{path}: {text:.60}");
    }
}

#[test]
fn no_rule_finds_what_is_no_violation() {
    let good: [(crate::Rule, &str, &str); 7] = [
        (is_short, "protocol/tests/vectors/client.json", "[\n".repeat(500).leak()),
        (begins_with_its_purpose, "relay/src/a.rs", "//! A.\n"),
        (
            sleeps_in_no_test,
            "relay/src/a.rs",
            "//! A.\nfn rest() { sleep(SECOND) }\n#[cfg(test)]\nmod tests {}",
        ),
        (sleeps_in_no_test, "tests/harness/lib.rs", "pub async fn eventually() {\n    sleep(STEP).await;\n}"),
        (
            sleeps_in_no_test,
            "relay/src/a/tests.rs",
            "#[tokio::test(start_paused = true)]\nfn a() { sleep(DAY) }",
        ),
        (leaves_nothing_to_do, "relay/src/a.rs", "let todos = XXXL;"),
        (names_no_machine, "README.md", "group/work/2 and $HOME/work/here"),
    ];
    for (rule, path, text) in good {
        assert_eq!(rule(&File::made_up(path, text)), [""; 0], "{path}: {text:.60}");
    }
}
