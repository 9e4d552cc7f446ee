//! Several processes on one Redis: one issuer and two checkers, as in a deployment. What one ends, all refuse.

mod harness;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use harness::doorward::{Doorward, Pair, question};
use harness::http::{Connection, Request};
use harness::redis::RedisServer;
use harness::wait::{answered, wait_for};
use serde_json::{Value, json};

/// One issuer and two checkers. The redis goes last.
struct Spread {
    issuer: Doorward,
    checkers: [Doorward; 2],
    redis: RedisServer,
}

impl Spread {
    fn start(config: Value) -> Option<Self> {
        if !harness::redis::available() {
            return None;
        }
        let redis = RedisServer::start();
        let mut config = config;
        config["state"] = json!({"url": redis.url()});
        let issuer = Doorward::start_as("issuer", config.clone());
        config["check"]["jwks"] = format!("http://{}/.well-known/jwks.json", issuer.public).into();
        let checkers = [Doorward::start_as("check", config.clone()), Doorward::start_as("check", config)];
        Some(Self { issuer, checkers, redis })
    }
}

// SEC-S1
#[test]
#[expect(clippy::print_stdout, reason = "the figure is what it is for")]
fn a_logout_is_seen_by_every_checker_within_milliseconds() {
    let Some(spread) = Spread::start(json!({"auth": {"max_sessions_per_user": 0}})) else { return };
    const ROUNDS: usize = 200;
    let mut delays = Vec::new();
    let mut connections =
        spread.checkers.each_ref().map(|checker| Connection::open(checker.check).expect("a connection"));
    for _ in 0..ROUNDS {
        let pair = spread.issuer.login(1);
        let asked = question(&pair.access);
        for connection in &mut connections {
            // 503 asks to try again: on a busy machine the store may be late.
            wait_for("the token to pass", || connection.exchange(&asked).expect("an answer").status == 200);
        }
        assert_eq!(spread.issuer.logout(&pair.access).status, 200);
        let ended = Instant::now();
        for connection in &mut connections {
            loop {
                let since = ended.elapsed();
                if connection.exchange(&asked).expect("an answer").status != 200 {
                    break;
                }
                assert!(since < Duration::from_secs(1), "a checker still lets the token pass");
            }
            delays.push(ended.elapsed());
        }
    }
    delays.sort_unstable();
    let at = |percent: usize| delays[(delays.len() * percent / 100).min(delays.len() - 1)];
    println!(
        "from the logout's answer to the first refusal, {} measured: p50 {:?}, p99 {:?}, most {:?} (each includes the question's own round trip)",
        delays.len(),
        at(50),
        at(99),
        at(100),
    );
}

// SEC-R1
#[test]
fn a_hundred_parallel_refreshes_over_two_nodes_leave_one_family_with_one_successor() {
    if !harness::redis::available() {
        return;
    }
    let redis = RedisServer::start();
    let keys = tempfile::tempdir().expect("a folder");
    let config = json!({"state": {"url": redis.url()}, "keys": {"dir": keys.path().join("keys")}, "auth": {"refresh_grace": "5s"}});
    let first = Doorward::start(config.clone());
    let nodes = [&first, &Doorward::start(config)];
    let pair = nodes[0].login(1);

    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 0..100 {
            let (answers, nodes, pair) = (&answers, &nodes, &pair);
            scope.spawn(move || {
                let reply = answered(|| nodes[n % 2].refresh(&pair.refresh));
                answers.lock().expect("no panic").push(reply);
            });
        }
    });
    let spent = Instant::now();
    let pairs: Vec<Pair> = answers.into_inner().expect("no panic").iter().map(Pair::of).collect();
    assert!(pairs.iter().all(|one| one.refresh == pairs[0].refresh), "every answer carries the same refresh token");
    for one in &pairs {
        assert_eq!(nodes[0].knows(&one.access), 200);
    }

    std::thread::sleep(Duration::from_millis(5100).saturating_sub(spent.elapsed())); // the grace window itself
    assert_eq!(nodes[1].refresh(&pair.refresh).status, 401, "the spent token after the window is a replay");
    for node in nodes {
        wait_for("the end of the family", || node.check(&pairs[0].access).status == 401);
        assert_eq!(node.refresh(&pairs[0].refresh).status, 401);
    }
}

