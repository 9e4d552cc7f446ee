//! Rules: what compiles, what matches, and what no spelling gets round.

use super::*;
use crate::check::requirement::Require;

fn rule(path: &str) -> RuleSettings {
    RuleSettings { path: path.into(), ..RuleSettings::default() }
}

fn anyone(path: &str) -> RuleSettings {
    RuleSettings { allow: Some(Allow::Anyone), ..rule(path) }
}

fn role(path: &str, role: &str) -> RuleSettings {
    RuleSettings { require: Some(Require { roles: vec![role.into()], ..Require::default() }), ..rule(path) }
}

fn compile(rules: &[RuleSettings]) -> Policy {
    Policy::compile(rules, false).expect("the rules compile")
}

fn get(target: &str) -> CheckRequest<'_> {
    CheckRequest { method: "GET", host: "app.example.com", target, ..CheckRequest::default() }
}

fn complaint(rule: RuleSettings) -> String {
    Policy::compile(&[RuleSettings::default(), rule], false).expect_err("a faulty rule").to_string()
}

// SEC-P7
#[test]
fn no_rules_ask_for_a_valid_token_everywhere() {
    let policy = compile(&[]);
    assert_eq!(policy.find(&get("/any/where?x")), Ok(&Asks::Token));
    assert_eq!(policy.find(&get("/a%2Fb")), Err(Denial::BadPath));
    assert_eq!(policy.find(&get("/a/../b")), Err(Denial::BadPath));
}

// SEC-P7
#[test]
fn the_first_matching_rule_decides_and_what_matches_none_is_denied() {
    let policy = compile(&[anyone("/public/**"), role("/admin/**", "admin"), rule("/app/**")]);
    assert_eq!(policy.find(&get("/public/x")), Ok(&Asks::Nothing));
    assert!(matches!(policy.find(&get("/admin")), Ok(Asks::Holder(_))));
    assert_eq!(policy.find(&get("/app/")), Ok(&Asks::Token));
    assert_eq!(policy.find(&get("/other")), Err(Denial::Forbidden));
    assert_eq!(policy.find(&get("/Public/x")), Err(Denial::Forbidden));
}

// SEC-P4
#[test]
fn the_query_decides_nothing() {
    let policy = compile(&[anyone("/public"), role("/**", "admin")]);
    assert_eq!(policy.find(&get("/public?/admin")), Ok(&Asks::Nothing));
    assert!(matches!(policy.find(&get("/admin?/public")), Ok(Asks::Holder(_))));
}

// SEC-P6
#[test]
fn methods_match_exactly_and_hosts_without_case_and_port() {
    let only = RuleSettings {
        methods: vec!["GET".into()],
        hosts: vec!["app.example.com".into(), "*.test".into()],
        ..RuleSettings::default()
    };
    let policy = compile(&[only]);
    let ask = |method, host| policy.find(&CheckRequest { method, host, ..get("/") });
    assert_eq!(ask("GET", "APP.example.com.:8443"), Ok(&Asks::Token));
    assert_eq!(ask("GET", "a.b.test"), Ok(&Asks::Token));
    assert_eq!(ask("GET", "example.com"), Err(Denial::Forbidden));
    for method in ["HEAD", "get", "POST"] {
        assert_eq!(ask(method, "a.test"), Err(Denial::Forbidden), "{method}");
    }
}

// SEC-P1
#[test]
fn without_a_method_or_a_host_nothing_is_decided() {
    let policy = compile(&[anyone("/public")]);
    for (method, host) in [("", "a"), ("GET ", "a"), ("GET,POST", "a"), ("GET", ""), ("GET", "a,b"), ("GET", "a@b")] {
        let request = CheckRequest { method, host, ..get("/public") };
        assert_eq!(policy.find(&request), Err(Denial::BadPath), "{method:?} {host:?}");
    }
}

#[test]
fn a_rule_with_a_route_matches_only_where_the_proxy_sent_that_name() {
    let policy = compile(&[RuleSettings { route: "admin".into(), ..role("", "admin") }, rule("")]);
    let ask = |route| policy.find(&CheckRequest { route, ..get("/x") });
    assert!(matches!(ask(Some("admin")), Ok(Asks::Holder(_))));
    assert_eq!(ask(None), Ok(&Asks::Token));
    assert_eq!(ask(Some("Admin")), Ok(&Asks::Token));
}

