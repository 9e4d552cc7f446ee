//! Sessions from login to logout over the plain surface: rotation, replay, ends, and what happens while the store is away.

#[path = "harness/desk.rs"]
mod desk;
#[path = "harness/faulty.rs"]
mod faulty;

use std::collections::BTreeSet;
use std::time::Duration;

use desk::{Pair, join_all, plane, plane_with, post};
use doorward::issue::{Call, Settings};
use doorward::secret::Secret;
use doorward::state::{AtLimit, Cause, Entry, Sessions};
use doorward::token::refresh::{Manner, RefreshToken, Salt};
use doorward::token::{Generation, SubjectTag, TokenId};
use doorward::units::Span;
use faulty::Mood;
use http::{StatusCode, header};
use serde_json::json;

const GRACE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn an_id_comes_back_as_it_was_given() {
    let plane = plane().await;
    for id in [json!(1), json!(0), json!(u64::MAX), json!("1"), json!("a@b.example"), json!("x".repeat(255))] {
        let pair = plane.login(id.clone()).await;
        let told = plane.authenticate(&pair).await;
        assert_eq!(told.status, StatusCode::OK);
        assert_eq!(told.headers[header::CACHE_CONTROL], "no-store");
        let told = told.json();
        assert_eq!(told["user_id"], id);
        assert_eq!(told["sub"], id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        assert_eq!((&told["uid"], &told["type"]), (&pair.claims()["jti"], &json!("access")));
        assert_eq!(told["exp"].as_u64().expect("exp") - told["iat"].as_u64().expect("iat"), 900);
    }
}

#[tokio::test]
async fn every_login_opens_a_session_of_its_own() {
    let plane = plane().await;
    let mut sids = BTreeSet::new();
    for _ in 0..10 {
        sids.insert(plane.login(1).await.sid());
    }
    assert_eq!(sids.len(), 10);
    assert_eq!(plane.metric("login_attempts_total{method=\"trusted\",result=\"success\"}"), 10);
}

#[tokio::test]
async fn a_refresh_gives_a_new_pair_of_the_same_session() {
    let plane = plane().await;
    let first = plane.login(1).await;
    plane.clock.advance(Duration::from_secs(60));
    let answer = plane.refresh(&first).await;
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store"); // SEC-R13
    let second = answer.pair();
    assert_ne!(first.refresh, second.refresh);
    assert_ne!(first.claims()["jti"], second.claims()["jti"]);
    assert_eq!(first.sid(), second.sid());
    assert_eq!(second.claims()["user_id"], json!(1));
    assert_eq!(first.claims()["auth_time"], second.claims()["auth_time"]);
    assert_eq!(plane.authenticate(&second).await.status, StatusCode::OK);
    assert_eq!(plane.metric("refresh_total{result=\"rotated\"}"), 1);
}

// SEC-K3: `key revoke` tells of the removal before the key that signs in its place is there.
#[tokio::test]
async fn while_no_key_signs_no_refresh_token_is_spent_and_no_session_evicted() {
    let plane = plane_with(Settings { max_sessions_per_user: 1, ..Settings::default() }).await;
    let pair = plane.login(1).await;
    plane.verifier.remove_key(&plane.kid);
    assert_eq!(plane.refresh(&pair).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(plane.try_login(json!(1)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let session = plane.store.session(&pair.sid()).await.expect("an answer").expect("it lives");
    assert_eq!(session.generation, Generation(0));
}

// SEC-R2, R3
#[tokio::test]
async fn a_retry_within_the_grace_window_gets_the_very_same_successor() {
    let plane = plane().await;
    let first = plane.login(1).await;
    let second = plane.refresh(&first).await.pair();
    plane.clock.advance(GRACE - Duration::from_millis(1));
    let again = plane.refresh(&first).await.pair();
    assert_eq!(again.refresh, second.refresh);
    assert_eq!(again.sid(), second.sid());
    assert_eq!(plane.metric("refresh_total{result=\"repeated\"}"), 1);
    assert_eq!(plane.refresh(&second).await.status, StatusCode::OK);
}

// SEC-R8
#[tokio::test]
async fn a_spent_refresh_token_ends_the_whole_family_and_no_other() {
    let plane = plane().await;
    let (first, other) = (plane.login(1).await, plane.login(1).await);
    let second = plane.refresh(&first).await.pair();
    plane.clock.advance(GRACE);
    plane.refresh(&first).await.is_problem(401, "refresh_reused");
    assert!(plane.heard.of(&first.sid()));
    plane.refresh(&second).await.is_problem(401, "invalid_token");
    plane.authenticate(&second).await.is_problem(401, "invalid_token");
    assert_eq!(plane.authenticate(&other).await.status, StatusCode::OK);
    assert!(!plane.heard.of(&other.sid()));
    assert_eq!(plane.metric("refresh_total{result=\"reused\"}"), 1);
    assert_eq!(plane.metric("sessions_revoked_total{cause=\"reuse\"}"), 1);
}

#[tokio::test]
async fn an_older_spent_token_is_a_replay_even_inside_the_window() {
    let plane = plane().await;
    let first = plane.login(1).await;
    let second = plane.refresh(&first).await.pair();
    let third = plane.refresh(&second).await.pair();
    plane.refresh(&first).await.is_problem(401, "refresh_reused");
    plane.refresh(&third).await.is_problem(401, "invalid_token");
}

// SEC-R1
#[tokio::test]
async fn parallel_refreshes_of_one_token_all_get_the_same_successor() {
    let plane = plane().await;
    let first = plane.login(1).await;
    let mut got = BTreeSet::new();
    let refreshes = (0..20).map(|_| plane.refresh(&first));
    for answer in join_all(refreshes).await {
        got.insert(answer.pair().refresh);
    }
    assert_eq!(got.len(), 1);
    assert_eq!(plane.metric("refresh_total{result=\"rotated\"}"), 1);
}

// SEC-R1
#[tokio::test]
async fn without_a_grace_window_exactly_one_parallel_refresh_succeeds() {
    let plane = plane_with(Settings { refresh_grace: Span::secs(0), ..Settings::default() }).await;
    let first = plane.login(1).await;
    let answers = join_all((0..10).map(|_| plane.refresh(&first))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
}

// SEC-R9, T15
#[tokio::test]
async fn a_forged_refresh_token_asks_no_store_and_ends_nothing() {
    let plane = plane().await;
    let pair = plane.login(1).await;
    let asked = plane.store.asked();
    let made_up = RefreshToken {
        sid: pair.sid(),
        generation: Generation(0),
        salt: Salt::fresh(),
        manner: Manner::Rotating,
        of_account: false,
    };
    let wrong_key = RefreshToken::key(&Secret::new(vec![1; 32]));
    let mut flipped = pair.refresh.clone().into_bytes();
    flipped[20] ^= 1;
    let flipped = String::from_utf8(flipped).expect("ASCII");
    for forged in
        [made_up.encode(&wrong_key), flipped, pair.access.clone(), format!("{} ", pair.refresh), "x".into(), "".into()]
    {
        plane.post("/refresh", &json!({ "refresh": forged })).await.is_problem(401, "invalid_token");
    }
    plane.logout(&made_up.encode(&wrong_key)).await.is_problem(401, "invalid_token");
    assert_eq!(plane.store.asked(), asked);
    assert_eq!(plane.refresh(&pair).await.status, StatusCode::OK);
}

// SEC-R10
#[tokio::test]
async fn an_access_token_never_outlives_its_session() {
    let plane = plane_with(Settings { refresh_lifetime: Span::minutes(20), ..Settings::default() }).await;
    let first = plane.login(1).await;
    plane.clock.advance(Duration::from_secs(15 * 60));
    let second = plane.refresh(&first).await.pair();
    let claims = second.claims();
    assert_eq!(claims["exp"].as_u64().expect("exp") - claims["iat"].as_u64().expect("iat"), 5 * 60);
    plane.clock.advance(Duration::from_secs(5 * 60));
    plane.refresh(&second).await.is_problem(401, "invalid_token");
    plane.authenticate(&second).await.is_problem(401, "invalid_token");
}

// SEC-S1, S4
#[tokio::test]
async fn any_token_of_a_session_ends_it_and_ending_twice_is_fine() {
    type Shown = fn(&Pair, &Pair) -> String;
    let ways: [(&str, Duration, Shown); 4] = [
        ("its access token", Duration::ZERO, |_, second| second.access.clone()),
        ("an expired access token", Duration::from_secs(3600), |first, _| first.access.clone()),
        ("its refresh token", Duration::ZERO, |_, second| second.refresh.clone()),
        ("a spent refresh token", Duration::from_secs(60), |first, _| first.refresh.clone()),
    ];
    for (way, after, shown) in ways {
        let plane = plane().await;
        let first = plane.login(1).await;
        let second = plane.refresh(&first).await.pair();
        plane.clock.advance(after);
        let shown = shown(&first, &second);
        let answer = plane.logout(&shown).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "{}"), "{way}");
        assert!(plane.heard.of(&first.sid()), "{way}");
        plane.authenticate(&second).await.is_problem(401, "invalid_token");
        plane.refresh(&second).await.is_problem(401, "invalid_token");
        assert_eq!(plane.logout(&shown).await.status, StatusCode::OK, "{way}");
        assert_eq!(plane.metric("sessions_revoked_total{cause=\"logout\"}"), 1, "{way}");
        assert_eq!(plane.metric("sessions_revoked_total{cause=\"reuse\"}"), 0, "{way}");
    }
}

#[tokio::test]
async fn only_our_own_tokens_log_out() {
    let (plane, stranger) = (plane().await, desk::plane().await);
    plane.login(1).await;
    let theirs = stranger.login(1).await;
    for token in [theirs.access.as_str(), theirs.refresh.as_str(), "x", "a.b.c"] {
        plane.logout(token).await.is_problem(401, "invalid_token");
    }
    let bare = http::Request::post("/logout").body(axum::body::Body::empty()).expect("a request");
    let answer = plane.ask(bare).await;
    answer.is_problem(401, "no_token");
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer"); // SEC-T23
    assert!(plane.heard.everything().is_empty());
}

// SEC-S5
#[tokio::test]
async fn at_the_limit_the_oldest_session_ends() {
    let plane = plane_with(Settings { max_sessions_per_user: 2, ..Settings::default() }).await;
    let oldest = plane.login(1).await;
    plane.clock.advance(Duration::from_secs(1));
    let kept = plane.login(1).await;
    plane.clock.advance(Duration::from_secs(1));
    let newest = plane.login(1).await;
    assert!(plane.heard.of(&oldest.sid()));
    plane.authenticate(&oldest).await.is_problem(401, "invalid_token");
    for pair in [kept, newest] {
        assert_eq!(plane.authenticate(&pair).await.status, StatusCode::OK);
    }
    assert_eq!(plane.metric("sessions_revoked_total{cause=\"limit\"}"), 1);
}

// SEC-S5
#[tokio::test]
async fn at_the_limit_a_login_is_refused_where_that_is_the_rule() {
    let settings = Settings { max_sessions_per_user: 1, at_session_limit: AtLimit::Refuse, ..Settings::default() };
    let plane = plane_with(settings).await;
    let first = plane.login(1).await;
    plane.try_login(json!(1)).await.is_problem(409, "session_limit");
    assert_eq!(plane.metric("login_attempts_total{method=\"trusted\",result=\"refused\"}"), 1);
    assert_eq!(plane.authenticate(&first).await.status, StatusCode::OK);
    assert_eq!(plane.logout(&first.access).await.status, StatusCode::OK);
    plane.login(1).await;
}

// SEC-F1
#[tokio::test]
async fn while_the_store_is_away_everything_is_503_and_nothing_is_lost() {
    let plane = plane().await;
    let pair = plane.login(1).await;
    plane.store.be(Mood::Away);
    plane.try_login(json!(1)).await.is_problem(503, "unavailable");
    plane.refresh(&pair).await.is_problem(503, "unavailable");
    plane.authenticate(&pair).await.is_problem(503, "unavailable");
    plane.logout(&pair.access).await.is_problem(503, "unavailable");
    plane.logout(&pair.refresh).await.is_problem(503, "unavailable");
    assert!(plane.heard.everything().is_empty());
    assert_eq!(plane.metric("refresh_total{result=\"unavailable\"}"), 1);
    plane.store.be(Mood::Well);
    assert_eq!(plane.refresh(&pair).await.status, StatusCode::OK);
}

// SEC-D6
#[tokio::test]
async fn a_store_that_hangs_is_asked_by_no_more_than_128_a_core_at_once() {
    let plane = plane().await;
    let most = 128;
    plane.store.be(Mood::Hanging);
    let asked = plane.store.asked();
    let flood = join_all((0..most + 188).map(|user| plane.try_login(json!(user))));
    let watch = async {
        while plane.store.asked() < asked + most {
            tokio::task::yield_now().await;
        }
        // Whoever waits for a turn gives up within two seconds; the store has been asked no more.
        tokio::time::sleep(Duration::from_millis(2200)).await;
        assert_eq!(plane.store.asked(), asked + most);
        plane.store.be(Mood::Away);
    };
    let (answers, ()) = tokio::join!(flood, watch);
    let shed = answers.iter().filter(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE).count();
    assert!(shed >= 188, "{shed}");
}

// SEC-R4, S1
#[tokio::test]
async fn a_step_whose_answer_was_lost_can_be_repeated() {
    let plane = plane().await;
    let first = plane.login(1).await;
    plane.store.be(Mood::Mute);
    plane.refresh(&first).await.is_problem(503, "unavailable");
    plane.store.be(Mood::Well);
    let second = plane.refresh(&first).await.pair();
    assert_eq!(plane.metric("refresh_total{result=\"repeated\"}"), 1);

    plane.store.be(Mood::Mute);
    plane.logout(&second.access).await.is_problem(503, "unavailable");
    plane.store.be(Mood::Well);
    assert_eq!(plane.logout(&second.access).await.status, StatusCode::OK);
    assert!(plane.heard.of(&first.sid()), "the end was written the first time; it must be heard before the 200");
}

#[tokio::test]
async fn a_store_that_lost_its_last_write_is_caught_up_with_and_one_that_lost_more_is_not() {
    let plane = plane().await;
    let key = plane.refresh_key.clone();
    let first = plane.login(1).await;
    let held = RefreshToken::parse(&first.refresh, &key).expect("genuine");
    let at = |generation| Pair { access: String::new(), refresh: held.at(Generation(generation)).encode(&key) };
    plane.refresh(&at(2)).await.is_problem(401, "session_lost");
    assert_eq!(plane.metric("refresh_total{result=\"lost\"}"), 1);
    assert_eq!(plane.authenticate(&first).await.status, StatusCode::OK, "nothing is ended");
    assert_eq!(plane.refresh(&at(1)).await.pair().refresh, at(2).refresh);
    assert_eq!(plane.metric("refresh_total{result=\"caught_up\"}"), 1);
}

#[tokio::test]
async fn the_command_line_ends_a_session_a_subject_or_one_token() {
    let plane = plane().await;
    let call = Call::default();
    let [one, two, three] = [plane.login(1).await, plane.login(1).await, plane.login(2).await];
    assert!(plane.issuer.end_session(&one.sid(), None, Cause::Admin, &call).await.expect("ended"));
    assert!(!plane.issuer.end_session(&one.sid(), None, Cause::Admin, &call).await.expect("ended"));
    plane.authenticate(&one).await.is_problem(401, "invalid_token");
    assert_eq!(plane.authenticate(&two).await.status, StatusCode::OK);

    assert_eq!(plane.issuer.end_subject("1", Cause::Admin, &call).await.expect("ended"), 1);
    plane.authenticate(&two).await.is_problem(401, "invalid_token");
    assert!(plane.heard.everything().contains(&Entry::Subject(SubjectTag::of("doorward", "1"))));
    assert_eq!(plane.metric("sessions_revoked_total{cause=\"admin\"}"), 2);

    let jti = TokenId::new(three.claims()["jti"].as_str().expect("a jti")).expect("a token id");
    let until = doorward::clock::Timestamp(three.claims()["exp"].as_u64().expect("exp"));
    plane.issuer.deny("doorward", "2", &jti, until, &call).await.expect("denied");
    plane.authenticate(&three).await.is_problem(401, "invalid_token");
    let next = plane.refresh(&three).await.pair();
    assert_eq!(plane.authenticate(&next).await.status, StatusCode::OK, "only that one token");
}

// SEC-G1, G3
#[tokio::test]
async fn logs_tell_what_happened_and_show_no_token() {
    let plane = plane().await;
    let log = Log::begin();
    let first = plane.login("alice").await;
    let second = plane.refresh(&first).await.pair();
    plane.clock.advance(GRACE);
    plane.refresh(&first).await.is_problem(401, "refresh_reused");
    let other = plane.login("bob").await;
    plane.logout(&other.refresh).await;
    let by_access = plane.login("carol").await;
    plane.logout(&by_access.access).await;
    let oldest = plane.login("dave").await;
    plane.clock.advance(Duration::from_secs(1));
    for _ in 0..Settings::default().max_sessions_per_user {
        plane.login("dave").await;
    }
    // No replica confirms it, so it is answered 503 until one does; told once, when it took place.
    let unconfirmed = plane.login("erin").await;
    plane.store.be(Mood::Alone);
    plane.logout(&unconfirmed.access).await.is_problem(503, "unavailable");
    assert!(plane.heard.of(&unconfirmed.sid()), "in effect here at once");
    plane.logout(&unconfirmed.access).await.is_problem(503, "unavailable");
    plane.issuer.end_subject("erin", Cause::Admin, &Call::default()).await.expect_err("unconfirmed");
    plane.store.be(Mood::Well);
    assert_eq!(plane.logout(&unconfirmed.access).await.status, StatusCode::OK);
    assert_eq!(plane.metric("sessions_revoked_total{cause=\"logout\"}"), 3);
    // Left unused for too long: told once, to whoever asks first.
    let idle = plane.login("frank").await;
    plane.clock.advance(Settings::default().auto_logout.0);
    for _ in 0..2 {
        plane.refresh(&idle).await.is_problem(401, "invalid_token");
    }
    plane.logout("not-a-token-canary").await;
    plane.ask(post("/login?canary-query=1", r#"{"user_id":"canary body"}"#)).await;
    let log = log.end();
    for event in ["authn_login_success", "session_created", "session_renewed"] {
        assert!(log.contains(event), "{event} is missing in:\n{log}");
    }
    // Each end names its event, whose session it was, and why.
    for (event, subject, sid, outcome) in [
        ("authn_token_reuse", "alice", first.sid(), "refresh_reused"),
        ("authn_token_revoked", "alice", first.sid(), "reuse"),
        ("authn_token_revoked", "bob", other.sid(), "logout"),
        ("authn_token_revoked", "carol", by_access.sid(), "logout"),
        ("session_expired", "dave", oldest.sid(), "limit"),
        ("authn_token_revoked", "erin", unconfirmed.sid(), "logout_unconfirmed"),
        ("session_expired", "frank", idle.sid(), "timeout"),
    ] {
        let parts = [
            format!("event=\"{event}\""),
            format!("subject=\"{subject}\""),
            format!("sid={sid}"),
            format!("outcome=\"{outcome}\""),
        ];
        let told = log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count();
        assert_eq!(told, 1, "{parts:?} in:\n{log}");
    }
    let forms = |pair: &Pair| [pair.access.clone(), pair.refresh.clone(), pair.refresh[4..].to_owned()];
    let secrets = [&first, &second, &other].into_iter().flat_map(forms);
    for secret in secrets.chain(["canary".to_owned()]) {
        assert!(!log.contains(&secret), "{secret} is in:\n{log}");
    }
    let signature = second.access.rsplit('.').next().expect("three parts");
    assert!(!log.contains(signature));
}

/// All that this test binary logs from its first use on, at every level. One log for all threads: with a subscriber of its
/// own, a thread finds call sites that others have switched off before.
struct Log;

static LOGGED: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());

impl Log {
    fn begin() -> Self {
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(|| Self)
            .finish();
        tracing::subscriber::set_global_default(log).expect("only one test reads the log");
        Self
    }

    fn end(self) -> String {
        String::from_utf8(LOGGED.lock().expect("unpoisoned").clone()).expect("UTF-8")
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