// SEC-R5
#[test]
fn no_refresh_in_flight_outlives_a_logout() {
    let Some(spread) = Spread::start(json!({"auth": {"max_sessions_per_user": 0}})) else { return };
    for _ in 0..20 {
        let pair = spread.issuer.login(1);
        let fresh = std::thread::scope(|scope| {
            let refreshes: Vec<_> = (0..4).map(|_| scope.spawn(|| spread.issuer.refresh(&pair.refresh))).collect();
            assert_eq!(spread.issuer.logout(&pair.access).status, 200);
            refreshes.into_iter().map(|call| call.join().expect("no panic")).collect::<Vec<_>>()
        });
        for reply in fresh.iter().filter(|reply| reply.status == 200) {
            let late = Pair::of(reply);
            assert_eq!(spread.checkers[0].knows(&late.access), 401);
            assert_eq!(spread.issuer.refresh(&late.refresh).status, 401);
        }
    }
}

#[test]
fn a_warm_check_asks_the_store_nothing() {
    let Some(spread) = Spread::start(json!({"check": {"cache": {"activity_interval": "1h"}}})) else { return };
    let pair = spread.issuer.login(1);
    let mut connection = Connection::open(spread.checkers[0].check).expect("a connection");
    let asked = question(&pair.access);
    wait_for("the token to be known", || connection.exchange(&asked).expect("an answer").status == 200);
    let reads = |redis: &RedisServer| {
        calls(&redis.cli(&["INFO", "commandstats"]), &["hmget", "get", "mget", "pttl", "evalsha", "pexpireat"])
    };
    let before = reads(&spread.redis);
    for _ in 0..1000 {
        assert_eq!(connection.exchange(&asked).expect("an answer").status, 200);
    }
    let spent = reads(&spread.redis) - before;
    // Three processes following the log ask a few things a second each, whatever the number of checks.
    assert!(spent < 100, "1000 warm checks made {spent} calls of the store");
}

// SEC-K8
#[test]
fn a_checker_holds_no_key_and_no_database() {
    let Some(spread) = Spread::start(json!({})) else { return };
    for checker in &spread.checkers {
        assert!(!checker.folder().join("keys").exists(), "a checker made keys");
        assert!(!checker.folder().join("doorward.db").exists(), "a checker made a database");
        assert!(Request::get("/ping").try_send(checker.public).is_err(), "a checker opened the session plane");
    }
}

// SEC-K3
#[test]
fn a_revoked_key_kills_its_tokens_on_every_node() {
    let Some(spread) = Spread::start(json!({})) else { return };
    let pair = spread.issuer.login(1);
    for checker in &spread.checkers {
        assert_eq!(checker.knows(&pair.access), 200);
    }
    let keys = Request::get("/.well-known/jwks.json").send(spread.issuer.public).json();
    let kid = keys["keys"][0]["kid"].as_str().expect("a kid").to_owned();
    let config = spread.issuer.folder().join("doorward.yaml");
    let done = harness::doorward::program()
        .args(["key", "revoke", "--yes", "-c"])
        .arg(&config)
        .args(["--", &kid])
        .output()
        .expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for checker in &spread.checkers {
        wait_for("the key's end", || checker.check(&pair.access).status == 401);
    }
    wait_for("new tokens to count", || {
        let reply = Request::post("/login", &json!({"user_id": 2})).send(spread.issuer.public);
        reply.status == 200
            && spread.checkers.iter().all(|checker| checker.check(&Pair::of(&reply).access).status == 200)
    });
}

