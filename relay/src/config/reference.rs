//! The reference of every setting, made from the declarations.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// One setting as the reference shows it.
struct Row {
    environment: String,
    flag: String,
    default: String,
    help: String,
}

fn rows(command: &Command) -> Vec<(String, Row)> {
    command
        .get_arguments()
        .filter_map(|arg| {
            let environment = arg.get_env()?.to_str()?.to_owned();
            let row = Row {
                environment,
                flag: arg.get_long().map(|long| format!("--{long}")).unwrap_or_default(),
                default: default(arg),
                help: arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default(),
            };
            Some((arg.get_help_heading().unwrap_or("Other").to_owned(), row))
        })
        .collect()
}

fn default(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    values.join(",")
}

/// The reference as a page.
pub fn markdown(command: &Command) -> String {
    let mut page = String::from(
        "# Configuration\n\nMade from the code by `agent-relay config --markdown`; do not edit. Flags win over environment variables.\n",
    );
    let mut section = String::new();
    for (heading, row) in rows(command) {
        if heading != section {
            // Writing into a string meets no error.
            let _ = write!(
                page,
                "\n## {heading}\n\n| variable | flag | default | meaning |\n| --- | --- | --- | --- |\n"
            );
            section = heading;
        }
        let default = if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
        let help = row.help.replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | `{}` | {default} | {help} |", row.environment, row.flag);
    }
    page
}

/// The reference for a terminal.
pub fn text(command: &Command) -> String {
    let mut page = String::new();
    let mut section = String::new();
    for (heading, row) in rows(command) {
        if heading != section {
            let _ = writeln!(page, "{}{heading}", if section.is_empty() { "" } else { "\n" });
            section = heading;
        }
        let default = if row.default.is_empty() { String::new() } else { format!("  [{}]", row.default) };
        let _ = writeln!(
            page,
            "  {}  {}{default}\n      {}",
            row.environment,
            row.flag,
            row.help.replace('\n', " ")
        );
    }
    page
}
