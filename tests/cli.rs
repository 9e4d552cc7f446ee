//! The command line as its users meet it: the built binary, its output and its exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

#[path = "cli/files.rs"]
mod files;
#[path = "cli/home.rs"]
mod home;
#[path = "harness/ports.rs"]
mod ports;
#[path = "cli/session.rs"]
mod session;
#[path = "cli/via.rs"]
mod via;

use home::{Done, Home};
use ports::free;

#[test]
fn help_begins_with_examples_everywhere() {
    let home = Home::new();
    let commands = [
        "",
        "serve",
        "demo",
        "doctor",
        "config",
        "session",
        "session revoke",
        "key",
        "token",
        "token mint",
        "token explain",
        "db",
        "healthcheck",
        "completions",
        "man",
    ];
    for command in commands {
        let mut args: Vec<_> = command.split_whitespace().collect();
        args.push("--help");
        let help = home.run(&args).ok();
        assert!(help.starts_with("Examples:\n  ") && help.contains("doorward "), "{command}: {help}");
    }
}

#[test]
fn exit_codes_tell_what_kind_of_failure_it_was() {
    let home = Home::new();
    assert_eq!(home.run(&["version"]).code, 0);
    assert_eq!(home.run(&["nonsense"]).code, 2);
    assert_eq!(home.run(&["serve", "--role", "nothing"]).code, 2);
    assert_eq!(home.run(&["key", "list"]).code, 1, "there are no keys");
    for command in [["config", "check"], ["config", "show"], ["key", "list"]] {
        let done = home.run(&[command[0], command[1], "-c", "missing.yaml"]);
        assert_eq!(done.code, 78);
        assert!((done.out + &done.err).contains("missing.yaml"), "the file is named");
    }
    let done = home.run(&["serve", "--set", "workers=many"]);
    assert_eq!((done.code, done.out.as_str()), (78, ""));
    assert!(done.err.contains("--set workers: here belongs a whole number"), "{}", done.err);
    let done = home.run(&["serve", "--dev", "--set", "listen.public=0.0.0.0:8080"]);
    assert!(done.code == 78 && done.err.contains("--dev does not serve on 0.0.0.0:8080"), "{}", done.err);
}

