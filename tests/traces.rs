//! Traces, seen by a real OpenTelemetry collector; and what happens where the collector is away or hangs.
#![cfg(feature = "otlp")]

mod harness;

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::doorward::{Doorward, Pair, question};
use harness::http::{Connection, Request};
use harness::ports;
use harness::process::{PATIENCE, Process};
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Prints every span it is sent.
struct Collector {
    process: Process,
    address: SocketAddr,
}

impl Collector {
    fn start(program: &std::path::Path) -> Self {
        let (address, http) = (ports::free(), ports::free());
        let mut command = Command::new(program);
        command.arg("start").args(["--exporter", "blackhole", "--debug-log", "traces"]);
        command.args(["--debug-log-verbosity", "detailed", "--otlp-grpc-endpoint", &address.to_string()]);
        command.args(["--otlp-http-endpoint", &http.to_string()]);
        let mut process = Process::start("rotel-agent", &mut command);
        process.wait_listening(address);
        Self { process, address }
    }

    /// Waits for the span of this name whose last attribute is this, and gives what was printed of it.
    fn span(&mut self, name: &str, last: &str) -> String {
        let (name, start) = (format!(": {name}\n"), Instant::now());
        let ours = |span: &&str| span.contains(&name) && span.contains(last);
        loop {
            let told = self.process.output();
            if let Some(span) = told.split("Span #").find(ours) {
                return span.to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "no span{name}with {last}:\n{told}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn doorward(collector: SocketAddr, trusted_proxies: &[&str]) -> Doorward {
    Doorward::start(json!({
        "logging": {"otlp_endpoint": format!("http://{collector}")},
        "listen": {"trusted_proxies": trusted_proxies},
        "auth": {"trusted_login": {"allow_from": ["127.0.0.0/8"]}},
    }))
}

#[test]
fn logins_and_checks_are_spans_of_the_trace_that_a_trusted_proxy_names() {
    let program = need!("rotel-agent");
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    for (proxies, joined) in [(&["127.0.0.0/8"][..], true), (&["192.0.2.0/24"], false)] {
        let mut collector = Collector::start(&program);
        let mut doorward = doorward(collector.address, proxies);
        let login = Request::post("/login", &json!({"user_id": 1})).header("traceparent", &traceparent);
        let pair = Pair::of(&login.send(doorward.public));
        let asked = question(&pair.access).header("traceparent", &traceparent).send(doorward.check);
        assert_eq!(asked.status == 200, joined, "an untrusted proxy's word counts for nothing");
        let decision = if joined { "decision: Str(allow)" } else { "reason: Str(bad_path)" };
        // Before the end, which gives the last of them a second and no more.
        let login = collector.span("request", "http.response.status_code: Int(200)");
        let check = collector.span("check", decision);
        doorward.process.signal("TERM");
        assert!(doorward.process.wait_end().success());
        assert!(login.contains("/login") && check.contains("gate: Str(nginx)"), "{login}{check}");
        for span in [login, check] {
            assert_eq!(span.contains(TRACE) && span.contains(&format!("Parent ID      : {PARENT}")), joined, "{span}");
        }
        // SEC-G1: neither tokens nor the audit trail go to who looks at traces.
        let told = collector.process.output();
        assert!(![&pair.access, &pair.refresh].iter().any(|token| told.contains(token.as_str())), "{told}");
        assert!(!told.contains("authn_login_success"), "{told}");
    }
}

#[test]
fn a_collector_that_is_away_or_hangs_slows_neither_checks_nor_the_end() {
    let hanging = TcpListener::bind("127.0.0.1:0").expect("a free port");
    for collector in [ports::free(), hanging.local_addr().expect("an address")] {
        let mut doorward = doorward(collector, &["127.0.0.0/8"]);
        let asked = question(&doorward.login(1).access);
        let mut connection = Connection::open(doorward.check).expect("a connection");
        // More than the queue holds: the rest is dropped, nobody waits for room.
        let mut took: Vec<Duration> = (0..3000)
            .map(|_| {
                let began = Instant::now();
                assert_eq!(connection.exchange(&asked).expect("an answer").status, 200);
                began.elapsed()
            })
            .collect();
        took.sort_unstable();
        assert!(took[took.len() * 99 / 100] < Duration::from_millis(500), "{:?}", took[took.len() * 99 / 100]);
        drop(connection);
        let began = Instant::now();
        doorward.process.signal("TERM");
        assert!(doorward.process.wait_end().success());
        assert!(began.elapsed() < Duration::from_secs(4), "the end took {:?}", began.elapsed());
    }
}
