//! Keys from elsewhere: over HTTP, from files, by discovery; what is kept, and what is refused (SEC-O8, K7, T5).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, Uri};
use doorward::token::TokenError;
use doorward::token::jwt::{OwnKeys, Verifier};
use doorward::token::keys::Algorithm;
use doorward::token::remote::source::{Pace, Source};
use doorward::token::remote::{IssuerSettings, Place};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::workbench::*;

/// An issuer's web server, with whatever answer a test puts into it.
#[derive(Clone, Default)]
struct Site {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone, Default)]
struct Answer {
    status: u16,
    body: Vec<u8>,
    location: String,
    delay: Duration,
}

impl Site {
    /// Starts it; returns it with its address.
    async fn start() -> (Self, String) {
        let site = Self::default();
        let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", door.local_addr().expect("an address"));
        let app = Router::new().fallback(respond).with_state(site.clone());
        tokio::spawn(async move { axum::serve(door, app).await });
        (site, address)
    }

    fn put(&self, body: &Value) {
        self.put_answer(Answer { status: 200, body: body.to_string().into_bytes(), ..Answer::default() });
    }

    fn put_answer(&self, answer: Answer) {
        *self.answer.lock().expect("not poisoned") = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn respond(State(site): State<Site>, _uri: Uri) -> Response<Body> {
    site.asked.fetch_add(1, Ordering::SeqCst);
    let answer = site.answer.lock().expect("not poisoned").clone();
    tokio::time::sleep(answer.delay).await;
    let mut response = Response::builder().status(answer.status);
    if !answer.location.is_empty() {
        response = response.header("location", answer.location);
    }
    response.body(answer.body.into()).expect("a response")
}

/// Waits for a fact, for five seconds at most.
async fn until(what: &str, fact: impl Fn() -> bool) {
    for _ in 0..1000 {
        if fact() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}

/// A check-role verifier that fetches its keys from here in the background.
fn fetching(jwks: &str, issuers: &[IssuerSettings]) -> (Arc<Verifier>, CancellationToken) {
    let keys = OwnKeys::Remote { jwks: jwks.to_owned(), hs256_secret_file: String::new() };
    let verifier = Arc::new(Verifier::new(own_profile(), keys, issuers).expect("a good setup"));
    let stop = CancellationToken::new();
    tokio::spawn({
        let (verifier, stop) = (Arc::clone(&verifier), stop.clone());
        async move { verifier.keep_keys_fresh(stop).await }
    });
    (verifier, stop)
}

/// A source with a quick pace, running.
fn quick(place: Place, keep: Duration) -> (Arc<Source>, CancellationToken) {
    let pace = Pace { every: Duration::from_millis(20), keep };
    let source = Arc::new(Source::new("issuer".into(), place, Vec::new(), pace));
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(&source).run(stop.clone()));
    (source, stop)
}

fn url(text: &str) -> Place {
    Place::of_url_or_file(text).expect("a good place")
}

const DAY: Duration = Duration::from_secs(86400);

#[tokio::test]
async fn the_check_role_is_ready_once_its_issuers_keys_came() {
    let (site, address) = Site::start().await;
    site.put_answer(Answer { status: 503, ..Answer::default() });
    let (verifier, _stop) = fetching(&format!("{address}/.well-known/jwks.json"), &[]);
    until("a first fetch", || site.asked() > 0).await;
    assert!(!verifier.ready());
    site.put(&jwks([key(Algorithm::EdDSA)]));
    until("readiness", || verifier.ready()).await;
    verifier.verify(&token(key(Algorithm::EdDSA), json!({}), json!({})), NOW).expect("verified");
}

// SEC-T5
#[tokio::test]
async fn any_number_of_unknown_kids_cause_one_fetch() {
    let (site, address) = Site::start().await;
    site.put(&jwks([key(Algorithm::EdDSA)]));
    let (verifier, _stop) = fetching(&address, &[]);
    until("readiness", || verifier.ready()).await;
    assert_eq!(site.asked(), 1);

    let new = fresh_key(Algorithm::ES256);
    let token = token(&new, json!({}), json!({}));
    assert_eq!(verifier.verify(&token, NOW).err(), Some(TokenError::UnknownKey));
    site.put(&jwks([key(Algorithm::EdDSA), &new]));
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let verifier = Arc::clone(&verifier);
            tokio::spawn(async move { verifier.fetch_for_unknown_key(Duration::from_secs(5)).await })
        })
        .collect();
    for one in asking {
        one.await.expect("no panic");
        assert!(verifier.verify(&token, NOW).is_ok(), "whoever waited sees the new key");
    }
    for _ in 0..50 {
        verifier.fetch_for_unknown_key(Duration::from_secs(5)).await;
    }
    assert_eq!(site.asked(), 2);
}