// SEC-K1
#[test]
fn rotating_the_key_denies_no_valid_token() {
    let Some(spread) = Spread::start(json!({})) else { return };
    let config = spread.issuer.folder().join("doorward.yaml");
    let before = spread.issuer.login(1);
    let done = harness::doorward::program().args(["key", "rotate", "-c"]).arg(&config).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    wait_for("the new key's publication", || {
        let keys = Request::get("/.well-known/jwks.json").send(spread.issuer.public).json();
        keys["keys"].as_array().map(Vec::len) == Some(2)
    });
    let after = spread.issuer.login(2);
    for checker in &spread.checkers {
        for pair in [&before, &after] {
            assert_eq!(checker.knows(&pair.access), 200);
        }
    }
}

// SEC-N4
#[test]
fn an_unknown_key_is_nobodys_fault_while_an_issuers_keys_were_never_had() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/jwks", silent.local_addr().expect("an address"));
    let issuer = harness::foreign::ForeignIssuer::new();
    let away = json!({"issuers": [{"issuer": "https://issuer.test", "audience": ["apps"], "jwks_url": url}]});
    let doorward = Doorward::start(away);
    assert_eq!(doorward.check(&issuer.token("alice", &[])).status, 503, "it may well be that issuer's");
    assert_eq!(doorward.check("junk").status, 401);
    let pair = doorward.login(1);
    assert_eq!(doorward.knows(&pair.access), 200, "our own tokens do not wait for it");
}

#[test]
fn sessions_are_listed_and_ended_from_the_command_line() {
    let Some(spread) = Spread::start(json!({})) else { return };
    let pair = spread.issuer.login("alice");
    let other = spread.issuer.login("bob");
    assert_eq!(spread.checkers[0].knows(&pair.access), 200);
    assert_eq!(spread.checkers[0].knows(&other.access), 200);
    let config = spread.issuer.folder().join("doorward.yaml");
    let run = |args: &[&str]| {
        let done = harness::doorward::program().args(args).arg("-c").arg(&config).output().expect("it runs");
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let list: Value = serde_json::from_str(&run(&["session", "list", "--user", "alice", "-o", "json"])).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    run(&["session", "revoke", "--user", "alice", "--yes"]);
    wait_for("the end of alice's session", || spread.checkers[0].check(&pair.access).status == 401);
    assert_eq!(spread.checkers[0].knows(&other.access), 200);
    assert_eq!(spread.issuer.refresh(&pair.refresh).status, 401);
}

// SEC-S8
#[test]
fn everyone_is_out_on_every_checker_at_once_and_who_signs_in_again_is_in() {
    let Some(spread) = Spread::start(json!({})) else { return };
    let before: Vec<Pair> = (0..20).map(|n| spread.issuer.login(n)).collect();
    let passes = |pair: &Pair| spread.checkers.each_ref().map(|checker| checker.knows(&pair.access));
    for pair in &before {
        assert_eq!(passes(pair), [200, 200]);
    }
    let done = harness::doorward::program()
        .args(["session", "revoke", "--all", "--yes", "-c"])
        .arg(spread.issuer.folder().join("doorward.yaml"))
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && told.contains("everyone by command-line"), "{told}");
    for pair in &before {
        wait_for("everyone's end", || passes(pair) == [401, 401]);
        assert_eq!(spread.issuer.refresh(&pair.refresh).status, 401);
    }
    let after = spread.issuer.login(1);
    assert_eq!(passes(&after), [200, 200]);
    let next = Pair::of(&spread.issuer.refresh(&after.refresh));
    assert_eq!(passes(&next), [200, 200]);
    assert_eq!(passes(&before[1]), [401, 401], "the same user's older token");
}

/// How often these commands were called, from `INFO commandstats`.
fn calls(stats: &str, commands: &[&str]) -> u64 {
    let of = |line: &str| -> Option<u64> {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        commands.contains(&name).then(|| rest.split(',').next()?.parse().ok())?
    };
    stats.lines().filter_map(of).sum()
}
