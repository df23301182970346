//! The only place that writes to standard output and standard error.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to whoever called it is a program's job"
)]

/// What was asked for.
pub fn line(text: &str) {
    println!("{text}");
}

/// How far it is.
pub fn progress(text: &str) {
    eprintln!("{text}");
}

/// What went wrong.
pub fn error(error: &anyhow::Error) {
    eprintln!("relay-loadtest: {error:#}");
}
