//! Files that the configuration names: what is wrong with one is told before the start, with its key and the fix.

use std::fs;

use super::Home;

#[test]
fn config_check_finds_every_file_that_serve_can_not_use() {
    let home = Home::with(
        "auth: {trusted_login: {caller_keys_file: callers}}\nkeys: {secret_file: secret}\n\
         state: {url: 'rediss://127.0.0.1:70000', ca_file: ca.pem}\n\
         issuers: [{issuer: 'https://i', audience: [a], jwks_file: jwks.json}]\n",
    );
    fs::write(home.path("callers"), "short-canary\n").expect("written");
    fs::write(home.path("jwks.json"), "{").expect("written");
    let told = [
        "doorward.yaml:1:42: auth.trusted_login.caller_keys_file: callers:1: the key has fewer than 32 characters\n    fix: ",
        "doorward.yaml:2:21: keys.secret_file: secret: can't be read",
        "doorward.yaml:3:14: state.url: this is no URL of a store: invalid port number\n    fix: ",
        "state.ca_file: ca.pem: ",
        "issuers[0].jwks_file: jwks.json: ",
    ];
    for command in [&["config", "check"][..], &["serve"], &["serve", "--dev"]] {
        let done = home.run(command);
        let all = done.out + &done.err;
        assert_eq!(done.code, 78, "{all}");
        for one in told {
            assert_eq!(all.matches(one).count(), 1, "{one}\n{all}");
        }
        assert!(!all.contains("canary"), "{all}");
    }
    let role = ["config", "check", "--role", "check", "--set", "state.url=redis://127.0.0.1:1"];
    fs::write(home.path("shared"), "too short").expect("written");
    let sets = ["--set", "check.jwks=jwks.json", "--set", "check.hs256_secret_file=shared"];
    let done = home.run(&[&role[..], &sets].concat());
    assert_eq!(done.code, 78);
    for one in ["× --set check.jwks: jwks.json: ", "× --set check.hs256_secret_file: shared: "] {
        assert!(done.out.contains(one), "{one}\n{}", done.out);
    }
}

#[test]
fn a_key_that_is_open_to_all_or_weak_is_found_before_the_start_and_can_be_mended() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::prepared();
    home.run(&["config", "check"]).ok();
    let file = home.run(&["key", "list", "-o", "json"]).json()[0]["file"].as_str().expect("a file").to_owned();
    fs::set_permissions(home.path(&file), fs::Permissions::from_mode(0o644)).expect("changed");
    for command in [&["config", "check"][..], &["serve"]] {
        let done = home.run(command);
        assert_eq!(done.code, 78, "{}", done.err);
        assert!((done.out + &done.err).contains("keys.dir: "), "{command:?}");
    }
    assert_eq!(home.run(&["config", "show"]).code, 0, "only what is to serve needs the files");
    let text = home.run(&["doctor", "--pre"]).out;
    assert!(text.contains("keys\n  × ") && text.contains("fix: run: chmod 600"), "{text}");
}

// SEC-K6
#[test]
fn a_file_with_the_stores_password_is_for_doorward_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with("state: {url_file: redis-url}\n");
    fs::write(home.path("redis-url"), "redis://:canary@127.0.0.1:1").expect("written");
    for (mode, code, told) in [
        (0o640, 0, "√ the configuration is good"),
        (0o644, 0, "‼ doorward.yaml:1:19: state.url_file: every user of this machine can read redis-url"),
        (0o666, 78, "× doorward.yaml:1:19: state.url_file: others may change redis-url"),
        (0o620, 78, "× doorward.yaml:1:19: state.url_file: others may change redis-url"),
    ] {
        fs::set_permissions(home.path("redis-url"), fs::Permissions::from_mode(mode)).expect("changed");
        let done = home.run(&["config", "check"]);
        assert_eq!(done.code, code, "{mode:o}: {}", done.out);
        assert!(done.out.contains(told) && !done.out.contains("canary"), "{mode:o}: {}", done.out);
    }
}

// SEC-K6
#[test]
fn caller_keys_that_everyone_can_read_are_warned_of_once_and_a_taken_address_is_told_once() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with("auth: {trusted_login: {caller_keys_file: callers}}\n");
    fs::write(home.path("callers"), "a-caller-key-of-32-characters-ok\n").expect("written");
    let mode = |mode| fs::set_permissions(home.path("callers"), fs::Permissions::from_mode(mode)).expect("changed");
    let told = "auth.trusted_login.caller_keys_file: every user of this machine can read callers\n    fix: ";
    mode(0o644);
    let text = home.run(&["config", "check"]).ok();
    assert!(text.contains(&format!("‼ doorward.yaml:1:42: {told}")), "{text}");
    mode(0o640);
    let text = home.run(&["config", "check"]).ok();
    assert!(!text.contains('‼'), "{text}");

    mode(0o644);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let ops = format!("listen.ops={}", taken.local_addr().expect("bound"));
    let free = ["--set", "listen.public=127.0.0.1:0", "--set", "listen.check=127.0.0.1:0"];
    let done = home.run(&[&["serve", "--set", &ops][..], &free].concat());
    let all = done.out + &done.err;
    assert_eq!(done.code, 1, "{all}");
    for once in ["every user of this machine can read", "cannot listen on 127.0.0.1", "Address already in use"] {
        assert_eq!(all.matches(once).count(), 1, "{once}\n{all}");
    }
}
