//! Questions of one moment, which go to Redis together: each still gets its own answer, and none suffers for another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::clock::{Clock, SystemClock};
use doorward::state::redis::RedisState;
use doorward::state::{Cause, Lookups, Question, Session, Sessions, Standing, StateError};
use doorward::token::{Epoch, SessionId, TokenId};
use tokio::task::JoinSet;

use crate::kit::{ask, end, eventually, in_one_of_three, lives, ms, open, redis, standing, tag_of};
use crate::redis::{RedisServer, available};
use crate::redis_faults::{SLACK, recovers};

/// What is to be heard.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Session,
    Foreign,
    Dead,
}

fn heard(standing: &Standing) -> Answer {
    match standing {
        Standing::Live { idle_left: Some(_), .. } => Answer::Session,
        Standing::Live { idle_left: None, .. } => Answer::Foreign,
        Standing::Dead => Answer::Dead,
    }
}

fn of(session: &Session) -> Question {
    Question::Own { sid: session.sid, jti: TokenId::fresh(), epoch: session.epoch }
}

/// One question of each kind, about subjects of their own.
async fn questions(state: &dyn Sessions) -> Vec<(Question, Answer)> {
    let alive = open(state, "alive").await;
    let ended = open(state, "ended").await;
    assert!(end(state, &ended).await);
    let denied = TokenId::fresh();
    let until = SystemClock.now().plus(Duration::from_secs(60));
    state.deny_token(alive.sid.tag(), &denied, until).await.unwrap().sure().unwrap();
    let outdated = open(state, "outdated").await;
    state.outdate(outdated.sid.tag()).await.unwrap().sure().unwrap();
    let unknown = SessionId::fresh(tag_of("unknown"));
    let gone = tag_of("gone");
    state.end_subject(gone, Cause::LogoutAll, Duration::from_secs(60)).await.unwrap().sure().unwrap();
    vec![
        (of(&alive), Answer::Session),
        (of(&ended), Answer::Dead),
        (Question::Foreign { tag: gone, jti: None, issued: None }, Answer::Dead),
        (Question::Own { sid: alive.sid, jti: denied.clone(), epoch: alive.epoch }, Answer::Dead),
        (Question::Foreign { tag: tag_of("someone"), jti: None, issued: None }, Answer::Foreign),
        (of(&outdated), Answer::Dead),
        (Question::Foreign { tag: alive.sid.tag(), jti: Some(denied), issued: None }, Answer::Dead),
        (Question::Own { sid: unknown, jti: TokenId::fresh(), epoch: Epoch::default() }, Answer::Dead),
        (Question::Foreign { tag: tag_of("x"), jti: Some(TokenId::fresh()), issued: None }, Answer::Foreign),
    ]
}

async fn each_gets_its_own_answer() {
    if !available() {
        return;
    }
    let (alone, cluster) = (RedisServer::start(), RedisServer::start_cluster());
    for url in [alone.url(), cluster.cluster_url()] {
        let state = Arc::new(redis(&url).await);
        recovers(&state).await;
        let all = questions(&*state).await;
        let mut asking = JoinSet::new();
        for at in 0..300 {
            let state = Arc::clone(&state);
            let (question, answer) = all[at % all.len()].clone();
            asking.spawn(async move { (heard(&ask(&*state, &question).await), answer) });
        }
        for (heard, answer) in asking.join_all().await {
            assert_eq!(heard, answer, "{url}");
        }
    }
}

// SEC-T20
#[tokio::test]
async fn many_questions_at_once_get_each_its_own_answer() {
    each_gets_its_own_answer().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_questions_at_once_from_several_threads_get_each_its_own_answer() {
    each_gets_its_own_answer().await;
}

/// How often Redis has run this command.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()).map_or(0, |calls| calls.parse().expect("a number"))
}

#[tokio::test]
async fn redis_reads_once_for_questions_of_one_moment_and_at_once_for_one_alone() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    let session = open(&*state, "alice").await;
    let read_for = |questions: u64, reads: u64| {
        let counted = (calls(&server, "pttl"), calls(&server, "mget"));
        if counted == (questions, reads) { Ok(()) } else { Err(format!("{counted:?} for {questions} questions")) }
    };
    in_one_of_three(async |_| {
        // The second is more than go together.
        for (questions, reads) in [(50, 1), (300, 3)] {
            server.cli(&["CONFIG", "RESETSTAT"]);
            let mut asking = JoinSet::new();
            for _ in 0..questions {
                let (state, session) = (Arc::clone(&state), session.clone());
                asking.spawn(async move { lives(&*state, &session).await });
            }
            assert!(asking.join_all().await.iter().all(|lives| *lives));
            read_for(questions, reads)?;
        }
        server.cli(&["CONFIG", "RESETSTAT"]);
        for _ in 0..20 {
            assert!(lives(&*state, &session).await);
        }
        read_for(20, 20)
    })
    .await;
}

