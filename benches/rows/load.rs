//! The load test in `deploy/load/`, with k6: a thousand users against one doorward that has a tenth of a CPU, and a steady
//! stream of checks against one that has what it wants.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::doorward::Doorward;
use crate::harness::{shipped, tools};
use crate::kit::cost::cpu;
use crate::kit::quota::Quota;
use crate::kit::world::World;
use crate::table::{Line, Mark};

const CPUS: f64 = 0.1;

pub fn measure(world: &World) -> Vec<Line> {
    let Some(k6) = tools::find("k6") else {
        println!("skipped: ./bench load installs k6");
        return Vec::new();
    };
    let mut lines = Vec::new();
    for algorithm in ["HS256", "EdDSA"] {
        let Some(quota) = Quota::of(CPUS) else { break };
        let config = world.config(json!({"keys": {"algorithm": algorithm}}));
        let mut doorward = Doorward::spawn_under(&quota.wrapper(), "all", config);
        doorward.wait_ready();
        let base = format!("http://{}", doorward.public);
        let vus = world.of("100", "1000");
        let before = cpu(doorward.process.id());
        let said = run(&k6, &[("BASE_URL", &base), ("VUS", vus)]);
        let each = (cpu(doorward.process.id()) - before).as_secs_f64() * 1e6 / said.requests;
        let (waited, periods) = quota.throttled();
        let figures = format!(
            "{:.0} requests of {each:.0} µs CPU, up to {vus} users, p50 {:.1} ms, slowest {:.0} ms; throttled in {waited} of {periods} periods of 100 ms",
            said.requests, said.p50, said.slowest
        );
        let what = format!("load test in {CPUS} CPU, {algorithm}");
        lines.push(Line::new(&format!("{what}: errors"), Mark::Below(0.0, "%"), said.errors, ""));
        lines.push(Line::new(&format!("{what}: p99"), Mark::Below(15.0, "ms"), said.p99, figures));
    }
    let doorward = Doorward::start(world.config(json!({})));
    let base = format!("http://{}", doorward.public);
    let check = format!("http://{}/check/nginx", doorward.check);
    let lasting = world.of("5s", "30s");
    let set = [("SCENARIO", "checks"), ("BASE_URL", &base), ("CHECK_URL", &check), ("DURATION", lasting)];
    let said = run(&k6, &set);
    let figures = format!(
        "{:.0} requests, {:.2} % errors, p50 {:.2} ms; k6 needs more CPU than doorward",
        said.requests, said.errors, said.p50
    );
    lines.push(Line::new("checks at 10 000/s by k6: p99", Mark::Below(10.0, "ms"), said.p99, figures));
    lines
}

/// What k6 says at its end; times in milliseconds.
struct Said {
    requests: f64,
    errors: f64,
    p50: f64,
    p99: f64,
    slowest: f64,
}

fn run(k6: &Path, set: &[(&str, &str)]) -> Said {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let summary = folder.path().join("summary.json");
    let mut command = Command::new(k6);
    command.args(["run", "--quiet", "--no-color", "--address", "", "--summary-export"]).arg(&summary);
    command.arg(shipped::path("deploy/load/doorward.js")).env("K6_NO_USAGE_REPORT", "true");
    command.envs(set.iter().copied()).stdout(Stdio::null()).stderr(Stdio::inherit());
    // It ends badly where a threshold was crossed, which the row tells.
    let _ = command.status().expect("k6 starts");
    let text = std::fs::read_to_string(&summary).expect("k6 tells what it measured");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let scenario = set.iter().find(|(name, _)| *name == "SCENARIO").map_or("rounds", |(_, value)| value);
    let of = |metric: &str| &all["metrics"][format!("{metric}{{scenario:{scenario}}}")];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let (times, failed) = (of("http_req_duration"), of("http_req_failed"));
    let right = number(&all["metrics"]["checks"]["passes"]);
    let wrong = number(&all["metrics"]["checks"]["fails"]);
    Said {
        requests: number(&failed["passes"]) + number(&failed["fails"]),
        errors: 100.0 * wrong / (right + wrong),
        p50: number(&times["med"]),
        p99: number(&times["p(99)"]),
        slowest: number(&times["max"]),
    }
}
