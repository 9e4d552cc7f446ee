//! `doctor --via`: each classic mistake of a proxy's configuration, played by a toy proxy, is named.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::Value;

use super::Home;

/// A request as the toy proxy sees it. Its body is read only when asked for.
struct Request<'a> {
    line: String,
    /// As `name: value`, the name in lower case.
    headers: Vec<String>,
    body: &'a mut dyn Read,
}

impl Request<'_> {
    fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line.starts_with(header))
    }

    fn read_body(&mut self) {
        let length = self.headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let _ = self.body.read_exact(&mut vec![0; length.unwrap_or(0)]);
    }
}

const DENIED: &str = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\nx-doorward-reason: no_token\r\n";

/// Serves on a free port for as long as the test runs; the answer is a head without length, or with a body after a blank line.
fn proxy(answer: impl Fn(&mut Request<'_>) -> String + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/app", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        let answer = std::sync::Arc::new(answer);
        for stream in listener.incoming().flatten() {
            let answer = std::sync::Arc::clone(&answer);
            thread::spawn(move || serve(stream, &*answer));
        }
    });
    url
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&mut Request<'_>) -> String) {
    let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let lower = |line: &String| {
        line.split_once(": ").map_or(line.clone(), |(name, value)| format!("{}: {value}", name.to_lowercase()))
    };
    let headers = lines[1..].iter().map(lower).collect();
    let mut request = Request { line: lines[0].clone(), headers, body: &mut reader };
    let text = answer(&mut request);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.trim_end(), ""));
    let _ = write!(stream, "{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
}

fn diagnosis(url: &str, token: Option<&str>) -> (i32, Vec<(String, String)>) {
    diagnosis_of(&Home::prepared(), url, token)
}

fn diagnosis_of(home: &Home, url: &str, token: Option<&str>) -> (i32, Vec<(String, String)>) {
    let mut args = vec!["doctor", "--via", url, "-o", "json"];
    if token.is_some() {
        args.push("--token-stdin");
    }
    let done = home.run_with(&args, token.unwrap_or_default());
    let report: Value = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{}{}", done.out, done.err));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let lines = report["lines"].as_array().expect("lines").iter();
    let proxy = lines.filter(|line| line["group"] == "proxy").map(|line| (text(&line["mark"]), text(&line["what"])));
    (done.code, proxy.collect())
}

#[track_caller]
fn assert_told(lines: &[(String, String)], mark: &str, what: &str) {
    assert!(lines.iter().any(|(known, text)| known == mark && text.contains(what)), "{mark} {what}\n{lines:#?}");
}

#[test]
fn a_proxy_that_does_it_right_is_told_so() {
    let url = proxy(|request| {
        let app = request.line.contains(" /app");
        if !request.has("authorization: Bearer good") || !app {
            return DENIED.to_owned();
        }
        "HTTP/1.1 200 OK\r\n\r\nX-Auth-Subject: alice".to_owned()
    });
    let (code, lines) = diagnosis(&url, Some("good"));
    assert_eq!(code, 0, "{lines:#?}");
    for what in [
        "without a token: 401",
        "with a bad token: 401",
        "with the token: let through",
        "identity headers do not reach",
        "don't reach the check endpoint",
        "can't log in as anyone",
    ] {
        assert_told(&lines, "good", what);
    }
    assert_told(&lines, "unknown", "bodies stay away from the check can't be seen from outside behind NGINX");
}

#[test]
fn only_the_configured_identity_headers_are_forged() {
    // As a proxy for this configuration does: it overwrites Remote-User and knows of no other identity header.
    let url = proxy(|request| {
        let passed: Vec<_> = request.headers.iter().filter(|line| !line.starts_with("remote-")).cloned().collect();
        format!("HTTP/1.1 200 OK\r\n\r\nremote-user: alice\n{}", passed.join("\n"))
    });
    let home = Home::with("check: {headers: {preset: authelia}}\n");
    let (_, lines) = diagnosis_of(&home, &url, Some("good"));
    assert_told(&lines, "good", "identity headers do not reach");
    let (_, lines) = diagnosis_of(&Home::new(), &url, Some("good"));
    assert_told(&lines, "bad", "identity header reaches the upstream");
}

