//! What operators do while requests come, 2000 a second where the machine can: restart one node after another, rotate keys,
//! reload the configuration. Not one request is lost (SEC-N2, K1, P14). Three doorwards on one Redis stand behind a real
//! NGINX, and a real Envoy, on the shipped files with three addresses in the place of one.

mod harness;
#[path = "rolling/load.rs"]
mod load;

use std::any::Any;
use std::net::SocketAddr;
use std::time::Duration;

use harness::doorward::{Doorward, program};
use harness::envoy::Envoy;
use harness::http::Request;
use harness::nginx::Nginx;
use harness::redis::RedisServer;
use harness::shipped::{Places, read};
use harness::upstream::Upstream;
use harness::wait::wait_for;
use harness::{ports, tools};
use load::{Load, Report};
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug)]
enum Proxy {
    Nginx,
    EnvoyGrpc,
    EnvoyHttp,
}

/// Proxy, nodes, store; ended in this order.
struct Fleet {
    address: SocketAddr,
    _proxy: Box<dyn Any>,
    nodes: Vec<Doorward>,
    _app: Upstream,
    _redis: RedisServer,
    keys: TempDir,
}

impl Fleet {
    /// `None` where a program is missing.
    fn start(proxy: Proxy) -> Option<Self> {
        let name = if matches!(proxy, Proxy::Nginx) { "nginx" } else { "envoy" };
        let program = tools::find(name)?;
        if !harness::redis::available() {
            return None;
        }
        let redis = RedisServer::start();
        let keys = tempfile::tempdir().expect("a folder");
        let config = json!({
            "state": {"url": redis.url()},
            "keys": {"dir": keys.path().join("keys")},
            "logging": {"level": "info"},
            "check": {"rules": [{"path": "/open/**", "allow": "anyone"}, {"path": "/**"}]},
            "auth": {"max_sessions_per_user": 0},
            // As it is by default, so that proxies hear of the end before it comes.
            "shutdown": {"delay": "5s", "finish": "25s"},
        });
        let nodes: Vec<Doorward> = (0..3).map(|_| Doorward::start(config.clone())).collect();
        let app = Upstream::start();
        let address = ports::free();
        let places = Places { edge: address, app: app.address, check: nodes[0].check, session: nodes[0].public };
        let running: Box<dyn Any> = match proxy {
            Proxy::Nginx => Box::new(Nginx::start_text(&program, &nginx(&nodes), &places)),
            Proxy::EnvoyGrpc => Box::new(Envoy::start_text(&program, &envoy("envoy/grpc.yaml", &nodes), &places)),
            Proxy::EnvoyHttp => Box::new(Envoy::start_text(&program, &envoy("envoy/http.yaml", &nodes), &places)),
        };
        Some(Self { address, _proxy: running, nodes, _app: app, _redis: redis, keys })
    }

    fn load(&self) -> Load {
        let load = Load::start(self.address, (0..20).map(|user| self.nodes[0].login(user).access).collect());
        wait_for("the load to run", || load.answers() > 200);
        load
    }
}

/// `nginx/api.conf` with three doorwards in each upstream.
fn nginx(nodes: &[Doorward]) -> String {
    let mut upstreams = read("nginx/doorward/upstreams.conf");
    let three = |of: fn(&Doorward) -> SocketAddr| {
        nodes.iter().map(|node| format!("server {};", of(node))).collect::<Vec<_>>().join("\n    ")
    };
    upstreams = upstreams.replace("server 127.0.0.1:9191;", &three(|node| node.check));
    upstreams = upstreams.replace("server 127.0.0.1:8080;", &three(|node| node.public));
    read("nginx/api.conf").replace("include doorward/upstreams.conf;", &upstreams)
}

