//! Who listens at an address of this machine, from `/proc`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::process::Process;

/// The state of a socket that listens, as the kernel writes it.
const LISTENING: &str = "0A";

/// The process that listens on that port; nothing if it is another machine's, or not for us to see.
pub fn listening_at(address: SocketAddr) -> Option<Process> {
    if !address.ip().is_loopback() {
        return None;
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = tables.iter().find_map(|table| inode_of(table, address.port()))?;
    let socket = format!("socket:[{inode}]");
    // Hundreds of processes need not be looked at for what is our own.
    if holds(Path::new("/proc/self/fd"), &socket) {
        return Some(Process::own());
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter(|entry| holds(&entry.path().join("fd"), &socket))
        .find_map(|entry| entry.file_name().to_str()?.parse().ok().map(Process))
}

/// The inode in the line of a socket that listens on that port, whatever the address.
fn inode_of(table: &str, port: u16) -> Option<&str> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (_, local_port) = fields.nth(1)?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let is_it = state == LISTENING && u16::from_str_radix(local_port, 16).ok()? == port;
        is_it.then_some(inode)
    })
}

fn holds(descriptors: &Path, socket: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(descriptors) else { return false };
    descriptors
        .flatten()
        .any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|target| target.as_os_str() == socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_found_and_who_is_connected_is_not() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(listening_at(address), Some(Process::own()));
        let connected = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(listening_at(connected.local_addr().unwrap()), None);
        assert_eq!(listening_at(SocketAddr::from(([192, 0, 2, 1], address.port()))), None);
    }

    #[test]
    fn the_kernels_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 11 1\n   \
             1: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n";
        assert_eq!((inode_of(table, 8000), inode_of(table, 8001)), (Some("4242"), None));
    }
}
