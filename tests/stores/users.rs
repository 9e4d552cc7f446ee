//! Users, the history of their sessions, the audit tail and leases: one set of promises, on every SQL database.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::{Clock, FixedClock, SystemClock, Timestamp};
use doorward::database;
use doorward::fault::{Fault, Kind};
use doorward::state::{Cause, Device};
use doorward::token::SessionId;
use doorward::users::audit_tail::{AuditTail, NewLine};
use doorward::users::history::{History, OpenedSession, Retention};
use doorward::users::lease::Leases;
use doorward::users::sql::SqlUsers;
use doorward::users::{Created, NewUser, Page, PasswordHash, User, UserError, UserId, Users};
use tokio::task::JoinSet;

use crate::databases::Server;
use crate::kit::{TICK, database, database_with, directory, ms, pass, tag_of};

/// Runs a promise on each database, fresh and empty.
async fn on_every_database(promise: impl AsyncFn(&str, SqlUsers)) {
    let dir = directory();
    let file = format!("sqlite:{}", dir.path().join("d.db").display());
    for (name, url) in [("SQLite in a file", file.as_str()), ("SQLite in memory", "sqlite::memory:")] {
        promise(name, SqlUsers::new(database(url).await)).await;
    }
    for server in Server::ALL {
        if let Some(url) = server.database().await {
            promise(server.name(), SqlUsers::new(database(&url).await)).await;
        }
    }
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(text.into())
}

fn new_user(email: &str) -> NewUser {
    let password = Some(hash("$argon2id$1"));
    NewUser {
        id: UserId::fresh(),
        email: email.into(),
        password,
        roles: vec![],
        confirmed: false,
        disabled: false,
        created: None,
    }
}

async fn create(users: &SqlUsers, new: &NewUser) -> User {
    match users.create(new).await.unwrap() {
        Created::User(user) => user,
        Created::Taken => panic!("{} is taken", new.email),
    }
}

#[tokio::test]
async fn a_user_is_read_as_created() {
    on_every_database(async |name, users| {
        let new = NewUser { roles: vec!["admin".into(), "réd\"acteur".into()], ..new_user("élise@example.com") };
        let user = create(&users, &new).await;
        assert_eq!((&user.id, &user.email, &user.roles), (&new.id, &new.email, &new.roles), "{name}");
        assert!(!user.confirmed && !user.disabled, "{name}");
        assert!(user.created.0.abs_diff(SystemClock.now_millis().0) < 5_000 && user.updated == user.created, "{name}");
        assert_eq!(users.find(&new.id).await.unwrap().as_ref(), Some(&user), "{name}");
        let credentials = users.find_by_email("élise@example.com").await.unwrap().unwrap();
        assert_eq!((&credentials.user, &credentials.password), (&user, &new.password), "{name}");
        assert_eq!(users.credentials(&new.id).await.unwrap(), Some(credentials), "{name}");
        let without = NewUser { password: None, confirmed: true, ..new_user("no-password@example.com") };
        create(&users, &without).await;
        assert_eq!(users.credentials(&without.id).await.unwrap().unwrap().password, None, "{name}");
        assert_eq!(users.find(&UserId::fresh()).await.unwrap(), None, "{name}");
        users.health().await.unwrap();
    })
    .await;
}

/// Engines have ideas of their own about which texts are equal.
// SEC-L5
#[tokio::test]
async fn addresses_are_the_same_only_byte_by_byte() {
    on_every_database(async |name, users| {
        for email in ["a@example.com", "A@example.com", "á@example.com", "ß@example.com", "ss@example.com"] {
            create(&users, &new_user(email)).await;
        }
        let found = users.find_by_email("A@example.com").await.unwrap().unwrap();
        assert_eq!(found.user.email, "A@example.com", "{name}");
    })
    .await;
}

