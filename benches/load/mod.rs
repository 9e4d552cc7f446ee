//! The clients: they write prepared bytes and read answers, so cheaply that the server is what is measured.

pub mod closed;
pub mod grpc;
pub mod http1;
pub mod open;
pub mod redis;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long an answer may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    pub fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(at) => {
                let stream = TcpStream::connect(at)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Stream::Unix(stream))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => at.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answers of any kind.
    pub answers: u64,
    /// Of them, those that were not what was asked for.
    pub others: u64,
    pub took: Duration,
    /// Nanoseconds from question to answer.
    pub latencies: Vec<u32>,
}

impl Tally {
    pub fn count(&mut self, right: bool, nanos: u32) {
        self.answers += 1;
        self.others += u64::from(!right);
        self.latencies.push(nanos);
    }

    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }
}

pub fn nanos(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}