#[test]
fn a_key_file_that_is_not_there_yet_is_a_warning() {
    let home = Home::with("issuers: [{issuer: 'https://i', audience: [a], jwks_file: later.json}]\n");
    let done = home.run(&["config", "check"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!((done.out + &done.err).contains("issuers[0].jwks_file: later.json is not there yet"));
}

// SEC-K8
#[test]
fn a_sidecar_reads_its_state_over_the_network_only_with_tls_or_by_consent() {
    let home = Home::with("check: {jwks: 'https://auth/jwks.json'}\n");
    let ask = |role: &str, url: &str, more: &[&str]| {
        let set = format!("state.url={url}");
        home.run(&[&["config", "check", "--role", role, "--set", &set], more].concat())
    };
    let check = |url: &str| ask("check", url, &[]).ok();
    for remote in [
        "redis://redis:6379",
        "redis-sentinel://127.0.0.1:1/0?node=10.0.0.9:26379&sentinelServiceName=main",
        "redis://[::2]:1",
    ] {
        let refused = ask("check", remote, &[]);
        assert_eq!(refused.code, 78, "{remote}: {}", refused.out);
        let text = refused.out;
        assert!(text.contains("--set state.url: ") && text.contains("rediss://"), "{remote}: {text}");
        let consented = ask("check", remote, &["--set", "state.allow_plaintext=true"]).ok();
        assert!(!consented.contains("without TLS"), "{remote}: {consented}");
        let issuer = ask("issuer", remote, &[]).ok();
        assert!(issuer.contains("‼ --set state.url: "), "an issuer is warned: {issuer}");
    }
    for fine in ["redis://127.0.0.1:6379", "redis://[::1]", "rediss://redis:6379", "unix:///run/redis.sock"] {
        assert!(!check(fine).contains('‼'), "{fine}: {}", check(fine));
    }
}

#[test]
fn config_check_tells_all_errors_with_their_places() {
    let home = Home::with("auth:\n  acess_lifetime: 15m\n  audience: web\nstate: {url: ftp://x}\n");
    let done = home.run(&["config", "check"]);
    assert_eq!(done.code, 78);
    for told in [
        "doorward.yaml:2:3: auth.acess_lifetime: there is no such key\n    fix: did you mean `access_lifetime`?",
        "doorward.yaml:3:13: auth.audience: here belongs a list, but this is a text",
        "doorward.yaml:4:14: state.url: `ftp` is no kind of token store",
    ] {
        assert!(done.out.contains(told), "{told}\n{}", done.out);
    }
    let done = home.run(&["config", "check", "-o", "json"]);
    let json: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!((done.code, &json["ok"]), (78, &Value::Bool(false)));
    assert_eq!((json["findings"][0]["line"].as_u64(), json["findings"][0]["column"].as_u64()), (Some(2), Some(3)));
}

#[test]
fn config_init_passes_config_check_and_the_schema_takes_it() {
    let home = Home::new();
    let starter = home.run(&["config", "init"]).ok();
    fs::write(home.path("doorward.yaml"), starter).expect("written");
    let checked = home.run(&["config", "check"]).ok();
    assert_eq!(checked, "√ the configuration is good for role all\n");
    let schema = home.run(&["config", "schema"]).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["auth"]["properties"]["access_lifetime"]["default"], "15m");
    assert!(schema["properties"]["limits"]["properties"]["lockout"].is_object());
}

#[test]
fn config_show_tells_where_each_value_comes_from() {
    let home = Home::with("auth: {issuer: me}\n");
    let shown = Done::of(home.command(&["config", "show"]).env("DOORWARD__WORKERS", "3").output().expect("run")).ok();
    assert!(shown.contains("  issuer: me   # doorward.yaml:1:16\n"), "{shown}");
    assert!(shown.contains("workers: 3   # environment DOORWARD__WORKERS\n"), "{shown}");
    assert!(shown.contains("  access_lifetime: 15m   # default\n"), "{shown}");
    let json = home.run(&["config", "show", "-o", "json"]).json();
    assert_eq!(json["sources"]["auth.issuer"], "doorward.yaml:1:16");
}

#[test]
fn the_reference_in_docs_is_the_one_the_binary_prints() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    assert_eq!(Home::new().run(&["config", "reference"]).ok(), fs::read_to_string(kept).expect("there"));
}

#[test]
fn keys_are_made_rotated_and_revoked() {
    let home = Home::prepared();
    let listed = |home: &Home| home.run(&["key", "list", "-o", "json"]).json();
    let first = listed(&home)[0].clone();
    assert_eq!((first["state"].as_str(), first["algorithm"].as_str()), (Some("active"), Some("EdDSA")));

    let next = home.run(&["key", "rotate"]).ok().trim().to_owned();
    assert_eq!(listed(&home).as_array().map(Vec::len), Some(2));
    let jwks = home.run(&["key", "jwks"]).json();
    assert_eq!(home.run(&["key", "jwks", "-o", "json"]).json(), jwks);
    let kids: Vec<_> = jwks["keys"].as_array().expect("keys").iter().map(|key| key["kid"].clone()).collect();
    assert!(kids.contains(&first["kid"]) && kids.contains(&next.as_str().into()), "{kids:?}");
    assert!(jwks["keys"].as_array().expect("keys").iter().all(|key| key.get("d").is_none()), "no private part");

    let kid = first["kid"].as_str().expect("a kid");
    let refused = home.run(&["key", "revoke", kid]);
    assert!(refused.code == 1 && refused.err.contains("--yes"), "{}", refused.err);
    let done = home.run(&["key", "revoke", kid, "--yes"]);
    assert!(done.err.contains("crypt_key_change"), "audited: {}", done.err);
    assert_eq!(done.json()["replacement"], next.as_str());
    assert_eq!(listed(&home).as_array().map(Vec::len), Some(1));
    let again = home.run(&["key", "revoke", kid, "--yes"]);
    assert!(again.code == 1 && again.err.contains("has no key"), "{}", again.err);
}