// SEC-L6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_registrations_of_one_address_at_once_one_succeeds() {
    on_every_database(async |name, users| {
        let users = Arc::new(users);
        let mut tries = JoinSet::new();
        for _ in 0..20 {
            let users = Arc::clone(&users);
            tries.spawn(async move {
                let new = new_user("alice@example.com");
                loop {
                    match users.create(&new).await {
                        // A busy machine; with the same id it is the same creation.
                        Err(UserError::TimedOut) => {}
                        answer => return answer.unwrap(),
                    }
                }
            });
        }
        let created = tries.join_all().await.into_iter().filter(|created| matches!(created, Created::User(_))).count();
        assert_eq!(created, 1, "{name}");
        assert_eq!(users.list(&Page { limit: 100, ..Page::default() }).await.unwrap().len(), 1, "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_repeated_creation_gives_the_user_and_a_taken_id_is_taken() {
    on_every_database(async |name, users| {
        let new = new_user("alice@example.com");
        let user = create(&users, &new).await;
        assert_eq!(users.create(&new).await.unwrap(), Created::User(user), "{name}");
        let same_id = NewUser { id: new.id.clone(), ..new_user("bob@example.com") };
        assert_eq!(users.create(&same_id).await.unwrap(), Created::Taken, "{name}");
        let same_email = new_user("alice@example.com");
        assert_eq!(users.create(&same_email).await.unwrap(), Created::Taken, "{name}");
    })
    .await;
}

#[tokio::test]
async fn what_is_changed_of_a_user_is_read_and_nobody_is_changed_by_mistake() {
    on_every_database(async |name, users| {
        let (alice, bob) = (new_user("alice@example.com"), new_user("bob@example.com"));
        create(&users, &alice).await;
        let untouched = create(&users, &bob).await;
        pass(TICK).await;
        let roles = ["editor".to_owned()];
        assert!(users.set_disabled(&alice.id, true).await.unwrap(), "{name}");
        assert!(users.set_confirmed(&alice.id, true).await.unwrap(), "{name}");
        assert!(users.set_roles(&alice.id, &roles).await.unwrap(), "{name}");
        assert!(users.set_password(&alice.id, &hash("$argon2id$2")).await.unwrap(), "{name}");
        // Repeated, it is still the user's.
        assert!(users.set_disabled(&alice.id, true).await.unwrap(), "{name}");
        let changed = users.credentials(&alice.id).await.unwrap().unwrap();
        assert!(changed.user.disabled && changed.user.confirmed && changed.user.roles == roles, "{name}");
        assert!(changed.user.updated > changed.user.created, "{name}");
        assert_eq!(changed.password, Some(hash("$argon2id$2")), "{name}");
        assert_eq!(users.find(&bob.id).await.unwrap(), Some(untouched), "{name}");

        assert!(users.delete(&alice.id).await.unwrap(), "{name}");
        assert!(!users.delete(&alice.id).await.unwrap(), "{name}");
        for changed in [
            users.set_disabled(&alice.id, false).await,
            users.set_roles(&alice.id, &roles).await,
            users.set_password(&alice.id, &hash("x")).await,
            users.set_confirmed(&alice.id, false).await,
        ] {
            assert!(!changed.unwrap(), "{name}");
        }
        create(&users, &new_user("alice@example.com")).await;
    })
    .await;
}

// SEC-L1
#[tokio::test]
async fn a_stronger_hash_never_undoes_a_changed_password() {
    on_every_database(async |name, users| {
        let new = new_user("alice@example.com");
        create(&users, &new).await;
        let (weak, strong) = (hash("$argon2id$1"), hash("$argon2id$strong"));
        assert!(users.replace_password(&new.id, &weak, &strong).await.unwrap(), "{name}");
        users.set_password(&new.id, &hash("$argon2id$changed")).await.unwrap();
        assert!(!users.replace_password(&new.id, &strong, &hash("$argon2id$stronger")).await.unwrap(), "{name}");
        let kept = users.credentials(&new.id).await.unwrap().unwrap().password;
        assert_eq!(kept, Some(hash("$argon2id$changed")), "{name}");
    })
    .await;
}

#[tokio::test]
async fn lists_go_on_by_address_and_search_literally() {
    on_every_database(async |name, users| {
        for email in ["bob@example.com", "alice@example.com", "carol_x@example.org", "carolyx@example.org"] {
            create(&users, &new_user(email)).await;
        }
        let list = async |after: Option<&str>, limit, search: Option<&str>| {
            let page = Page { after: after.map(Into::into), limit, search: search.map(Into::into) };
            let found = users.list(&page).await.unwrap();
            found.into_iter().map(|user| user.email).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 2, None).await, ["alice@example.com", "bob@example.com"], "{name}");
        let rest = ["carol_x@example.org", "carolyx@example.org"];
        assert_eq!(list(Some("bob@example.com"), 10, None).await, rest, "{name}");
        assert_eq!(list(None, 10, Some("l_x")).await, ["carol_x@example.org"], "{name}");
        assert_eq!(list(None, 10, Some("example.org")).await, rest, "{name}");
        for nobody in ["%", "'", "\\", "!"] {
            assert_eq!(list(None, 10, Some(nobody)).await, [""; 0], "{name}: {nobody}");
        }
    })
    .await;
}

// SEC-L12
#[tokio::test]
async fn who_has_a_role_is_not_taken_from_a_name_that_looks_like_it() {
    on_every_database(async |name, users| {
        let role = |text: &str| vec![text.to_owned()];
        create(&users, &NewUser { roles: role("administrator"), ..new_user("a@example.com") }).await;
        create(&users, &NewUser { roles: role("x\",\"admin"), ..new_user("b@example.com") }).await;
        assert!(users.holders("admin").await.unwrap().is_empty(), "{name}");
        create(&users, &NewUser { roles: role("admin"), ..new_user("c@example.com") }).await;
        assert!(!users.holders("admin").await.unwrap().is_empty(), "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_session_is_remembered_with_its_first_end() {
    on_every_database(async |name, users| {
        let alice = UserId::fresh();
        let device = Device { user_agent: "browser/1 \u{1F6AA}".into(), ip: Some("2001:db8::1".parse().unwrap()) };
        let now = SystemClock.now_millis();
        let mut sids = Vec::new();
        for n in 0..4 {
            let sid = SessionId::fresh(tag_of("alice"));
            let created = now.plus(ms(n));
            let ends = created.plus(Duration::from_secs(3600));
            for _ in 0..2 {
                users.opened(&OpenedSession { sid, user: &alice, created, ends, device: &device }).await.unwrap();
            }
            sids.push(sid);
        }
        users.seen(&sids[0], now.plus(ms(500))).await.unwrap();
        users.seen(&sids[0], now).await.unwrap();
        users.ended(&sids[1..2], Cause::Logout).await.unwrap();
        users.ended(&[sids[1], SessionId::fresh(tag_of("bob"))], Cause::Admin).await.unwrap();
        users.all_ended(&alice, Some(&sids[3]), Cause::LogoutAll).await.unwrap();
        let past = users.of_user(&alice, 10).await.unwrap();
        assert_eq!(
            past.iter().map(|past| past.sid).collect::<Vec<_>>(),
            [sids[3], sids[2], sids[1], sids[0]],
            "{name}"
        );
        let causes: Vec<_> = past.iter().map(|past| past.ended.as_ref().map(|(_, cause)| cause.as_str())).collect();
        assert_eq!(causes, [None, Some("logout_all"), Some("logout"), Some("logout_all")], "{name}");
        let first = &past[3];
        assert_eq!(
            (first.last_seen, &first.user_agent, first.ip),
            (now.plus(ms(500)), &device.user_agent, device.ip),
            "{name}"
        );
        assert_eq!((&first.user, first.created), (&alice, now), "{name}");
        assert_eq!(users.of_user(&alice, 1).await.unwrap().len(), 1, "{name}");
        assert_eq!(users.of_user(&UserId::fresh(), 10).await.unwrap(), [], "{name}");
    })
    .await;
}

#[tokio::test]
async fn the_past_is_forgotten_when_its_time_has_come_and_not_before() {
    on_every_database(async |name, users| {
        let (alice, device, day) = (UserId::fresh(), Device::default(), Duration::from_secs(86_400));
        let days_ago = |days: u64| doorward::clock::Millis(SystemClock.now_millis().0 - days * 86_400_000);
        let mut sids = Vec::new();
        for days in [40, 20, 1] {
            let sid = SessionId::fresh(tag_of("alice"));
            let (created, ends) = (days_ago(days + 1), days_ago(days));
            users.opened(&OpenedSession { sid, user: &alice, created, ends, device: &device }).await.unwrap();
            sids.push(sid);
        }
        let ended = SessionId::fresh(tag_of("alice"));
        let (created, ends) = (days_ago(100), days_ago(50));
        users.opened(&OpenedSession { sid: ended, user: &alice, created, ends, device: &device }).await.unwrap();
        users.ended(&[ended], Cause::Reuse).await.unwrap();
        let retention = Retention { expired: 30 * day, revoked: 90 * day };
        assert_eq!(users.forget(retention).await.unwrap(), 1, "{name}");
        assert_eq!(users.forget(retention).await.unwrap(), 0, "{name}");
        let left: Vec<_> = users.of_user(&alice, 10).await.unwrap().into_iter().map(|past| past.sid).collect();
        assert_eq!(left, [sids[2], sids[1], ended], "{name}");
        pass(TICK).await;
        assert_eq!(users.forget(Retention { expired: 30 * day, revoked: ms(1) }).await.unwrap(), 1, "{name}");
    })
    .await;
}

#[tokio::test]
async fn the_audit_tail_is_read_newest_first_and_bounded_in_time() {
    on_every_database(async |name, users| {
        let line = |user: &str, outcome: &str| NewLine {
            kind: "authn_login_fail".into(),
            user: user.into(),
            client: Some("192.0.2.1".parse().unwrap()),
            request_id: "r\u{1F6AA}".repeat(100),
            outcome: outcome.into(),
            ..NewLine::default()
        };
        users.note(&[line("alice", "1"), line("bob", "2"), line("alice", "3")]).await.unwrap();
        let all = users.tail(None, None, 10).await.unwrap();
        assert_eq!(all.iter().map(|line| line.event.outcome.as_str()).collect::<Vec<_>>(), ["3", "2", "1"], "{name}");
        assert!(all[0].event.request_id.len() <= 256 && all[0].event.client == line("", "").client, "{name}");
        assert!(all[0].at.0.abs_diff(SystemClock.now_millis().0) < 5_000, "{name}");
        let before = users.tail(None, Some(all[0].number), 1).await.unwrap();
        assert_eq!(before, all[1..2], "{name}");
        let alices = users.tail(Some("alice"), None, 10).await.unwrap();
        assert_eq!(alices, [all[0].clone(), all[2].clone()], "{name}");
        assert_eq!(users.forget_lines(Duration::from_secs(3600)).await.unwrap(), 0, "{name}");
        pass(TICK).await;
        assert_eq!(users.forget_lines(ms(1)).await.unwrap(), 3, "{name}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_has_one_holder_who_may_prolong_it_and_who_loses_it_in_time() {
    on_every_database(async |name, users| {
        let users = Arc::new(users);
        let mut tries = JoinSet::new();
        for node in 0..10 {
            let users = Arc::clone(&users);
            tries.spawn(async move { users.take("clean-up", &node.to_string(), ms(60_000)).await.unwrap() });
        }
        assert_eq!(tries.join_all().await.into_iter().filter(|taken| *taken).count(), 1, "{name}");
        assert!(users.take("long", "a", ms(60_000)).await.unwrap(), "{name}");
        assert!(users.take("long", "a", ms(60_000)).await.unwrap(), "{name}");
        assert!(!users.take("long", "b", ms(60_000)).await.unwrap(), "{name}");
        assert!(users.take("short", "a", ms(100)).await.unwrap(), "{name}");
        pass(ms(150)).await;
        assert!(users.take("short", "b", ms(100)).await.unwrap(), "{name}");
    })
    .await;
}

// SEC-F10
#[tokio::test]
async fn a_pool_that_is_used_up_is_unavailable_in_time() {
    for server in Server::ALL {
        let Some(url) = server.database().await else { continue };
        let settings = database::Settings { url, pool: 1, ..database::Settings::default() };
        let clock = Arc::new(FixedClock::at(Timestamp(0)));
        let database = database::open(&settings, clock).await.unwrap();
        let users = SqlUsers::new(database.clone());
        let busy = database.begin().await.unwrap();
        let asked = std::time::Instant::now();
        let error = users.find(&UserId::fresh()).await.unwrap_err();
        assert!(matches!(error, UserError::TimedOut) && error.kind() == Kind::Unavailable, "{server:?}: {error}");
        assert!(asked.elapsed() < Duration::from_secs(4), "{server:?}");
        drop(busy);
        users.find(&UserId::fresh()).await.unwrap();
    }
}

/// The database's moments, not the machine's, are what a user sees, unless the database has none.
#[tokio::test]
async fn an_embedded_database_has_this_machines_clock() {
    let clock = Arc::new(FixedClock::at(Timestamp(1_700_000_000)));
    let users = SqlUsers::new(database_with("sqlite::memory:", clock.clone()).await);
    let new = new_user("alice@example.com");
    assert_eq!(create(&users, &new).await.created, clock.now_millis());
}