/// A shipped bootstrap with three doorwards in the check's cluster.
fn envoy(file: &str, nodes: &[Doorward]) -> String {
    let text = read(file);
    let address = "address: {socket_address: {address: 127.0.0.1, port_value: 9191}}";
    let line = text.lines().find(|line| line.contains(address)).expect("the check's address");
    let endpoint = format!("              - endpoint:\n{line}");
    assert!(text.contains(&endpoint), "{file} has another shape");
    let of = |node: &Doorward| endpoint.replace("port_value: 9191}", &format!("port_value: {}}}", node.check.port()));
    text.replace(&endpoint, &nodes.iter().map(of).collect::<Vec<_>>().join("\n"))
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn none_lost(what: &str, report: &Report) {
    let Report { answers, a_second, starved, wrong } = report;
    println!("{what}: {answers} answers, {a_second:.0} a second, {starved} not known in time, {} wrong", wrong.len());
    let some: Vec<_> = wrong.iter().take(5).collect();
    assert!(wrong.is_empty(), "{what}: {} of {answers} wrong, such as {some:#?}", wrong.len());
    // A request that got lost would as often be one that needs no store, and be answered at once.
    assert!(starved * 500 <= *answers, "{what}: {starved} of {answers} were not known in time");
}

fn a_rolling_restart_loses_nothing(proxy: Proxy) {
    let Some(mut fleet) = Fleet::start(proxy) else { return };
    let load = fleet.load();
    for node in &mut fleet.nodes {
        node.restart();
        // As an orchestrator does: the next one only when this one serves again, which the proxy has to notice too.
        let before = load.answers();
        wait_for("requests to go on", || load.answers() > before + 500);
        std::thread::sleep(NOTICED);
    }
    none_lost(&format!("rolling restart behind {proxy:?}"), &load.stop());
}

/// The proxies' own times until a node that is back is asked again: a health check's interval in Envoy, `fail_timeout` in
/// NGINX. Nothing tells from outside.
const NOTICED: Duration = Duration::from_secs(6);

// SEC-N2
#[test]
fn a_rolling_restart_behind_nginx_loses_no_request() {
    a_rolling_restart_loses_nothing(Proxy::Nginx);
}

// SEC-N2
#[test]
fn a_rolling_restart_behind_envoy_over_grpc_loses_no_request() {
    a_rolling_restart_loses_nothing(Proxy::EnvoyGrpc);
}

// SEC-N2
#[test]
fn a_rolling_restart_behind_envoy_over_http_loses_no_request() {
    a_rolling_restart_loses_nothing(Proxy::EnvoyHttp);
}

// SEC-K1
#[test]
fn keys_rotate_under_load_and_no_valid_token_is_denied() {
    let Some(fleet) = Fleet::start(Proxy::Nginx) else { return };
    let load = fleet.load();
    for round in 0..3 {
        let config = fleet.nodes[0].folder().join("doorward.yaml");
        let done = program().args(["key", "rotate", "-o", "json", "-c"]).arg(&config).output().expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        wait_for("the new key's publication", || {
            fleet.nodes.iter().all(|node| {
                let keys = Request::get("/.well-known/jwks.json").send(node.public).json();
                keys["keys"].as_array().map(Vec::len) >= Some(round + 2)
            })
        });
        let kid = sign_now(&fleet.keys.path().join("keys"));
        // From each node, whichever key it signs with at this moment: good on all of them.
        wait_for("all nodes to sign with the new key", || {
            let pairs = fleet.nodes.iter().enumerate().map(|(user, node)| node.login(user).access);
            let tokens: Vec<String> = pairs.collect();
            let signed = tokens.iter().filter(|token| signer(token) == kid).count();
            tokens.into_iter().for_each(|token| load.add(token));
            signed == 3
        });
        let before = load.answers();
        wait_for("the new tokens to be used", || load.answers() > before + 1000);
    }
    none_lost("key rotations", &load.stop());
}

/// Lets the newest key sign, which else would be published for five minutes first. Gives its name.
fn sign_now(keys: &std::path::Path) -> String {
    let file = keys.join("ring.json");
    let mut ring: Value = serde_json::from_slice(&std::fs::read(&file).expect("a ring")).expect("JSON");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let entries = ring["keys"].as_object_mut().expect("keys");
    let (kid, entry) = entries.iter_mut().max_by_key(|(_, entry)| entry["active_from"].as_u64()).expect("a key");
    entry["active_from"] = now.into();
    let kid = kid.clone();
    std::fs::write(keys.join("ring.new"), ring.to_string()).expect("a writable folder");
    std::fs::rename(keys.join("ring.new"), &file).expect("a writable folder");
    kid
}

/// The `kid` of a token's header.
fn signer(token: &str) -> String {
    let header = token.split('.').next().and_then(doorward::secret::from_base64url).expect("a header");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

// SEC-P14
#[test]
fn configurations_reload_under_load_and_no_request_fails() {
    let Some(fleet) = Fleet::start(Proxy::Nginx) else { return };
    let load = fleet.load();
    for round in 0..20 {
        for node in &fleet.nodes {
            let file = node.folder().join("doorward.yaml");
            let mut config: Value =
                serde_json::from_str(&std::fs::read_to_string(&file).expect("a file")).expect("JSON");
            // Rules and headers are made anew each time; what is asked for stays allowed. Each third file is broken: then
            // the old set stays.
            config["check"]["rules"] = match round % 3 {
                0 => json!([{"path": "/open/**", "allow": "anyone"}, {"path": "/**"}]),
                1 => {
                    json!([{"path": "/open/a", "allow": "anyone"}, {"path": format!("/{round}"), "allow": "anyone"}, {"path": "/a"}])
                }
                _ => json!([{"path": "no slash"}]),
            };
            // Whole at any moment: the last signal's reload may only now be reading.
            let next = node.folder().join("doorward.next");
            std::fs::write(&next, config.to_string()).expect("a writable folder");
            std::fs::rename(&next, &file).expect("a writable folder");
            node.process.signal("HUP");
        }
        let before = load.answers();
        wait_for("requests to go on", || load.answers() > before + 200);
    }
    for node in &fleet.nodes {
        assert!(node.process.output().contains("reload"), "nothing was reloaded");
    }
    none_lost("reloads", &load.stop());
}