#[test]
fn a_minted_session_is_explained_listed_and_revoked() {
    let home = Home::prepared();
    let pair =
        home.run(&["token", "mint", "--user", "alice", "--role", "admin", "--scope", "read", "--amr", "pwd"]).json();
    let access = pair["access"].as_str().expect("a token");
    let explained = home.run_with(&["token", "explain", "-o", "json"], access).json();
    let payload = &explained["decoded_without_verifying"]["payload"];
    assert_eq!(
        (&payload["sub"], &payload["roles"][0], &payload["scope"]),
        (&"alice".into(), &"admin".into(), &"read".into())
    );
    let verification = explained["verification"].as_str().expect("text");
    let sid = payload["sid"].as_str().expect("text");
    assert!(verification.starts_with("holds: signed by doorward"), "{explained}");
    assert!(verification.contains(&format!("doorward session show {sid}")), "what it can't know, it says: {explained}");
    let text = home.run_with(&["token", "explain"], access).ok();
    assert!(text.starts_with("DECODED, NOT VERIFIED"), "{text}");

    let sid = payload["sid"].as_str().expect("a sid");
    let refresh = home.run_with(&["token", "explain", "-o", "json"], pair["refresh"].as_str().expect("a token")).json();
    assert_eq!((refresh["sid"].as_str(), refresh["generation"].as_u64()), (Some(sid), Some(0)));

    let listed = home.run(&["session", "list", "--user", "alice", "-o", "json"]).json();
    assert_eq!(listed[0]["sid"], sid);
    assert!(home.run(&["session", "list", "--all"]).ok().contains(sid));
    assert!(home.run(&["session", "list"]).ok().contains(sid), "all, where nobody is named");
    assert_eq!(home.run(&["session", "show", sid, "-o", "json"]).json()["subject"], "alice");

    let refused = home.run(&["session", "revoke", sid]);
    assert!(refused.code == 1 && refused.err.contains("--yes"), "{}", refused.err);
    let done = home.run(&["session", "revoke", sid, "--yes"]);
    assert!(done.code == 0 && done.err.contains("The session has ended."), "{}", done.err);
    assert_eq!(home.run(&["session", "list", "--user", "alice", "-o", "json"]).json(), Value::Array(Vec::new()));
    assert_eq!(home.run(&["session", "show", sid]).code, 1);
}

#[test]
fn an_id_that_begins_with_a_hyphen_is_an_id() {
    let home = Home::prepared();
    let sid = format!("-N{}", "e".repeat(30));
    for (args, unknown) in [
        (["key", "revoke", "-NoSuchKey", "--yes"], "has no key `-NoSuchKey`"),
        (["session", "show", &sid, "--output=json"], "there is no live session -N"),
        (["session", "revoke", &sid, "--yes"], "The session had ended before."),
    ] {
        let done = home.run(&args);
        assert!(done.err.contains(unknown), "{args:?}: {}", done.err);
    }
}

#[test]
fn all_sessions_of_a_subject_or_of_everyone_end() {
    let home = Home::prepared();
    for user in ["alice", "alice", "bob", "carol"] {
        home.run(&["token", "mint", "--user", user]).ok();
    }
    let done = home.run(&["session", "revoke", "--user", "alice", "--yes"]);
    assert!(done.err.contains("Sessions ended: 2."), "{}", done.err);
    let left = home.run(&["session", "list", "--all", "-o", "json"]).json();
    assert_eq!(left.as_array().map(Vec::len), Some(2));
    let sid = left[0]["sid"].as_str().expect("an id").to_owned();
    // Else who means one issuer's tokens ends everyone's.
    for narrower in [["--issuer", "https://i"], ["--jti", "j1"]] {
        let [option, value] = narrower;
        assert_eq!(home.run(&["session", "revoke", "--all", option, value, "--yes"]).code, 2, "--all {option}");
        assert_eq!(home.run(&["session", "revoke", &sid, option, value, "--yes"]).code, 2, "SID {option}");
    }
    let done = home.run(&["session", "revoke", "--all", "--yes"]);
    assert!(done.err.contains("Everyone's sessions have ended."), "{}", done.err);
    assert_eq!(home.run(&["session", "list", "-o", "json"]).json().as_array().map(Vec::len), Some(0));
    let done = home.run(&["session", "revoke", "--issuer", "https://i", "--user", "dave", "--jti", "j1", "--yes"]);
    assert!(done.code == 0 && done.err.contains("The token is denied for 24h"), "{}", done.err);
}

