//! Counts the connections that this process still serves on a port, so that a stopping server ends with the last one.
//!
//! At a stop, hyper closes every idle connection at once, and the others after their answer; but Rocket looks only when
//! its whole grace period is over. The kernel knows sooner, and also counts an answer that a slow client still reads.

use std::collections::HashSet;
use std::fs;
use std::io;

/// The state of a listening socket in the kernel's table.
const LISTEN: &str = "0A";

/// How many connections this process holds on its local port.
///
/// # Errors
/// When the system has no `/proc`, or does not let us read it.
pub fn open_on(port: u16) -> io::Result<usize> {
    let own = own_sockets()?;
    // Each once: the kernel writes the table in pieces, and between two of them a line may move.
    let mut found = HashSet::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        match fs::read_to_string(table) {
            Ok(table) => found.extend(connections(&table, port).filter_map(|inode| own.get(inode))),
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound && table.ends_with('6') => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found.len())
}

/// The inodes of the sockets that this process holds.
fn own_sockets() -> io::Result<HashSet<String>> {
    let mut own = HashSet::new();
    for descriptor in fs::read_dir("/proc/self/fd")? {
        // One that is closed meanwhile is none of ours any more.
        let Ok(target) = fs::read_link(descriptor?.path()) else { continue };
        if let Some(inode) = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']')) {
            own.insert(inode.to_owned());
        }
    }
    Ok(own)
}

/// The inodes of the connections on this local port.
fn connections(table: &str, port: u16) -> impl Iterator<Item = &str> {
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, _, _, inode, ..] = fields[..] else { return None };
        let on = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        (on == port && state != LISTEN).then_some(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    /// Of one port on both addresses, so that no other test has connections on it.
    fn listeners() -> Vec<TcpListener> {
        loop {
            let first = TcpListener::bind("127.0.0.1:0").expect("binds");
            match TcpListener::bind(("::1", first.local_addr().expect("is bound").port())) {
                Ok(second) => return vec![first, second],
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                // No IPv6.
                Err(_) => return vec![first],
            }
        }
    }

    #[test]
    fn our_own_ends_are_counted_until_they_are_closed() {
        for listener in &listeners() {
            let at = listener.local_addr().expect("is bound");
            assert_eq!(open_on(at.port()).expect("counts"), 0, "a listener is no connection");
            let client = TcpStream::connect(at).expect("connects");
            let (served, _) = listener.accept().expect("accepts");
            assert_eq!(open_on(at.port()).expect("counts"), 1);
            drop(client);
            assert_eq!(open_on(at.port()).expect("counts"), 1, "the client went, our end is still open");
            drop(served);
            assert_eq!(open_on(at.port()).expect("counts"), 0);
        }
    }
}
