//! Redis that forgets: restored from an older dump, it has lost the ends since. An issuer that heard of them writes them again.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::{Clock, SystemClock};
use doorward::state::redis::RedisState;
use doorward::state::{Cause, Lookups, Mark, Question, Rotation, Sessions, Standing};
use doorward::token::refresh::Manner;
use doorward::token::{Generation, TokenId};
use tokio_util::sync::CancellationToken;

use crate::kit::{RULES, end, eventually, insist, lives, ms, open, redis, salt, tag_of};
use crate::log::{read, start};
use crate::redis::{RedisServer, available};

fn forgetful() -> RedisServer {
    RedisServer::start_with(&["--appendonly", "no"])
}

async fn wait_until(what: &str, fact: impl AsyncFn() -> bool) {
    eventually(what, Duration::from_secs(10), async || fact().await.then_some(())).await;
}

/// An issuer's watch over this server, which begins to follow before this returns.
async fn watched(server: &RedisServer) -> (Arc<RedisState>, CancellationToken) {
    let state = Arc::new(redis(&server.url()).await);
    let (stop, guard) = (CancellationToken::new(), Arc::clone(&state));
    let stopping = stop.clone();
    tokio::spawn(async move { guard.guard(stopping).await });
    wait_until("it follows", async || server.cli(&["CLIENT", "LIST"]).contains("cmd=xread")).await;
    (state, stop)
}

// SEC-F12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_since_an_older_dump_ends_again_when_redis_is_restored_from_it() {
    if !available() {
        return;
    }
    let mut server = forgetful();
    let (state, stop) = watched(&server).await;
    let before = open(&*state, "alice").await;
    assert!(end(&*state, &before).await);
    let [logged_out, goes_on, carols] =
        [open(&*state, "alice").await, open(&*state, "alice").await, open(&*state, "carol").await];
    let position = start(&*state).await;
    server.back_up();

    assert!(end(&*state, &logged_out).await);
    state.end_subject(tag_of("carol"), Cause::LogoutAll, Duration::ZERO).await.unwrap().sure().unwrap();
    let foreign =
        Question::Foreign { tag: tag_of("dave"), jti: Some(TokenId::fresh()), issued: Some(SystemClock.now()) };
    let Question::Foreign { jti: Some(jti), .. } = &foreign else { unreachable!() };
    state.deny_token(tag_of("dave"), jti, SystemClock.now().plus(ms(60_000))).await.unwrap().sure().unwrap();

    server.restore();
    let dead = async |question: &Question| matches!(state.standing(question).await, Ok(Standing::Dead));
    let own = |session: &doorward::state::Session| Question::Own {
        sid: session.sid,
        jti: TokenId::fresh(),
        epoch: session.epoch,
    };
    wait_until("the logout holds again", async || dead(&own(&logged_out)).await).await;
    wait_until("the end of all holds again", async || dead(&own(&carols)).await).await;
    wait_until("the denial holds again", async || dead(&foreign).await).await;
    assert!(lives(&*state, &goes_on).await, "what had not ended goes on");
    let rotation = state.refresh(&logged_out.sid, Generation(0), &salt(), Manner::Rotating, &RULES).await.unwrap();
    assert_eq!(rotation, Rotation::Unknown);
    assert!(read(&*state, &position).await.gap(), "checkers ask anew");
    stop.cancel();
}

// SEC-F7: no storm of revocations after a flush, and none after a restart that lost nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_and_a_restart_without_loss_write_nothing_again() {
    if !available() {
        return;
    }
    let mut server = forgetful();
    let (state, stop) = watched(&server).await;
    let session = open(&*state, "alice").await;
    end(&*state, &session).await;
    state.end_subject(tag_of("alice"), Cause::LogoutAll, Duration::ZERO).await.unwrap().sure().unwrap();
    server.back_up();
    let newest = server.cli(&["XREVRANGE", "dw:{log}:r", "+", "-", "COUNT", "1"]);
    server.restore();
    wait_until("it follows again", async || server.cli(&["CLIENT", "LIST"]).contains("cmd=xread")).await;
    assert_eq!(server.cli(&["XREVRANGE", "dw:{log}:r", "+", "-", "COUNT", "1"]), newest);
    server.flush_all();
    let after = open(&*state, "alice").await;
    // Whoever looks at the flushed log begins its new life, and has then decided that nothing was lost.
    wait_until("the store's new life has begun", async || server.cli(&["EXISTS", "dw:{log}:began"]) == "1").await;
    wait_until("it follows the new log", async || server.cli(&["CLIENT", "LIST"]).contains("cmd=xread")).await;
    assert_eq!(server.cli(&["XLEN", "dw:{log}:r"]), "0");
    assert!(lives(&*state, &after).await);
    stop.cancel();
}

// SEC-F12, SEC-F8, SEC-S8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_an_older_dump_lacks_or_that_was_evicted_is_set_again() {
    if !available() {
        return;
    }
    let mut server = forgetful();
    let (state, stop) = watched(&server).await;
    let before = open(&*state, "alice").await;
    server.back_up();
    let mark = state.end_everyone().await.unwrap().sure().unwrap();
    wait_until("the issuer has looked", async || server.cli(&["CLIENT", "LIST"]).contains("cmd=xread")).await;
    let dead = async || {
        let question = Question::Own { sid: before.sid, jti: TokenId::fresh(), epoch: before.epoch };
        matches!(state.standing(&question).await, Ok(Standing::Dead))
    };
    server.restore();
    wait_until("the end of everyone holds again", async || dead().await).await;
    assert_eq!(insist(|| state.mark()).await, mark, "no further, so that who signed in since is not out");
    assert!(lives(&*state, &open(&*state, "alice").await).await);

    assert_eq!(server.cli(&["DEL", "dw:{log}:m"]), "1");
    wait_until("it is there again", async || state.mark().await.is_ok_and(|set| set == mark)).await;
    assert!(dead().await);

    server.flush_all();
    wait_until("the store's new life has begun", async || server.cli(&["EXISTS", "dw:{log}:began"]) == "1").await;
    assert_eq!(insist(|| state.mark()).await, Mark(0), "nothing is left that it could end");
    stop.cancel();
}
