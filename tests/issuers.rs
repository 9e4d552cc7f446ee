//! Other issuers as the real binary meets them: their keys over HTTPS, in files that come later, or not at all.

mod harness;

use std::path::{Path, PathBuf};

use harness::certificates::Authority;
use harness::doorward::Doorward;
use harness::foreign::{AUDIENCE, ForeignIssuer, ISSUER};
use harness::http::Request;
use harness::nginx::Nginx;
use harness::redis::RedisServer;
use harness::shipped::Places;
use harness::{ports, redis};
use serde_json::json;

/// What `/readyz` says should be mended about issuers.
fn remarks(doorward: &Doorward) -> Vec<String> {
    let told = Request::get("/readyz").send(doorward.ops).json();
    let remarks = told["remarks"]["issuers"].as_array().cloned().unwrap_or_default();
    remarks.iter().filter_map(|remark| remark.as_str().map(str::to_owned)).collect()
}

fn wait_until(doorward: &mut Doorward, what: &str, fact: impl Fn(&Doorward) -> bool) {
    let started = std::time::Instant::now();
    while !fact(doorward) {
        let said = || format!("{:?}\n{}", remarks(doorward), doorward.process.output());
        assert!(started.elapsed() < harness::process::PATIENCE, "never happened: {what}: {}", said());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A web site that serves the issuer's keys under good and bad certificates.
struct Site {
    authority: Authority,
    urls: Vec<(&'static str, String)>,
    _nginx: Nginx,
}

impl Site {
    fn start(program: &Path, keys: &Path) -> Self {
        let authority = Authority::new();
        let kinds = [
            ("good", authority.issue("good", "DNS:localhost", 2)),
            ("moved", authority.issue("moved", "DNS:localhost", 2)),
            ("expired", authority.issue("expired", "DNS:localhost", -1)),
            ("another's", authority.issue("other", "DNS:elsewhere.test", 2)),
            ("its own", authority.self_signed("own", "localhost")),
        ];
        let doors = kinds.each_ref().map(|(kind, _)| (*kind, ports::free()));
        let good = format!("https://localhost:{}/jwks.json", doors[0].1.port());
        let server = |((kind, (certificate, key)), (_, door)): (&(&str, (PathBuf, PathBuf)), &(_, _))| {
            let answer = if *kind == "moved" {
                format!("return 302 {good};")
            } else {
                format!("root {};", keys.parent().expect("a folder").display())
            };
            format!(
                "server {{ listen {door} ssl; ssl_certificate {}; ssl_certificate_key {}; {answer} }}\n",
                certificate.display(),
                key.display()
            )
        };
        let servers: String = kinds.iter().zip(&doors).map(server).collect();
        let [app, check, session] = [(); 3].map(|()| ports::free());
        let nginx = Nginx::start_text(program, &servers, &Places { edge: doors[0].1, app, check, session });
        let urls = doors.iter().map(|(kind, door)| (*kind, format!("https://localhost:{}/jwks.json", door.port())));
        Self { authority, urls: urls.collect(), _nginx: nginx }
    }
}

// SEC-O8
#[test]
fn keys_are_taken_over_https_under_a_trusted_certificate_of_that_host_and_from_there_alone() {
    let nginx = need!("nginx");
    need!("openssl");
    let issuer = ForeignIssuer::new();
    let site = Site::start(&nginx, &issuer.jwks_file());
    let name = |kind: &str| if kind == "good" { ISSUER.to_owned() } else { format!("https://{kind}.test") };
    let settings =
        |(kind, url): &(&str, String)| json!({"issuer": name(kind), "audience": [AUDIENCE], "jwks_url": url});
    let issuers: Vec<_> = site.urls.iter().map(settings).collect();
    let trusting = [("SSL_CERT_FILE", &*site.authority.file())];
    let mut doorward = Doorward::spawn_with("all", json!({"issuers": issuers}), &trusting);
    doorward.wait_ready();
    wait_until(&mut doorward, "the good site's keys", |doorward| !remarks(doorward).iter().any(|r| r.contains(ISSUER)));
    assert_eq!(doorward.knows(&issuer.token("alice", &[])), 200);
    for (kind, why) in [
        ("moved", "status 302"),
        ("expired", "certificate: Expired"),
        ("another's", "not valid for name"),
        ("its own", "invalid peer certificate"),
    ] {
        let told =
            |doorward: &Doorward| remarks(doorward).iter().any(|told| told.contains(&name(kind)) && told.contains(why));
        wait_until(&mut doorward, &format!("{kind}: {why}"), told);
    }

    // Where nobody is trusted, the same site is refused.
    let nobody = [("SSL_CERT_FILE", Path::new("/nonexistent")), ("SSL_CERT_DIR", Path::new("/nonexistent"))];
    let mut doorward = Doorward::spawn_with("all", json!({"issuers": issuers[..1]}), &nobody);
    doorward.wait_ready();
    wait_until(&mut doorward, "a word about certificates", |doorward| {
        remarks(doorward).iter().any(|told| told.contains("CA certificates"))
    });
    assert_eq!(doorward.check(&issuer.token("alice", &[])).status, 503);
}

#[test]
fn a_key_file_that_comes_later_is_waited_for_and_said_to_be_missing_until_then() {
    let (issuer, later) = (ForeignIssuer::new(), tempfile::tempdir().expect("a temporary folder"));
    let file = later.path().join("mounted/jwks.json");
    let mut settings = issuer.settings();
    settings["jwks_file"] = json!(file);
    let mut doorward = Doorward::start(json!({"issuers": [settings]}));
    let told = remarks(&doorward);
    assert!(told.len() == 1 && told[0].contains(ISSUER) && told[0].contains("can't be read"), "{told:?}");
    assert!(doorward.process.output().contains("is not there yet"), "{}", doorward.process.output());
    // SEC-N4
    assert_eq!(doorward.check(&issuer.token("alice", &[])).status, 503);

    std::fs::create_dir(later.path().join("mounted")).expect("a writable folder");
    std::fs::copy(issuer.jwks_file(), &file).expect("a writable folder");
    wait_until(&mut doorward, "its keys", |doorward| remarks(doorward).is_empty());
    assert_eq!(doorward.knows(&issuer.token("alice", &[])), 200);
}

#[test]
fn a_checker_of_other_issuers_tokens_alone_needs_no_keys_of_ours() {
    if !redis::available() {
        return;
    }
    let (server, issuer) = (RedisServer::start(), ForeignIssuer::new());
    let settings = json!({"state": {"url": server.url()}, "issuers": [issuer.settings()]});
    let checker = Doorward::start_as("check", settings.clone());
    assert_eq!(checker.knows(&issuer.token("alice", &[])), 200);
    assert_eq!(checker.check(&ForeignIssuer::new().token("alice", &[])).status, 401);
    let own = Doorward::start_as("issuer", settings).login(1);
    assert_eq!(checker.check(&own.access).status, 401, "nothing was said of our own issuer");
}

#[test]
fn a_checker_whose_key_file_comes_later_is_not_ready_until_then() {
    if !redis::available() {
        return;
    }
    let server = RedisServer::start();
    let state = json!({"url": server.url()});
    let issuer = Doorward::start_as("issuer", json!({"state": state}));
    let later = tempfile::tempdir().expect("a temporary folder");
    let file = later.path().join("jwks.json");
    let mut checker = Doorward::spawn("check", json!({"state": state, "check": {"jwks": file}}));
    let readiness = |doorward: &Doorward| Request::get("/readyz").try_send(doorward.ops);
    checker.process.wait_until("answering", {
        let ops = checker.ops;
        move || {
            Request::get("/readyz")
                .try_send(ops)
                .is_ok_and(|reply| reply.body.contains(r#"{"detail":"ok","name":"state""#))
        }
    });
    let told = readiness(&checker).expect("an answer");
    assert_eq!(told.status, 503, "{}", told.body);
    assert!(told.body.contains("the issuer's keys are not known yet"), "{}", told.body);
    let pair = issuer.login(1);
    assert_eq!(checker.check(&pair.access).status, 503);

    let keys = Request::get("/.well-known/jwks.json").send(issuer.public).body;
    std::fs::write(&file, keys).expect("a writable folder");
    checker.wait_ready();
    assert_eq!(checker.knows(&pair.access), 200);
}