#[tokio::test]
async fn what_is_corrupt_for_one_question_is_none_of_the_others() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    let (alice, bob, carol) = (open(&*state, "alice").await, open(&*state, "bob").await, open(&*state, "carol").await);
    assert_eq!(server.cli(&["SET", &format!("dw:{{{}}}:e", bob.sid.tag()), "no number"]), "OK");
    let (alice, bob, carol) = (of(&alice), of(&bob), of(&carol));
    in_one_of_three(async |_| {
        server.cli(&["CONFIG", "RESETSTAT"]);
        let answers = tokio::join!(state.standing(&alice), state.standing(&bob), state.standing(&carol));
        let each = matches!(answers.0, Ok(Standing::Live { .. }))
            && matches!(answers.1, Err(StateError::Corrupt(_)))
            && matches!(answers.2, Ok(Standing::Live { .. }));
        // They go together.
        if each && calls(&server, "mget") == 1 { Ok(()) } else { Err(format!("{answers:?}")) }
    })
    .await;
}

#[tokio::test]
async fn who_gives_up_takes_nobodys_answer_away() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    let session = open(&*state, "alice").await;
    // Before their questions are sent, and while the answers are awaited; the first, who began it, among them.
    for frozen in [false, true] {
        let mut asking: Vec<_> = (0..40)
            .map(|_| {
                let (state, session) = (Arc::clone(&state), session.clone());
                tokio::spawn(async move { standing(&*state, &session).await })
            })
            .collect();
        if frozen {
            server.freeze();
            // The askers' turn, the sender's and the connection's.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        } else {
            tokio::task::yield_now().await;
        }
        asking.drain(..20).for_each(|asking| asking.abort());
        server.thaw();
        for asking in asking {
            assert!(matches!(asking.await.unwrap(), Standing::Live { .. }));
        }
    }
}

// SEC-F2
#[tokio::test]
async fn each_of_many_questions_to_a_frozen_redis_gives_up_in_time_and_hears_no_answer_of_before() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state: Arc<RedisState> = Arc::new(redis(&server.url()).await);
    let all = questions(&*state).await;
    server.freeze();
    let mut asking = JoinSet::new();
    for (question, _) in all.iter().cycle().take(60).cloned() {
        let state = Arc::clone(&state);
        asking.spawn(async move {
            // Some while others wait already.
            tokio::time::sleep(ms(if matches!(question, Question::Own { .. }) { 0 } else { 20 })).await;
            let asked = Instant::now();
            let answer = state.standing(&question).await;
            (answer, asked.elapsed())
        });
    }
    for (answer, took) in asking.join_all().await {
        assert!(matches!(answer, Err(StateError::TimedOut(budget)) if budget == ms(100)), "{answer:?}");
        assert!(took < ms(100) + SLACK, "{took:?}");
    }
    server.thaw();
    recovers(&state).await;
    for (question, answer) in &all {
        assert_eq!(heard(&ask(&*state, question).await), *answer, "{question:?}");
    }
}

// SEC-F1
#[tokio::test]
async fn no_question_of_an_outage_is_sent_after_it() {
    if !available() {
        return;
    }
    let mut server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    let session = open(&*state, "alice").await;
    // It asks for no session's life, which all the others do.
    let foreign = Question::Foreign { tag: tag_of("x"), jti: None, issued: None };
    server.kill();
    let away = async || state.standing(&foreign).await.is_err().then_some(());
    eventually("the end of the connection", ms(5000), away).await;
    for _ in 0..50 {
        let answer = state.standing(&of(&session)).await;
        assert!(matches!(answer, Err(StateError::Unreachable(_))), "{answer:?}");
    }
    server.restart();
    eventually("the store", ms(5000), async || state.standing(&foreign).await.ok()).await;
    let late = calls(&server, "pttl");
    assert!(late <= 1, "{late}: only the one that found the connection broken");
}

// A busy or throttled process runs late itself: that says nothing of the server, whose connection is as good as before.
#[tokio::test]
async fn a_question_whose_turn_came_late_is_still_sent_and_no_connection_is_given_up_for_it() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let state = Arc::new(redis(&server.url()).await);
    let session = open(&*state, "alice").await;
    assert!(lives(&*state, &session).await);
    let connections = || server.cli(&["INFO", "stats"]).lines().find_map(made).expect("a count");
    in_one_of_three(async |_| {
        let before = connections();
        // A connection younger than a second would be kept in any case.
        tokio::time::sleep(ms(1100)).await;
        for _ in 0..5 {
            let (state, question) = (Arc::clone(&state), of(&session));
            let asking = tokio::spawn(async move { state.standing(&question).await });
            // After the asker's turn, before the sender's.
            let late = tokio::spawn(async { std::thread::sleep(ms(120)) });
            late.await.unwrap();
            let answer = asking.await.unwrap();
            if !matches!(answer, Ok(Standing::Live { .. })) {
                return Err(format!("{answer:?}"));
            }
        }
        // The second `redis-cli` is one.
        let made = connections() - before;
        if made == 1 { Ok(()) } else { Err(format!("{made} connections")) }
    })
    .await;
}

/// How many connections were ever made, in the line that tells it.
fn made(line: &str) -> Option<u64> {
    line.strip_prefix("total_connections_received:")?.trim().parse().ok()
}