#[test]
fn a_check_on_a_wrong_path_is_named_and_no_more_is_made_of_it() {
    let denied = "HTTP/1.1 403 Forbidden\r\n";
    for (answer, told) in [
        (denied.to_owned(), "without a token: 403, where 401 belongs"),
        (format!("{denied}x-doorward-reason: bad_path\r\n"), "403 (x-doorward-reason: bad_path), where 401 belongs"),
    ] {
        let (code, lines) = diagnosis(&proxy(move |_| answer.clone()), None);
        assert_eq!(code, 1);
        assert_told(&lines, "bad", told);
        assert!(!lines.iter().any(|(_, what)| what.contains("check endpoint")), "{lines:#?}");
    }
    let (_, lines) = diagnosis(&proxy(move |_| format!("{denied}x-doorward-reason: forbidden\r\n")), None);
    assert_told(&lines, "warning", "no rule lets anyone have this path");
}

#[test]
fn an_answer_to_login_that_says_nothing_is_no_all_clear() {
    for status in ["200 OK", "500 Internal Server Error", "302 Found"] {
        let answer = format!("HTTP/1.1 {status}\r\n\r\n<html>");
        let (_, lines) = diagnosis(&proxy(move |_| answer.clone()), None);
        assert_told(&lines, "unknown", &format!("POST /login answers {}", &status[..3]));
    }
}

#[test]
fn a_401_turned_into_500_and_a_lost_challenge_are_named() {
    let (code, lines) = diagnosis(&proxy(|_| "HTTP/1.1 500 Internal Server Error\r\n".into()), None);
    assert_eq!(code, 1);
    assert_told(&lines, "bad", "500, where 401 belongs");
    let (_, lines) = diagnosis(&proxy(|_| "HTTP/1.1 401 Unauthorized\r\n".into()), None);
    assert_told(&lines, "warning", "WWW-Authenticate is lost");
    let (code, lines) = diagnosis("http://127.0.0.1:1/", None);
    assert_eq!(code, 1);
    assert_told(&lines, "bad", "does not answer");
}

#[test]
fn where_doorward_is_away_nothing_is_advised_about_its_401() {
    for status in ["500 Internal Server Error", "503 Service Unavailable"] {
        let answer = format!("HTTP/1.1 {status}\r\n");
        let (code, lines) = diagnosis(&proxy(move |_| answer.clone()), None);
        assert_eq!(code, 1);
        assert!(!lines.iter().any(|(_, what)| what.contains("with a bad token")), "{lines:#?}");
    }
}

#[test]
fn a_body_that_is_waited_for_is_named() {
    let url = proxy(|request| {
        request.read_body();
        DENIED.to_owned()
    });
    let (code, lines) = diagnosis(&url, None);
    assert_eq!(code, 1);
    assert_told(&lines, "bad", "waits for the request's body");
}

#[test]
fn a_forged_identity_that_reaches_the_upstream_is_named() {
    let echo = |request: &mut Request<'_>| {
        let ok = request.has("authorization: Bearer good") && request.line.contains(" /app");
        if ok { format!("HTTP/1.1 200 OK\r\n\r\n{}", request.headers.join("\n")) } else { DENIED.to_owned() }
    };
    let (code, lines) = diagnosis(&proxy(echo), Some("good"));
    assert_eq!(code, 1);
    assert_told(&lines, "bad", "identity header reaches the upstream");
}

#[test]
fn open_check_endpoints_logins_and_metrics_are_named() {
    let url = proxy(|request| {
        if request.line.contains(" /check/") {
            return "HTTP/1.1 403 Forbidden\r\nx-doorward-reason: bad_path\r\n".into();
        }
        if request.line.starts_with("POST /login") {
            request.read_body();
            return "HTTP/1.1 200 OK\r\n\r\n{\"access\":\"a\",\"refresh\":\"dwr_x\"}".into();
        }
        if request.line.contains(" /metrics") {
            return "HTTP/1.1 200 OK\r\n\r\ndoorward_build_info 1".into();
        }
        DENIED.to_owned()
    });
    let (code, lines) = diagnosis(&url, None);
    assert_eq!(code, 1);
    assert_told(&lines, "bad", "clients reach the check endpoint");
    assert_told(&lines, "bad", "anyone can log in as anyone");
    assert_told(&lines, "warning", "the session that this opened lives on");
    assert_told(&lines, "warning", "clients can read /metrics");
}