#[test]
fn no_user_is_minted_a_token_whose_subject_means_an_oauth_client() {
    let home = Home::prepared();
    let done = home.run(&["token", "mint", "--user", "client:billing"]);
    assert!(done.code == 1 && done.err.contains("/oauth2/token"), "{}", done.err);
    home.run(&["token", "mint", "--user", "clients"]).ok();
}

#[test]
fn a_token_of_another_issuer_is_minted_and_verified_by_its_jwks_file() {
    let foreign = Home::prepared();
    let home = Home::with(
        "issuers: [{issuer: 'https://i.example', audience: [api], jwks_file: jwks.json, claims: {roles: realm.roles}}]\n",
    );
    fs::write(home.path("jwks.json"), foreign.run(&["key", "jwks"]).ok()).expect("written");
    let key = foreign.run(&["key", "list", "-o", "json"]).json()[0]["file"].as_str().expect("a file").to_owned();
    let mint = |more: &[&str]| {
        let args = ["token", "mint", "--key", &key, "--issuer", "https://i.example", "--sub", "alice"];
        foreign.run(&[&args, more].concat()).ok()
    };
    let verdict = |token: &str| {
        let explained = home.run_with(&["token", "explain", "-o", "json"], token).json();
        explained["verification"].as_str().expect("text").to_owned()
    };
    let good = mint(&["--audience", "api", "--claim", r#"realm={"roles":["admin"]}"#]);
    assert!(verdict(&good).starts_with("holds: signed by https://i.example"), "{}", verdict(&good));
    assert!(verdict(&mint(&["--audience", "other"])).starts_with("fails: the claim `aud`"));
    let tampered = format!("{}A.x", good.trim());
    assert_eq!(home.run_with(&["token", "explain"], &tampered).code, 0, "it is still explained");
    assert!(verdict(&tampered).starts_with("fails: "));
    assert_eq!(home.run_with(&["token", "explain"], "hello").code, 1);
}

#[test]
fn secrets_are_refused_in_arguments_and_hidden_in_what_is_shown() {
    let home = Home::with("state: {url: 'redis://:canary@127.0.0.1:1'}\n");
    for args in [&["config", "show"][..], &["config", "show", "-o", "json"], &["config", "check"], &["doctor", "--pre"]]
    {
        let done = home.run(args);
        assert!(!(done.out + &done.err).contains("canary"), "{args:?}");
    }
    let done = home.run(&["serve", "--set", "state.url=redis://:canary@h"]);
    assert!(done.code == 78 && !done.err.contains("canary"), "{}", done.err);
}

#[test]
fn doctor_tells_what_is_wrong_with_a_fix() {
    let home = Home::with(
        "state: {url: 'redis://127.0.0.1:1'}\nlisten: {public: '127.0.0.1:0', check: '127.0.0.1:0', ops: '127.0.0.1:0'}\n",
    );
    let done = home.run(&["doctor", "--pre", "-o", "json"]);
    assert_eq!(done.code, 1);
    let report: Value = serde_json::from_str(&done.out).expect("JSON");
    let line = |group: &str| {
        let lines = report["lines"].as_array().expect("lines");
        lines.iter().find(|line| line["group"] == group).unwrap_or_else(|| panic!("{group}: {report:#}")).clone()
    };
    assert_eq!(line("config")["mark"], "good");
    assert_eq!(line("keys")["mark"], "unknown", "the first start makes them");
    assert_eq!(line("state")["mark"], "bad");
    assert!(line("state")["fix"].as_str().expect("a fix").contains("state.url"));

    let bare =
        Done::of(Home::new().command(&["doctor", "--pre"]).env_remove("DOORWARD__CONFIG").output().expect("run"));
    assert!(bare.out.contains("no file was named") && bare.out.contains("-c FILE"), "{}", bare.out);

    let home = Home::prepared();
    let sets =
        ["--set", "listen.public=127.0.0.1:0", "--set", "listen.check=127.0.0.1:0", "--set", "listen.ops=127.0.0.1:0"];
    let text = home.run(&[&["doctor", "--pre"][..], &sets].concat()).ok();
    assert!(
        text.contains("\nkeys\n  √ ") && text.contains("\nstate\n  √ answers") && text.contains("All is well."),
        "{text}"
    );
    let beside = home.run(&["doctor", "--set", "listen.ops=127.0.0.1:1"]);
    assert!(beside.code == 1 && beside.out.contains("× listen.ops: 127.0.0.1:1"), "{}", beside.out);
}

#[test]
fn a_command_in_the_wrong_folder_makes_no_database() {
    let home = Home::new();
    let done = home.run(&["session", "list", "--all"]);
    assert!(done.code == 1 && done.err.contains("doorward.db does not exist"), "{}", done.err);
    assert!(!home.path("doorward.db").exists());
}

#[test]
fn healthcheck_fails_where_nothing_listens() {
    let home = Home::with("listen: {ops: '127.0.0.1:1'}\n");
    let done = home.run(&["healthcheck"]);
    assert!(done.code == 1 && done.err.contains("127.0.0.1:1"), "{}", done.err);
}

#[test]
fn db_status_tells_scripts_too() {
    let home = Home::prepared();
    let told = home.run(&["db", "status", "-o", "json"]).json();
    assert_eq!((&told["engine"], &told["up_to_date"]), (&"SQLite".into(), &true.into()));
    assert_eq!(told["schema"], told["known"]);
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.run(&["completions", shell]).ok().contains("doorward"), "{shell}");
    }
    assert!(home.run(&["man"]).ok().contains(".TH doorward"));
    assert!(home.run(&["man", "key-rotate"]).ok().contains("key"));
    assert_eq!(home.run(&["man", "nonsense"]).code, 1);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    let mut child =
        home.command(&["config", "schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    drop(child.stdout.take());
    let done = Done::of(child.wait_with_output().expect("waited"));
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}

/// Ended whatever becomes of the test.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn healthcheck_and_doctor_find_a_running_service_well() {
    let home = Home::with(&format!("listen: {{public: '{}', check: '{}', ops: '{}'}}\n", free(), free(), free()));
    let silent = |mut command: Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let _serving = Serving(silent(home.command(&["serve"])));
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while home.run(&["healthcheck"]).code != 0 {
        assert!(std::time::Instant::now() < patience, "never ready");
    }
    let text = home.run(&["doctor"]).ok();
    assert!(text.contains("√ listen.check") && text.contains("All is well."), "{text}");
    let pre = home.run(&["doctor", "--pre"]);
    assert!(pre.code == 1 && pre.out.contains("can't be bound"), "{}", pre.out);
}

#[test]
fn a_database_url_that_could_only_fail_later_is_told_by_config_check() {
    let check = |url: &str| Home::with(&format!("users: {{url: '{url}'}}\n")).run(&["config", "check"]);
    for (url, told) in [
        ("postgres://u:canary@localhost/d?sslmode=off", "disable, allow, prefer, require, verify-ca or verify-full"),
        ("mysql://u:canary@localhost/d?ssl-mode=off", "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"),
    ] {
        let done = check(url);
        assert!(done.code == 78 && (done.out + &done.err).contains(told), "{url}");
    }
    for url in ["postgres:///doorward?host=/run/postgresql", "postgres://localhost/doorward"] {
        let done = check(url);
        let told = done.out + &done.err;
        assert!(done.code == 0 && told.contains("names no user") && told.contains("user=doorward"), "{told}");
    }
    for url in [
        "postgres://u:canary@localhost/d?sslmode=Disable",
        "postgres:///doorward?host=/run/postgresql&user=doorward",
        "mysql://u:canary@localhost/d?ssl-mode=DISABLED",
    ] {
        let done = check(url);
        let told = done.out + &done.err;
        assert!(done.code == 0 && !told.contains("users.url"), "{told}");
    }
}

#[test]
fn a_rate_of_nothing_is_told_apart_from_no_limit() {
    let done = Home::new().run(&["config", "check", "--set", "limits.auth=0/min"]);
    let told = done.out + &done.err;
    assert!(done.code == 78 && told.contains("nobody") && told.contains("`off`"), "{told}");
}

#[test]
fn an_address_in_use_is_told_with_the_key_to_change() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = taken.local_addr().expect("an address");
    let home = Home::with(&format!("listen: {{public: '{at}', check: '127.0.0.1:0', ops: '127.0.0.1:0'}}\n"));
    let done = home.run(&["serve"]);
    let told = done.out + &done.err;
    assert!(done.code == 1 && told.contains("set listen.public to another"), "{told}");
}
