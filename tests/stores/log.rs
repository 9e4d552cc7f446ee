//! The revocation log, on every store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::clock::{Clock, SystemClock};
use doorward::state::{Cause, Entry, LogBatch, Position, Sessions};
use doorward::token::refresh::Manner;
use doorward::token::{Generation, TokenId};

use crate::kit::{RULES, TICK, end, ms, on_every_store, open, pass, salt, tag_of};

pub(crate) async fn start(state: &dyn Sessions) -> Position {
    state.read_log(None, Duration::from_secs(5)).await.unwrap().position
}

pub(crate) async fn read(state: &dyn Sessions, after: &Position) -> LogBatch {
    state.read_log(Some(after), Duration::ZERO).await.unwrap()
}

#[tokio::test]
async fn without_a_position_the_logs_end_is_answered_at_once_as_a_gap() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        end(&*store.state, &session).await;
        let asked = Instant::now();
        let batch = store.state.read_log(None, Duration::from_secs(30)).await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(2), "{}", store.name);
        assert!(batch.gap() && batch.entries.is_empty(), "{}: {batch:?}", store.name);
        assert!(SystemClock.now().0.abs_diff(batch.proof.expect("proven").store_began.0) < 5, "{}", store.name);
        assert_eq!(read(&*store.state, &batch.position).await.entries, [], "{}", store.name);
    })
    .await;
}

// SEC-S1
#[tokio::test]
async fn everything_that_ends_or_is_denied_is_told() {
    on_every_store(async |store| {
        let state = &*store.state;
        let position = start(state).await;
        let ended = open(state, "a").await;
        let replayed = open(state, "b").await;
        let tag = tag_of("c");
        end(state, &ended).await;
        for shown in [0, 1, 0] {
            state.refresh(&replayed.sid, Generation(shown), &salt(), Manner::Rotating, &RULES).await.unwrap();
        }
        state.end_subject(tag, Cause::Admin, Duration::ZERO).await.unwrap().sure().unwrap();
        state
            .deny_token(tag_of("d"), &TokenId::fresh(), SystemClock.now().plus(ms(60_000)))
            .await
            .unwrap()
            .sure()
            .unwrap();
        state.announce(&Entry::Key("kid 1".into())).await.unwrap().sure().unwrap();
        state.announce(&Entry::Everything).await.unwrap().sure().unwrap();
        let first_of_many = open(state, "e").await;
        pass(TICK).await;
        for _ in 0..10 {
            open(state, "e").await;
        }
        let batch = read(state, &position).await;
        assert!(!batch.gap(), "{}", store.name);
        // A cluster tells "all of this subject" where others tell the session: more is forgotten, nothing less.
        let expected = [
            (Entry::Session(ended.sid), Entry::Subject(ended.sid.tag())),
            (Entry::Session(replayed.sid), Entry::Subject(replayed.sid.tag())),
            (Entry::Subject(tag), Entry::Subject(tag)),
            (Entry::Subject(tag_of("d")), Entry::Subject(tag_of("d"))),
            (Entry::Key("kid 1".into()), Entry::Key("kid 1".into())),
            (Entry::Everything, Entry::Everything),
            (Entry::Session(first_of_many.sid), Entry::Subject(first_of_many.sid.tag())),
        ];
        assert_eq!(batch.entries.len(), expected.len(), "{}: {:?}", store.name, batch.entries);
        for (told, (exact, wide)) in batch.entries.iter().zip(&expected) {
            assert!(told == exact || told == wide, "{}: {told:?}", store.name);
        }
    })
    .await;
}

// SEC-S3
#[tokio::test]
async fn a_reader_goes_on_where_it_stopped_and_misses_nothing() {
    on_every_store(async |store| {
        let mut position = start(&*store.state).await;
        for round in 0..3 {
            let mut sessions = Vec::new();
            for _ in 0..=round {
                sessions.push(open(&*store.state, "alice").await);
            }
            for session in &sessions {
                end(&*store.state, session).await;
            }
            let batch = read(&*store.state, &position).await;
            assert!(!batch.gap(), "{}", store.name);
            assert_eq!(batch.entries.len(), sessions.len(), "{}", store.name);
            // Reading again from the same place gives the same.
            assert_eq!(read(&*store.state, &position).await.entries, batch.entries, "{}", store.name);
            position = batch.position;
        }
        let quiet = read(&*store.state, &position).await;
        assert!(!quiet.gap() && quiet.entries.is_empty() && quiet.position == position, "{}", store.name);
    })
    .await;
}

#[tokio::test]
async fn more_entries_than_one_answer_holds_come_in_order() {
    on_every_store(async |store| {
        let mut position = start(&*store.state).await;
        for n in 0..1200 {
            store.state.announce(&Entry::Key(n.to_string())).await.unwrap().sure().unwrap();
        }
        let mut told = Vec::new();
        while told.len() < 1200 {
            let batch = read(&*store.state, &position).await;
            assert!(!batch.gap() && !batch.entries.is_empty(), "{}", store.name);
            told.extend(batch.entries);
            position = batch.position;
        }
        let expected: Vec<_> = (0..1200).map(|n| Entry::Key(n.to_string())).collect();
        assert_eq!(told, expected, "{}", store.name);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_reader_hears_at_once_and_a_quiet_log_answers_when_the_wait_is_over() {
    on_every_store(async |store| {
        let position = start(&*store.state).await;
        let session = open(&*store.state, "alice").await;
        let (state, from) = (Arc::clone(&store.state), position.clone());
        let reader = tokio::spawn(async move { state.read_log(Some(&from), Duration::from_secs(20)).await.unwrap() });
        let asked = Instant::now();
        end(&*store.state, &session).await;
        let batch = reader.await.unwrap();
        assert_eq!(batch.entries.len(), 1, "{}", store.name);
        assert!(asked.elapsed() < Duration::from_secs(5), "{}: {:?}", store.name, asked.elapsed());

        let asked = Instant::now();
        let quiet = store.state.read_log(Some(&batch.position), ms(300)).await.unwrap();
        assert!(quiet.entries.is_empty() && !quiet.gap(), "{}", store.name);
        assert!(asked.elapsed() >= ms(290), "{}: {:?}", store.name, asked.elapsed());
    })
    .await;
}

// SEC-S3
#[tokio::test]
async fn a_position_of_another_store_is_a_gap() {
    on_every_store(async |store| {
        for text in ["", "nonsense", "other 0", "id:1 repl.run 0-0", "id:1 repl.run x"] {
            let batch = read(&*store.state, &Position(text.into())).await;
            assert!(batch.gap(), "{}: {text:?}", store.name);
            assert!(!read(&*store.state, &batch.position).await.gap(), "{}", store.name);
        }
    })
    .await;
}
