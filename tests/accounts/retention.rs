//! What is remembered of ended sessions, and forgotten when its time is over. In this process, under a clock that is moved.

use std::sync::Arc;
use std::time::Duration;

use doorward::accounts::retention::{Retaining, Settings};
use doorward::clock::{Clock, FixedClock, Timestamp};
use doorward::database;
use doorward::state::{Cause, Device};
use doorward::token::{SessionId, SubjectTag};
use doorward::units::Span;
use doorward::users::UserId;
use doorward::users::audit_tail::{AuditTail, NewLine};
use doorward::users::history::{History, OpenedSession};
use doorward::users::sql::SqlUsers;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn ended_sessions_are_forgotten_after_their_time_by_one_node_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::at(Timestamp(1_800_000_000)));
    let url = format!("sqlite:{}", folder.path().join("users.db").display());
    let settings = database::Settings { url, ..database::Settings::default() };
    let users = Arc::new(SqlUsers::new(database::open(&settings, clock.clone()).await.unwrap()));
    let node = || {
        let settings = Settings { expired: Span::days(30), revoked: Span::days(90) };
        Retaining::new(users.clone(), users.clone(), users.clone(), settings)
    };
    let (one, other) = (node(), node());
    let alice = UserId::fresh();
    let sids: Vec<_> = (0..2).map(|_| SessionId::fresh(SubjectTag::of("doorward", alice.as_str()))).collect();
    let device = Device::default();
    let created = clock.now_millis();
    for sid in &sids {
        let opened = OpenedSession { sid: *sid, user: &alice, created, ends: created.plus(7 * DAY), device: &device };
        users.opened(&opened).await.unwrap();
    }
    users.ended(&sids[..1], Cause::Logout).await.unwrap();
    users.note(&[NewLine { kind: "authn_login_success".into(), ..NewLine::default() }]).await.unwrap();
    let remembered = async || {
        let mut sids: Vec<_> = users.of_user(&alice, 10).await.unwrap().into_iter().map(|past| past.sid).collect();
        sids.sort_unstable();
        sids
    };
    let mut all = sids.clone();
    all.sort_unstable();

    clock.advance(36 * DAY);
    one.tidy().await.unwrap();
    assert_eq!(remembered().await, all, "the expired one ended 29 days ago");
    clock.advance(2 * DAY);
    one.tidy().await.unwrap();
    assert_eq!(remembered().await, sids[..1], "what died of age is kept for 30 days");
    clock.advance(53 * DAY);
    one.tidy().await.unwrap();
    assert_eq!(remembered().await, [], "what was ended is kept for 90");
    assert!(users.tail(None, None, 10).await.unwrap().is_empty(), "so are events");

    users.opened(&OpenedSession { sid: sids[0], user: &alice, created, ends: created, device: &device }).await.unwrap();
    other.tidy().await.unwrap();
    assert_eq!(remembered().await.len(), 1, "the first node has the lease");
    clock.advance(2 * Duration::from_secs(3600));
    other.tidy().await.unwrap();
    assert_eq!(remembered().await, [], "and lost it when its time was over");
}