#[tokio::test]
async fn waiting_for_a_key_ends_with_the_budget() {
    let (site, address) = Site::start().await;
    site.put(&jwks([key(Algorithm::EdDSA)]));
    let (verifier, _stop) = fetching(&address, &[]);
    until("readiness", || verifier.ready()).await;
    site.put_answer(Answer { delay: Duration::from_secs(30), ..Answer::default() });
    let began = std::time::Instant::now();
    verifier.fetch_for_unknown_key(Duration::from_millis(50)).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(verifier.verify(&token(key(Algorithm::EdDSA), json!({}), json!({})), NOW).is_ok());
}

// SEC-T5
#[tokio::test]
async fn nobody_waits_for_a_fetch_that_is_known_to_hang() {
    let (site, address) = Site::start().await;
    site.put(&jwks([key(Algorithm::EdDSA)]));
    let (verifier, _stop) = fetching(&address, &[]);
    until("readiness", || verifier.ready()).await;
    site.put_answer(Answer { delay: Duration::from_secs(60), ..Answer::default() });
    let budget = Duration::from_secs(3);
    verifier.fetch_for_unknown_key(budget).await;
    let began = std::time::Instant::now();
    for _ in 0..100 {
        verifier.fetch_for_unknown_key(budget).await;
    }
    assert!(began.elapsed() < budget, "they waited {:?} more", began.elapsed());
    assert_eq!(site.asked(), 2);
}

