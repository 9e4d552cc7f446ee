//! The ACL users that `docs/redis.md` recommends, as written there: the issuer's can do all, the checker's cannot open a
//! session. And TLS.

use std::time::Duration;

use doorward::clock::{Clock, SystemClock};
use doorward::state::{Cause, Entry, Lookups, Sessions, StateError};
use doorward::state::{Settings, redis::RedisState};
use doorward::token::refresh::Manner;
use doorward::token::{Generation, TokenId};

use crate::kit::{RULES, confirmed, end, insist, lives, ms, new_session, open, redis, redis_with, salt};
use crate::log::{read, start};
use crate::redis::{RedisServer, available};

const DOCS: &str = include_str!("../../docs/redis.md");
const PASSWORD: &str = "CHANGE-ME";

/// A server with the documented users.
fn server_with_documented_users() -> RedisServer {
    let server = RedisServer::start();
    let lines: Vec<&str> = DOCS.lines().filter_map(|line| line.strip_prefix("user ")).collect();
    assert_eq!(lines.len(), 2, "the docs name two users");
    for line in lines {
        let rules: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(line.split(' ')).collect();
        assert_eq!(server.cli(&rules), "OK", "{line}");
    }
    server
}

async fn as_user(server: &RedisServer, user: &str) -> RedisState {
    redis(&server.url_as(user, PASSWORD)).await
}

// SEC-K8
#[tokio::test]
async fn the_checkers_user_can_ask_everything_and_open_nothing() {
    if !available() {
        return;
    }
    let server = server_with_documented_users();
    let issuer = as_user(&server, "doorward-issuer").await;
    let checker = as_user(&server, "doorward-check").await;
    let session = open(&issuer, "alice").await;

    // Everything a checker does; the first reader of the log marks the store's beginning.
    let position = start(&checker).await;
    assert!(lives(&checker, &session).await);
    checker.touch(&[(session.sid, SystemClock.now_millis())], RULES.idle * 2).await.unwrap();
    assert!(insist(|| checker.health()).await.warnings.is_empty());

    // Nothing else.
    let forbidden = [
        checker.open(&new_session("mallory"), &RULES).await.map(drop),
        checker.refresh(&session.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.map(drop),
        checker.end(&session.sid, Cause::Admin).await.map(drop),
        checker.announce(&Entry::Everything).await.map(drop),
        checker.end_everyone().await.map(drop),
        checker.sessions_of(session.sid.tag()).await.map(drop),
        checker.all_sessions(1).await.map(drop),
    ];
    for refusal in forbidden {
        assert!(matches!(refusal, Err(StateError::Refused(_))), "{refusal:?}");
    }
    assert_eq!(issuer.all_sessions(10).await.unwrap().len(), 1);

    assert!(end(&issuer, &session).await);
    assert_eq!(read(&checker, &position).await.entries, [Entry::Session(session.sid)]);
    assert!(!lives(&checker, &session).await);
}

#[tokio::test]
async fn the_issuers_user_can_do_all_that_is_needed() {
    if !available() {
        return;
    }
    let server = server_with_documented_users();
    let replica = RedisServer::start_replica_of(&server);
    let url = server.url_as("doorward-issuer", PASSWORD);
    let issuer = redis_with(&Settings { url, wait_replicas: 1, ..Settings::default() }).await;
    for _ in 0..12 {
        open(&issuer, "alice").await;
    }
    let sessions = issuer.all_sessions(100).await.unwrap();
    assert_eq!(sessions.len(), 10);
    issuer.refresh(&sessions[0].sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap();
    let (sid, tag) = (sessions[0].sid, sessions[0].sid.tag());
    let ended = confirmed(async || issuer.end_with_salt(&sid, &salt(), Cause::Logout).await).await;
    assert!(ended.is_some());
    let (denied, until) = (TokenId::fresh(), SystemClock.now().plus(ms(60_000)));
    confirmed(async || issuer.deny_token(tag, &denied, until).await).await;
    assert_eq!(confirmed(async || issuer.end_subject(tag, Cause::Admin, Duration::ZERO).await).await, 9);
    confirmed(async || issuer.announce(&Entry::Everything).await).await;
    drop(replica);
}

#[tokio::test]
async fn tls_is_spoken_with_servers_whose_certificate_is_trusted_and_with_no_other() {
    if !available() {
        return;
    }
    let server = RedisServer::start_with_tls();
    let other = RedisServer::start_with_tls();
    let trusting = |ca_file: String| Settings { url: server.tls_url(), ca_file, ..Settings::default() };
    let state = redis_with(&trusting(server.ca_file().display().to_string())).await;
    let session = open(&state, "alice").await;
    assert!(lives(&state, &session).await);

    let stranger = redis_with(&trusting(other.ca_file().display().to_string())).await;
    let refusal = stranger.open(&new_session("alice"), &RULES).await;
    assert!(matches!(refusal, Err(StateError::Unreachable(_))), "{refusal:?}");
}

#[tokio::test]
async fn a_wrong_password_is_an_outage_that_shows_no_password_and_ends_when_it_is_right() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = redis(&server.url_as("late", "canary")).await;
    let refusal = state.open(&new_session("alice"), &RULES).await.unwrap_err();
    assert!(!format!("{refusal} {refusal:?}").contains("canary"), "{refusal}");
    server.cli(&["ACL", "SETUSER", "late", "on", ">canary", "~*", "+@all"]);
    crate::redis_faults::recovers(&state).await;
}
