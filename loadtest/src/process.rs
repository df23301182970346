//! What a process of this machine has used: CPU time and memory, from `/proc`.

use std::fs;

use anyhow::Context;

/// A process by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    /// The process this runs in.
    pub fn own() -> Process {
        Process(std::process::id())
    }

    /// User and system time of all its threads, in seconds.
    pub fn cpu_seconds(self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/stat", self.0);
        let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
        let ticks = cpu_ticks(&stat).with_context(|| format!("{path} is not as expected"))?;
        Ok(to_f64(ticks) / to_f64(rustix::param::clock_ticks_per_second()))
    }

    /// Resident memory in bytes. `smaps_rollup` is exact; `status` lags by some pages for each thread.
    pub fn rss_bytes(self) -> anyhow::Result<u64> {
        let exact = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0)).ok();
        let found = exact.as_deref().and_then(|text| kib_of(text, "Rss:"));
        if let Some(kib) = found {
            return Ok(kib * 1024);
        }
        let path = format!("/proc/{}/status", self.0);
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let kib = kib_of(&status, "VmRSS:").with_context(|| format!("{path} has no VmRSS"))?;
        Ok(kib * 1024)
    }
}

/// CPU seconds of several processes together.
pub fn cpu_seconds(processes: &[Process]) -> anyhow::Result<f64> {
    processes.iter().map(|process| process.cpu_seconds()).sum()
}

/// Resident bytes of several processes together.
pub fn rss_bytes(processes: &[Process]) -> anyhow::Result<u64> {
    processes.iter().map(|process| process.rss_bytes()).sum()
}

/// Raises the soft limit of file descriptors to the hard one and returns it.
pub fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, what there is has to do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The 14th and 15th fields; the second, in parentheses, may itself hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn to_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1 0 100 0 0";
        assert_eq!(cpu_ticks(stat), Some(175));
        assert_eq!(kib_of("Rss:               1234 kB\nPss: 1 kB\n", "Rss:"), Some(1234));
    }

    #[test]
    fn this_process_uses_something() {
        assert!(Process::own().rss_bytes().unwrap() > 100_000);
        assert!(Process::own().cpu_seconds().unwrap() >= 0.0);
    }
}