// SEC-P3
#[test]
fn encoded_slashes_pass_only_where_the_matching_rule_lets_them() {
    let lax = RuleSettings { encoded_slashes: true, ..rule("/projects/*") };
    let policy = compile(&[role("/admin/**", "admin"), lax, rule("/**")]);
    assert_eq!(policy.find(&get("/projects/group%2fname")), Ok(&Asks::Token));
    assert_eq!(policy.find(&get("/projects/group%5Cname")), Ok(&Asks::Token));
    assert_eq!(policy.find(&get("/other/group%2fname")), Err(Denial::BadPath));
    assert_eq!(policy.find(&get("/projects/..%2fadmin")), Err(Denial::BadPath));
}

// SEC-P3
#[test]
fn no_other_reading_of_a_path_gets_round_an_earlier_rule() {
    let lax = RuleSettings { encoded_slashes: true, ..rule("/**") };
    let policy = compile(&[role("/admin/**", "admin"), lax]);
    for target in ["/admin%2Fusers", "/%61dmin%5cusers", "/admin;x/users", "/;x/admin/users", "/x%2f..%2fadmin"] {
        assert_eq!(policy.find(&get(target)), Err(Denial::BadPath), "{target}");
    }
    assert!(matches!(policy.find(&get("/%61dmin//users")), Ok(Asks::Holder(_))));
    assert_eq!(policy.find(&get("/shop/item;colour=red")), Ok(&Asks::Token));
}

#[test]
fn every_fault_names_its_rule_and_the_fix() {
    let both = RuleSettings { allow: Some(Allow::Authenticated), ..role("/a", "x") };
    assert!(complaint(both).contains("check.rules[1]: `allow` and `require`"));
    assert!(complaint(RuleSettings { methods: vec!["get".into()], ..rule("") }).contains("write `GET`"));
    assert!(complaint(RuleSettings { methods: vec![String::new()], ..rule("") }).contains("check.rules[1]"));
    assert!(complaint(RuleSettings { hosts: vec!["App.com".into()], ..rule("") }).contains("`app.com`"));
    assert!(complaint(rule("admin")).contains("does not begin with `/`"));
    let all = complaint(RuleSettings { hosts: vec![":".into()], methods: vec!["x".into()], ..rule("/**a") });
    assert_eq!(all.lines().count(), 3, "{all}");
}

// SEC-P7
#[test]
fn outside_dev_nothing_opens_everything_to_anyone() {
    for path in ["", "/**", "/**/**", "/**/*"] {
        assert!(complaint(anyone(path)).contains("--dev"), "{path:?}");
        Policy::compile(&[anyone(path)], true).expect("fine in dev");
    }
}

fn on(hosts: &[&str], methods: &[&str], path: &str) -> RuleSettings {
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    RuleSettings { hosts: names(hosts), methods: names(methods), ..anyone(path) }
}

// SEC-P7
#[test]
fn hosts_methods_and_pieces_do_not_hide_that_everything_is_open() {
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    for (rules, named) in [
        (vec![on(&["*.com"], &[], "/**")], "check.rules[0]:"),
        (vec![on(&["app.example.com", "*.example.com"], &[], "")], "check.rules[0]:"),
        (vec![rule("/"), on(&[], &all, "/**")], "check.rules[1]:"),
        (vec![on(&[], &["OPTIONS", "GET"], "/**")], "check.rules[0]:"),
        (
            vec![anyone("/*"), role("/admin/**", "admin"), anyone("/*/*/**")],
            "check.rules[2]: with check.rules[0], `allow",
        ),
        (
            vec![anyone("/*/*"), anyone("/**/*/*/*"), anyone("/*")],
            "check.rules[2]: with check.rules[0], check.rules[1], `allow",
        ),
        (
            vec![on(&[], &["GET"], "/*"), on(&["*.com"], &["GET", "PUT"], "/*/**/*")],
            "check.rules[1]: with check.rules[0], `allow",
        ),
    ] {
        let complaint = Policy::compile(&rules, false).expect_err("opens everything").to_string();
        assert!(complaint.contains(named) && complaint.contains("--dev"), "{rules:?}: {complaint}");
        Policy::compile(&rules, true).expect("fine in dev");
    }
}

// SEC-P7
#[test]
fn what_opens_a_part_is_no_catch_all() {
    for rules in [
        vec![on(&[], &["OPTIONS"], "/**")],
        vec![on(&["public.example.com", "www.example.com"], &[], "")],
        vec![RuleSettings { route: "public".into(), ..anyone("") }],
        vec![anyone("/public/**"), anyone("/"), anyone("/*.css")],
        vec![anyone("/*"), anyone("/static/**")],
        vec![anyone("/*/*/**"), anyone("/")],
        vec![on(&[], &["GET"], "/*"), on(&[], &["POST"], "/*/*/**")],
        vec![anyone("/*"), on(&["public.example.com"], &[], "/*/*/**")],
        vec![anyone("/*"), rule("/*/*/**")],
    ] {
        compile(&rules);
    }
}
