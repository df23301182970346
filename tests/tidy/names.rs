//! Names of files: a name says what is in it, now.

use crate::assert_clean;
use crate::files::File;

/// Names under which anything might stand.
const VAGUE: [&str; 6] = ["utils", "util", "helpers", "helper", "misc", "common"];
/// Words that tell of a change, not of a thing.
const OF_CHANGE: [&str; 6] = ["new", "improved", "enhanced", "old", "v2", "final"];

fn says_what_it_holds(file: &File) -> Vec<String> {
    let parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or_default());
    if parts.into_iter().any(|part| VAGUE.contains(&part)) {
        return vec![file.fault(1, "a name under which anything might stand")];
    }
    Vec::new()
}

fn tells_of_no_change(file: &File) -> Vec<String> {
    let words = file.path.split(|letter: char| !letter.is_ascii_alphanumeric());
    if words.map(str::to_ascii_lowercase).any(|word| OF_CHANGE.contains(&word.as_str())) {
        return vec![file.fault(1, "a name that tells of a change")];
    }
    Vec::new()
}

#[test]
fn names_say_what_a_file_holds() {
    assert_clean(says_what_it_holds);
}

#[test]
fn names_tell_of_no_change() {
    assert_clean(tells_of_no_change);
}

#[test]
fn a_vague_name_is_found() {
    for path in ["relay/src/utils.rs", "tests/common/mod.rs", "tests/clients/node/helpers.mjs"] {
        assert_eq!(says_what_it_holds(&File::made_up(path, "")).len(), 1, "{path}");
    }
    assert_eq!(says_what_it_holds(&File::made_up("relay/src/commonplace.rs", "")), [""; 0]);
    for path in ["relay/src/bus/redis_v2.rs", "relay/src/new_router.rs", "infra/old/README.md"] {
        assert_eq!(tells_of_no_change(&File::made_up(path, "")).len(), 1, "{path}");
    }
    assert_eq!(tells_of_no_change(&File::made_up("relay/src/renewal.rs", "")), [""; 0]);
}
