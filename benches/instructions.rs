//! How many instructions a warm check takes, of each kind, counted by valgrind's callgrind. Unlike time, that is the same on
//! a busy machine, so CI holds it to `instructions.txt`. Counted is the release build without link-time optimisation
//! (`profile.counted` in Cargo.toml), which takes half the time to build:
//!
//!     ./bench --instructions            fails where a kind takes more than its budget
//!     ./bench --instructions --renew    writes what it counted as the new budgets
//!
//! doorward runs whole, one request after the other on one connection: what is counted is all that the process does in
//! that time, the kernel left out.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::doorward::Doorward;
use crate::harness::http::Request;
use crate::harness::tools;
use crate::kit::questions::{Bearers, Calls};
use crate::kit::world::World;
use crate::load::closed::{self, Line, Script, Until};
use crate::load::{Address, Tally, grpc, http1};

pub const FLAG: &str = "--instructions";
const RENEW: &str = "--renew";

/// What a kind may take over its budget: another compiler or library moves some instructions about.
const ALLOWANCE: f64 = 1.03;
/// So far below its budget, a kind's gain should be kept by a new one.
const GAIN: f64 = 0.95;

const PATIENCE: Duration = Duration::from_secs(180);
const CHECKS: u64 = 2000;
const TOKENS: usize = 100;

pub fn run(world: &World, args: &[String]) -> ExitCode {
    let Some(valgrind) = tools::find("valgrind") else { return ExitCode::from(69) };
    let counted = count(world, &valgrind);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt");
    if args.iter().any(|arg| arg == RENEW) {
        let mut text =
            String::from("# Instructions a warm check, by kind. Written by `./bench --instructions --renew`.\n");
        for (kind, count) in &counted {
            writeln!(text, "{kind} {count}").expect("a text grows");
        }
        fs::write(&file, text).expect("a writable folder");
        println!("written to benches/instructions.txt");
    }
    let text = fs::read_to_string(&file).unwrap_or_default();
    let mut over = 0;
    for (kind, count) in &counted {
        let budget = text.lines().find_map(|line| line.strip_prefix(kind)?.trim().parse::<u64>().ok()).unwrap_or(0);
        let share = *count as f64 / budget as f64;
        let verdict = match share {
            share if share > ALLOWANCE => "OVER",
            share if share < GAIN => "well below; keep the gain with --renew",
            _ => "fine",
        };
        over += usize::from(share > ALLOWANCE);
        println!("{kind:<12} {count:>7} instructions a check, budget {budget}: {verdict}");
    }
    if over > 0 {
        println!(
            "\n{over} of {} kinds take more than {ALLOWANCE} × their budget in benches/instructions.txt. `perf` or callgrind tell \
             where. If it has to be so, say why in the commit and renew: ./bench --instructions --renew",
            counted.len()
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn count(world: &World, valgrind: &Path) -> Vec<(&'static str, u64)> {
    let tokens = world.new_tokens("EdDSA", TOKENS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("counts");
    let wrapper = [
        valgrind.display().to_string(),
        "--tool=callgrind".into(),
        format!("--callgrind-out-file={}", out.display()),
        "--quiet".into(),
    ];
    // No debug events, and no housekeeping that falls into one window and not into the next.
    let config = world.checks("EdDSA", json!({"workers": 1, "logging": {"level": "error"}}));
    let checker = Doorward::spawn_under(&wrapper, "check", config);
    wait_ready(&checker);
    let counter = Counter { pid: checker.process.id(), out, folder };
    let at = Address::Tcp(checker.check);
    vec![
        ("nginx", counter.each(&mut http1::open(&at, 1), &mut Bearers::by_nginx(&tokens))),
        ("envoy-http", counter.each(&mut http1::open(&at, 1), &mut Bearers::by_envoy(&tokens))),
        ("envoy-grpc", counter.each(&mut grpc::open(&at, 1, 1), &mut Calls::new(&tokens))),
    ]
}

/// Valgrind is some fifty times slower than the processor.
fn wait_ready(checker: &Doorward) {
    let began = Instant::now();
    loop {
        let said = Request::get("/readyz").try_send(checker.ops);
        match said {
            Ok(reply) if reply.status == 200 => return,
            said if began.elapsed() > PATIENCE => panic!("not ready: {said:?}\n{}", checker.process.output()),
            _ => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Asks the valgrind that a process runs under.
struct Counter {
    pid: u32,
    out: PathBuf,
    folder: TempDir,
}

impl Counter {
    /// Instructions a check, once the tokens are known and every buffer has grown.
    fn each(&self, lines: &mut [impl Line], script: &mut impl Script) -> u64 {
        let ask = |lines: &mut _, script: &mut _, checks| {
            let Tally { others, .. } = closed::run(lines, Until::Asked(checks), script);
            others
        };
        // Under valgrind a lookup may take longer than a checker waits for it.
        assert!((0..5).any(|_| ask(lines, script, 2 * TOKENS as u64) == 0), "all tokens must pass");
        self.tell("zero");
        assert_eq!(ask(lines, script, CHECKS), 0, "all tokens must pass");
        self.tell("dump");
        self.newest_total() / CHECKS
    }

    fn tell(&self, what: &str) {
        let said =
            Command::new("vgdb").arg(format!("--pid={}", self.pid)).arg(what).output().expect("vgdb, of valgrind");
        assert!(said.status.success(), "vgdb {what}: {}", String::from_utf8_lossy(&said.stderr));
    }

    /// The total of the file that was dumped last; they are numbered.
    fn newest_total(&self) -> u64 {
        let numbered = |path: &PathBuf| path.extension()?.to_str()?.parse::<u32>().ok();
        let files = fs::read_dir(self.folder.path()).expect("a folder of ours").flatten().map(|file| file.path());
        let newest = files.filter_map(|path| Some((numbered(&path)?, path))).max();
        let (_, path) = newest.unwrap_or_else(|| panic!("no dump beside {}", self.out.display()));
        let text = fs::read_to_string(path).expect("a dump");
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        total.and_then(|total| total.trim().parse().ok()).expect("a total")
    }
}
