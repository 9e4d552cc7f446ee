//! Free loopback ports, never the same one twice, nor one that another test binary of this user has.
//!
//! They lie below the range from which the kernel numbers outgoing connections: between the look at a port and the
//! server that takes it, a connection of another test might have taken it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

const FIRST: u16 = 10_000;
const LAST: u16 = 19_999;
/// A Redis that is part of a cluster listens there too, so far above its own port.
const CLUSTER_BUS: u16 = 10_000;

/// Locks of the ports that were given, held until this process ends.
static GIVEN: Mutex<Vec<(u16, File)>> = Mutex::new(Vec::new());

/// An address on 127.0.0.1 that nothing listens on.
pub(crate) fn free() -> SocketAddr {
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut port = given.last().map_or_else(own_start, |(port, _)| *port);
    loop {
        port = if port == LAST { FIRST } else { port + 1 };
        if let Some(lock) = lock(port).filter(|_| is_free(port) && is_free(port + CLUSTER_BUS)) {
            given.push((port, lock));
            return (Ipv4Addr::LOCALHOST, port).into();
        }
    }
}

/// So that test binaries that run side by side seldom look at the same ports.
fn own_start() -> u16 {
    let blocks = u32::from((LAST - FIRST) / 100);
    FIRST + u16::try_from(std::process::id() % blocks).expect("less than a hundred blocks") * 100
}

/// The right to look at a port and to use it; even the look keeps others from listening there.
fn lock(port: u16) -> Option<File> {
    let owner = fs::metadata("/proc/self").expect("this process").uid();
    let folder = std::env::temp_dir().join(format!("doorward-ports-{owner}"));
    fs::create_dir_all(&folder).expect("a writable folder for temporary files");
    let file = File::create(folder.join(port.to_string())).expect("a file in it");
    file.try_lock().is_ok().then_some(file)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
