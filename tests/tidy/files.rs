//! The files of the repository, and what kind of code they hold.
#![expect(clippy::unwrap_used, reason = "a repository that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 6] = ["target", ".tools", ".git", "node_modules", "__pycache__", ".cargo"];

/// One file with text.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// From the top of the repository, with `/`.
    pub(crate) path: String,
    /// What stands in it.
    pub(crate) text: String,
    /// Whether it is compiled, or run, for tests only.
    pub(crate) is_test: bool,
}

impl File {
    /// A file as a test of a rule makes it up.
    pub(crate) fn made_up(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned(), is_test: lies_among_tests(path) }
    }

    /// The part of the name behind the last dot.
    pub(crate) fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The name without its folder.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Where the tests of a file of production code begin: how many lines stand before them.
    pub(crate) fn lines_before_tests(&self) -> usize {
        if self.is_test {
            return 0;
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let begins = |pair: &[&str]| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        };
        lines.windows(2).position(begins).unwrap_or(lines.len())
    }

    /// A fault at a line, the first being 1.
    pub(crate) fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The lines that `wrong` holds of, as faults.
    pub(crate) fn faults(&self, what: &str, wrong: impl Fn(&str) -> bool) -> Vec<String> {
        let numbered = self.text.lines().enumerate();
        numbered.filter(|(_, line)| wrong(line)).map(|(at, _)| self.fault(at + 1, what)).collect()
    }
}

/// Every file of ours that is text.
pub(crate) fn all_files() -> Vec<File> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut paths = Vec::new();
    collect(top, &mut paths);
    assert!(paths.len() > 50, "the walk found too little");
    let mut files: Vec<File> = paths
        .into_iter()
        .filter_map(|path| Some((fs::read_to_string(&path).ok()?, path)))
        .map(|(text, path)| {
            let path = path.strip_prefix(top).unwrap().to_string_lossy().replace('\\', "/");
            let is_test = lies_among_tests(&path);
            File { path, text, is_test }
        })
        .collect();
    let for_tests: BTreeSet<String> = files.iter().flat_map(modules_for_tests).collect();
    for file in &mut files {
        file.is_test |= for_tests.iter().any(|prefix| file.path.starts_with(prefix));
    }
    files
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            collect(&path, paths);
        } else if path.is_file() {
            paths.push(path);
        }
    }
}

fn lies_among_tests(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Where the modules stand that a file declares for tests only.
fn modules_for_tests(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let folder = match file.path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder,
        _ => file.path.trim_end_matches(".rs"),
    };
    let lines: Vec<&str> = file.text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0].starts_with("#[cfg(") && pair[0].contains("test"));
    declared
        .filter_map(|pair| pair[1].strip_suffix(';')?.rsplit_once("mod "))
        .flat_map(|(_, name)| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")])
        .collect()
}

#[test]
fn a_module_declared_for_tests_is_test_code() {
    let file = File::made_up("relay/src/redis/mod.rs", "#[cfg(test)]\npub(crate) mod server;\nmod link;\n");
    assert_eq!(modules_for_tests(&file), ["relay/src/redis/server.rs", "relay/src/redis/server/"]);
}
