//! The floors: servers that decide nothing, with doorward's libraries, allocator and kind of runtime. What they cost is
//! what HTTP costs; doorward's figure is told as a ratio to it. Each is this program again, in a process of its own, so
//! that its CPU can be read like doorward's.

mod cold;
mod grpc;
mod http;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::ports;
use crate::harness::process::Process;
use crate::load::Address;

pub const FLAG: &str = "--floor";

/// Which floor.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Bare hyper, HTTP/1: 200 to everything, with these header lines.
    Http(Vec<(String, String)>),
    /// A bare tonic `Authorization` server: answers every `CheckRequest` with this message.
    Grpc(Vec<u8>),
    /// Bare hyper that checks the token's signature and asks Redis once; then as the first.
    Cold { algorithm: &'static str, key: String, redis: u16, headers: Vec<(String, String)> },
}

/// A floor at work; ends with its handle.
pub struct Floor {
    pub at: Address,
    pub process: Process,
}

impl Floor {
    pub fn start(kind: &Kind, workers: usize) -> Self {
        Self::start_at(kind, workers, Address::Tcp(ports::free()))
    }

    pub fn start_at(kind: &Kind, workers: usize, at: Address) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(FLAG).arg(at.to_string()).arg(workers.to_string());
        match kind {
            Kind::Http(headers) => command.arg("http").args(lines(headers)),
            Kind::Cold { algorithm, key, redis, headers } => {
                command.args(["cold", algorithm, key, &redis.to_string()]).args(lines(headers))
            }
            Kind::Grpc(message) => {
                command.arg("grpc").arg(message.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
        };
        let mut process = Process::start("floor", &mut command);
        process.wait_until("listening", || at.connect().is_ok());
        Self { at, process }
    }
}

fn lines(headers: &[(String, String)]) -> impl Iterator<Item = String> {
    headers.iter().map(|(name, value)| format!("{name}: {value}"))
}

/// `--floor ADDRESS WORKERS KIND ARGUMENT…`
pub fn serve(args: &[String]) {
    let [at, workers, kind, rest @ ..] = args else { panic!("--floor ADDRESS WORKERS KIND ...") };
    let at = match at.strip_prefix("unix:") {
        Some(path) => Address::Unix(PathBuf::from(path)),
        None => Address::Tcp(at.parse::<SocketAddr>().expect("an address")),
    };
    let workers = workers.parse().expect("a number of workers");
    // As `doorward serve` builds its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        match kind.as_str() {
            "http" => http::serve(&at, rest).await,
            "cold" => cold::serve(&at, rest).await,
            "grpc" => grpc::serve(&at, &rest[0]).await,
            _ => panic!("no floor `{kind}`"),
        }
    });
}