// SEC-K7, O8
#[tokio::test]
async fn the_last_good_set_outlives_bad_answers_but_not_for_ever() {
    let (site, address) = Site::start().await;
    site.put(&jwks([key(Algorithm::EdDSA)]));
    let (source, _stop) = quick(url(&address), DAY);
    until("the keys", || source.keys().len() == 1).await;
    let good = jwks([key(Algorithm::EdDSA)]).to_string();
    let bad = |status: u16, body: &str| Answer { status, body: body.into(), ..Answer::default() };
    let twice = json!({"keys": [jwk(key(Algorithm::EdDSA)), jwk(key(Algorithm::EdDSA))]}).to_string();
    let secret = json!({"keys": [{"kty": "oct", "k": "AAAA"}]}).to_string();
    let huge = format!(r#"{{"keys":[],"pad":"{}"}}"#, "x".repeat(256 * 1024));
    for (answer, word) in [
        (bad(500, &good), "status 500"),
        (bad(204, ""), "status 204"),
        (bad(200, "<html>"), "not a JWK Set"),
        (bad(200, &twice), "two keys"),
        (bad(200, &secret), "private or symmetric"),
        (bad(200, &huge), "256 KiB"),
        (Answer { location: format!("{address}/else"), ..bad(302, &good) }, "status 302"),
        (Answer { location: "http://169.254.169.254/".into(), ..bad(307, "") }, "status 307"),
    ] {
        site.put_answer(answer);
        until(word, || source.view().problem.is_some_and(|problem| problem.contains(word))).await;
        assert_eq!(source.keys().len(), 1, "{word}");
    }
    site.put(&json!({"keys": []}));
    until("a good set without keys", || source.keys().is_empty()).await;

    site.put(&jwks([key(Algorithm::EdDSA)]));
    let (source, _stop) = quick(url(&address), Duration::from_millis(300));
    until("the keys", || source.keys().len() == 1).await;
    site.put_answer(bad(500, ""));
    until("the end of the last good set", || source.keys().is_empty()).await;
    site.put(&jwks([key(Algorithm::EdDSA)]));
    until("recovery", || source.keys().len() == 1).await;
}

// SEC-O8
#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let (site, address) = Site::start().await;
    site.put_answer(Answer { status: 200, delay: Duration::from_secs(60), ..Answer::default() });
    let (source, _stop) = quick(url(&address), DAY);
    until("a problem", || source.view().problem.is_some_and(|problem| problem.contains("no answer"))).await;
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_a_broken_one_is_not_taken() {
    let dir = TempDir::new().expect("a folder");
    let file = write(&dir, "jwks.json", jwks([key(Algorithm::EdDSA)]).to_string().as_bytes());
    let (source, _stop) = quick(Place::File(file.into()), DAY);
    assert_eq!(source.keys().len(), 1, "a file is read at once");
    write(&dir, "jwks.json", b"{");
    until("a problem", || source.view().problem.is_some()).await;
    assert_eq!(source.keys().len(), 1);
    write(&dir, "jwks.json", jwks([key(Algorithm::EdDSA), key(Algorithm::ES256)]).to_string().as_bytes());
    until("both keys", || source.keys().len() == 2).await;
    assert_eq!(source.view().problem, None);
}

fn discovered(address: &str) -> IssuerSettings {
    IssuerSettings { issuer: FOREIGN.into(), discovery: address.to_owned(), ..IssuerSettings::default() }
}

// SEC-O8
#[tokio::test]
async fn discovery_leads_to_the_keys_of_the_configured_issuer_only() {
    let (documents, document_address) = Site::start().await;
    let (keys, keys_address) = Site::start().await;
    keys.put(&jwks([key(Algorithm::EdDSA)]));
    documents.put(&json!({"issuer": "https://evil.example", "jwks_uri": format!("{keys_address}/keys")}));
    let place = Place::of(&discovered(&document_address)).expect("a good place");
    let (source, _stop) = quick(place, DAY);
    until("a problem", || source.view().problem.is_some_and(|problem| problem.contains("another issuer"))).await;
    assert_eq!(keys.asked(), 0, "no key is fetched for another issuer");
    documents.put(&json!({"issuer": FOREIGN, "jwks_uri": format!("{keys_address}/keys")}));
    until("the keys", || source.keys().len() == 1).await;
}

// SEC-O8: CVE-2026-41413
#[tokio::test]
async fn a_discovered_url_leads_into_no_private_network() {
    let (site, address) = Site::start().await;
    let (source, _stop) = quick(Place::of(&discovered(&address)).expect("a good place"), DAY);
    let port = address.rsplit_once(':').expect("a port").1;
    for uri in [
        "https://169.254.169.254/latest".to_owned(),
        "https://10.0.0.1/keys".to_owned(),
        "https://[::1]/keys".to_owned(),
        "https://[fd00::1]/keys".to_owned(),
        "http://10.0.0.1/keys".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        site.put(&json!({"issuer": FOREIGN, "jwks_uri": uri}));
        until("a fetch", || source.view().problem.is_some_and(|problem| problem.contains("private network"))).await;
        site.put(&json!({"issuer": "other"}));
        until("another problem", || source.view().problem.is_some_and(|problem| !problem.contains("private"))).await;
    }
    // A name that resolves to loopback is found out when it is resolved.
    site.put(&json!({"issuer": FOREIGN, "jwks_uri": format!("https://localhost:{port}/keys")}));
    until("a refusal", || source.view().problem.is_some_and(|problem| problem.contains("private network"))).await;
}
