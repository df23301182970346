//! The rules of the house that no compiler knows, as tests over the files themselves.
//!
//! Each rule is a function of one file that answers what is wrong with it; each is shown to fire on a violation.

mod crates;
mod files;
mod layers;
mod names;
mod texts;

use files::{File, all_files};

/// What is wrong with a file: nothing, or a line for each fault.
type Rule = fn(&File) -> Vec<String>;

/// Every fault of every file, so that one run shows all.
fn assert_clean(rule: Rule) {
    let faults: Vec<String> = all_files().iter().flat_map(rule).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
