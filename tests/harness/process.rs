//! Child processes: what they print is kept and shown when a test fails, and they end with their handle.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take to come up or go down before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Process {
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let output = Arc::new(Mutex::new(Vec::new()));
        keep(child.stdout.take().expect("piped"), &output);
        keep(child.stderr.take().expect("piped"), &output);
        Self { name: name.into(), child, output }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed so far, on both streams.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until `ready` holds; fails the test at once where the process has ended, or when patience has.
    pub fn wait_until(&mut self, what: &str, ready: impl FnMut() -> bool) {
        self.wait_for(Duration::from_millis(10), what, ready);
    }

    /// The same, looking so often.
    pub fn wait_for(&mut self, interval: Duration, what: &str, mut ready: impl FnMut() -> bool) {
        let start = Instant::now();
        while !ready() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended ({status}) before it was {what}:\n{}", self.name, self.output());
            }
            assert!(start.elapsed() < PATIENCE, "{} is not {what}:\n{}", self.name, self.output());
            thread::sleep(interval);
        }
    }

    pub fn wait_listening(&mut self, address: SocketAddr) {
        self.wait_until(&format!("listening on {address}"), || TcpStream::connect(address).is_ok());
    }

    /// Sends a signal by its name, such as `TERM`, `HUP` or `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "no signal {name} to {}", self.name);
    }

    /// Waits until the process has ended by itself.
    pub fn wait_end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "{} does not end:\n{}", self.name, self.output());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it holds in memory, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:") << 10
    }

    pub fn threads(&self) -> usize {
        self.status("Threads:") as usize
    }

    /// A number of `/proc/PID/status`.
    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        let number = value.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        number.unwrap_or_else(|| panic!("{} has ended:\n{}", self.name, self.output()))
    }

    /// How many files and sockets it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count)
    }

    /// Waits for a fact about it.
    pub fn eventually(&self, what: &str, fact: impl Fn() -> bool) {
        let start = Instant::now();
        while !fact() {
            assert!(start.elapsed() < PATIENCE, "{}: still not so that {what}", self.name);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.output());
        }
    }
}

fn keep(mut from: impl Read + Send + 'static, output: &Arc<Mutex<Vec<u8>>>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            output.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..read]);
        }
    });
}
