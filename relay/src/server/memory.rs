//! How much memory this process uses, and how much it may. Only Linux tells; elsewhere nothing is refused for memory.

use std::fs;

/// Resident memory of this process, in bytes.
pub(super) fn used() -> Option<u64> {
    // A file of the kernel's, which waits for no disk.
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// What the process may use: the least of what its control groups allow and what the machine has, in bytes.
pub(super) fn allowed() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemTotal:"));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let second = groups.lines().find_map(|line| line.strip_prefix("0::")).into_iter().flat_map(paths);
    let files = second
        .map(|group| format!("/sys/fs/cgroup{group}/memory.max"))
        .chain(["/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned()]);
    // A group without a limit says so in words, and one of the first version by a figure above any machine's.
    let limits = files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.chain(machine).min()
}

/// A group and all above it: each may have a limit.
fn paths(group: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(group.trim_end_matches('/')), |path| {
        path.rfind('/').map(|parent| &path[..parent])
    })
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_kernel_are_read() {
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t   2048 kB\n", "VmRSS:"), Some(2 << 20));
        assert_eq!(kilobytes("VmRSS: much", "VmRSS:"), None);
        assert_eq!(paths("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", ""]);
        assert_eq!(paths("/").collect::<Vec<_>>(), [""]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_some_of_what_it_may() {
        let (used, allowed) = (used().unwrap(), allowed().unwrap());
        assert!(used > 1 << 20 && used < allowed, "{used} of {allowed}");
    }
}
