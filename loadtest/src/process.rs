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

    /// Resident memory in bytes, some pages for each thread behind; unlike the exact figure it costs the process nothing.
    pub fn rss_bytes_about(self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/statm", self.0);
        let statm = fs::read_to_string(&path).with_context(|| path.clone())?;
        let pages = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
        Ok(pages.with_context(|| format!("{path} is not as expected"))? * rustix::param::page_size() as u64)
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

/// Seconds that the processors of this machine have been idle, summed.
pub fn idle_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let ticks = idle_ticks(&stat).context("/proc/stat is not as expected")?;
    Ok(to_f64(ticks) / to_f64(rustix::param::clock_ticks_per_second()))
}

/// Processors that this process may run on.
#[expect(clippy::cast_precision_loss, reason = "a number of processors")]
pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
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

/// The fourth figure of the first line; the fifth is waiting for a disk, which is idleness too.
fn idle_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let idle: u64 = fields.nth(3)?.parse().ok()?;
    let waiting: u64 = fields.next()?.parse().ok()?;
    Some(idle + waiting)
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
        assert_eq!(idle_ticks("cpu  10 20 30 400 5 0 1 0 0 0\ncpu0 1 2 3 4"), Some(405));
        assert_eq!(kib_of("Rss:               1234 kB\nPss: 1 kB\n", "Rss:"), Some(1234));
    }

    #[test]
    fn this_process_uses_something() {
        assert!(Process::own().rss_bytes().unwrap() > 100_000);
        assert!(Process::own().rss_bytes_about().unwrap() > 100_000);
        assert!(Process::own().cpu_seconds().unwrap() >= 0.0);
        assert!(idle_seconds().unwrap() >= 0.0 && cores() >= 1.0);
    }
}
