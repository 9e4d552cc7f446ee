//! All ways to end or deny something, on every store.

use std::time::Duration;

use doorward::clock::{Clock, SystemClock, Timestamp};
use doorward::secret::Digest;
use doorward::state::{Cause, Question, Session, Sessions, Standing};
use doorward::token::{SubjectTag, TokenId};

use crate::kit::{ask, end, lives, ms, on_every_store, open, pass, salt, standing, tag_of};

// SEC-S4
#[tokio::test]
async fn an_end_holds_and_can_be_repeated() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        let other = open(&*store.state, "alice").await;
        assert!(end(&*store.state, &session).await, "{}", store.name);
        assert!(!end(&*store.state, &session).await, "{}", store.name);
        assert!(!lives(&*store.state, &session).await, "{}", store.name);
        assert!(lives(&*store.state, &other).await, "{}", store.name);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_tokens_salt_ends_its_own_session_only() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        let wrong = Digest::of(b"wrong");
        let end = |salt: Digest| {
            let (state, sid) = (&store.state, &session.sid);
            async move { state.end_with_salt(sid, &salt, Cause::Logout).await.unwrap().sure().unwrap() }
        };
        assert_eq!(end(wrong).await, None, "{}", store.name);
        assert!(lives(&*store.state, &session).await, "{}", store.name);
        assert_eq!(end(salt()).await.as_deref(), Some("alice"), "{}", store.name);
        assert_eq!(end(salt()).await, None, "{}", store.name);
        assert!(!lives(&*store.state, &session).await, "{}", store.name);
    })
    .await;
}

// SEC-S4
#[tokio::test]
async fn ending_a_subject_ends_all_its_sessions_and_raises_its_epoch() {
    on_every_store(async |store| {
        let before = open(&*store.state, "alice").await;
        open(&*store.state, "alice").await;
        let bob = open(&*store.state, "bob").await;
        let tag = tag_of("alice");
        assert_eq!(
            store.state.end_subject(tag, Cause::LogoutAll, Duration::ZERO).await.unwrap().sure().unwrap(),
            2,
            "{}",
            store.name
        );
        assert_eq!(
            store.state.end_subject(tag, Cause::LogoutAll, Duration::ZERO).await.unwrap().sure().unwrap(),
            0,
            "{}",
            store.name
        );
        assert!(!lives(&*store.state, &before).await, "{}", store.name);
        assert!(lives(&*store.state, &bob).await, "{}", store.name);

        // A token of the old epoch is dead even where it names a live session.
        let after = open(&*store.state, "alice").await;
        assert!(after.epoch > before.epoch, "{}: {:?} then {:?}", store.name, before.epoch, after.epoch);
        assert!(lives(&*store.state, &after).await, "{}", store.name);
        let forged = Session { epoch: before.epoch, ..after };
        assert_eq!(standing(&*store.state, &forged).await, Standing::Dead, "{}", store.name);
    })
    .await;
}

async fn foreign(state: &dyn Sessions, tag: SubjectTag, jti: Option<&str>, issued: Option<u64>) -> bool {
    let question = Question::Foreign { tag, jti: jti.and_then(TokenId::new), issued: issued.map(Timestamp) };
    match ask(state, &question).await {
        Standing::Live { idle_left: None, ends: None } => true,
        Standing::Live { .. } => panic!("a foreign token has no session"),
        Standing::Dead => false,
    }
}

#[tokio::test]
async fn a_foreign_subject_is_denied_as_issued_until_then() {
    on_every_store(async |store| {
        let (tag, other) = (SubjectTag::of("https://idp", "alice"), SubjectTag::of("https://idp", "bob"));
        let now = SystemClock.now().0;
        assert!(foreign(&*store.state, tag, Some("t"), Some(now)).await, "{}", store.name);
        store.state.end_subject(tag, Cause::Admin, Duration::from_secs(3600)).await.unwrap().sure().unwrap();
        assert!(!foreign(&*store.state, tag, Some("t"), Some(now - 10)).await, "{}", store.name);
        assert!(!foreign(&*store.state, tag, None, Some(now)).await, "{}", store.name);
        assert!(!foreign(&*store.state, tag, Some("t"), Some(now + 5)).await, "{}: a clock 5 s ahead", store.name);
        assert!(!foreign(&*store.state, tag, None, None).await, "{}: without iat", store.name);
        assert!(foreign(&*store.state, tag, Some("t"), Some(now + 10)).await, "{}", store.name);
        assert!(foreign(&*store.state, other, Some("t"), Some(now - 10)).await, "{}", store.name);
    })
    .await;
}

#[tokio::test]
async fn a_denied_token_is_dead_and_no_other() {
    on_every_store(async |store| {
        let session = open(&*store.state, "alice").await;
        let (denied, other) = (TokenId::fresh(), TokenId::fresh());
        let until = SystemClock.now().plus(Duration::from_secs(60));
        for _ in 0..2 {
            store.state.deny_token(session.sid.tag(), &denied, until).await.unwrap().sure().unwrap();
        }
        for (jti, live) in [(denied, false), (other, true)] {
            let question = Question::Own { sid: session.sid, jti, epoch: session.epoch };
            let standing = ask(&*store.state, &question).await;
            assert_eq!(standing != Standing::Dead, live, "{}", store.name);
        }
        let tag = SubjectTag::of("https://idp", "alice");
        let odd = TokenId::new("a token with * ? {braces} \u{1F511}").unwrap();
        store.state.deny_token(tag, &odd, until).await.unwrap().sure().unwrap();
        assert!(!foreign(&*store.state, tag, Some(odd.as_str()), None).await, "{}", store.name);
        assert!(foreign(&*store.state, tag, Some("another"), None).await, "{}", store.name);
    })
    .await;
}

#[tokio::test]
async fn a_foreign_denial_is_forgotten_after_the_longest_life_of_a_token() {
    on_every_store(async |store| {
        let tag = SubjectTag::of("https://idp", "alice");
        let now = SystemClock.now().0;
        store.state.end_subject(tag, Cause::Admin, ms(1000)).await.unwrap().sure().unwrap();
        assert!(!foreign(&*store.state, tag, None, Some(now - 10)).await, "{}", store.name);
        pass(ms(1050)).await;
        assert!(foreign(&*store.state, tag, None, Some(now - 10)).await, "{}", store.name);
    })
    .await;
}
