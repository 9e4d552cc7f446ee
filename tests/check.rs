//! The check over the real parts: keys in files, a token store in SQLite, two nodes that share it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use doorward::check::activity::Activity;
use doorward::check::cache;
use doorward::check::checker::{Checker, Parts};
use doorward::check::follower::Follower;
use doorward::check::headers::HeaderPlan;
use doorward::check::identity::HeaderSettings;
use doorward::check::policy::Policy;
use doorward::check::requirement::Require;
use doorward::check::rules::RuleSettings;
use doorward::check::{CheckRequest, Credential, Decision, Denial};
use doorward::clock::{Clock, SystemClock};
use doorward::database;
use doorward::metrics::Metrics;
use doorward::secret::Digest;
use doorward::state::sql::SqlState;
use doorward::state::{AtLimit, Cause, Device, Entry, Hears, Lookups, NewSession, Opened, SessionRules, Sessions};
use doorward::token::jwt::{AccessToken, OwnKeys, OwnProfile, Signer, Verifier};
use doorward::token::keys::{self, KeyRing, RingRules};
use doorward::token::{Holder, HolderKind, SessionId, SubjectTag, TokenId};
use doorward::units::Span;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

const ISSUER: &str = "doorward";
const HOUR: Duration = Duration::from_secs(3600);

/// What all nodes share: a folder with a database and keys.
struct Site {
    dir: TempDir,
    ring: Arc<KeyRing>,
    signer: Signer,
    idle: Duration,
}

struct Node {
    checker: Arc<Checker>,
    store: Arc<SqlState>,
    metrics: Arc<Metrics>,
    _stop: DropGuard,
}

struct Session {
    sid: SessionId,
    token: String,
}

impl Site {
    fn new(idle: Duration) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let settings =
            keys::Settings { dir: dir.path().join("keys").display().to_string(), ..keys::Settings::default() };
        let rules = RingRules { publish_ahead: Duration::from_secs(300), keep_after: HOUR };
        let ring = Arc::new(KeyRing::load_or_create(&settings, rules, SystemClock.now()).expect("a key ring"));
        Self { dir, signer: Signer::new(ring.clone()), ring, idle }
    }

    async fn node(&self) -> Node {
        self.node_with(cache::Settings::default()).await
    }

    async fn node_with(&self, settings: cache::Settings) -> Node {
        let (clock, metrics): (Arc<dyn Clock>, _) = (Arc::new(SystemClock), Arc::new(Metrics::new()));
        let store = Arc::new(open_store(self.dir.path(), clock.clone(), metrics.clone()).await);
        let own = OwnProfile { issuer: ISSUER.into(), audience: vec![ISSUER.into()] };
        let verifier = Verifier::new(own, OwnKeys::Ring(self.ring.clone()), &[]).expect("a verifier");
        let admin = RuleSettings {
            path: "/admin/**".into(),
            require: Some(Require { roles: vec!["admin".into()], ..Require::default() }),
            ..RuleSettings::default()
        };
        let (max_staleness, interval) = (settings.max_staleness.0, settings.activity_interval.0);
        let checker = Arc::new(Checker::new(Parts {
            verifier: Arc::new(verifier),
            store: store.clone(),
            clock,
            metrics: metrics.clone(),
            settings,
            policy: Policy::compile(&[admin, RuleSettings::default()], false).expect("rules"),
            plan: HeaderPlan::new(&HeaderSettings::default()).expect("a plan"),
        }));
        let stop = CancellationToken::new();
        tokio::spawn(Follower::new(checker.clone(), metrics.clone(), max_staleness).run(stop.clone()));
        tokio::spawn(Activity::new(checker.clone(), self.idle, interval).run(stop.clone()));
        let node = Node { checker, store, metrics, _stop: stop.drop_guard() };
        until("the log was read", || node.checker.ready().is_ready()).await;
        node
    }

    async fn login(&self, node: &Node, user: &str, roles: &[&str]) -> Session {
        let holder = Holder {
            subject: user.into(),
            kind: HolderKind::PlainText,
            roles: roles.iter().map(ToString::to_string).collect(),
            scope: Vec::new(),
            amr: Vec::new(),
        };
        let sid = SessionId::fresh(SubjectTag::of(ISSUER, user));
        let new = NewSession { sid, holder: holder.clone(), salt: Digest::of(b"salt"), device: Device::default() };
        let rules = SessionRules {
            grace: Duration::from_secs(3),
            idle: self.idle,
            lifetime: HOUR,
            max_per_subject: 0,
            at_limit: AtLimit::Evict,
        };
        let Opened::Session { session, .. } = node.store.open(&new, &rules).await.expect("the store answers") else {
            panic!("no limit was given")
        };
        let now = SystemClock.now();
        let token = self.signer.sign(
            &AccessToken {
                issuer: ISSUER,
                audience: &[ISSUER.into()],
                holder: &holder,
                sid,
                jti: &TokenId::fresh(),
                epoch: session.epoch,
                issued: now,
                expires: now.plus(HOUR),
                auth_time: None,
                device_changed: &[],
            },
            now,
        );
        Session { sid, token: token.expect("a signature") }
    }
}

impl Node {
    async fn check(&self, target: &str, token: &str) -> Result<(), Denial> {
        match self.checker.check(&request(target, token)).await {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(denial) => Err(denial),
        }
    }

    /// The same once the store has answered: a look-up has 100 ms, which a busy machine may not give it.
    async fn knows(&self, target: &str, token: &str) -> Result<(), Denial> {
        let begun = Instant::now();
        loop {
            match self.check(target, token).await {
                Err(Denial::Unavailable) if begun.elapsed() < Duration::from_secs(5) => {}
                answer => return answer,
            }
        }
    }

    fn is_warm(&self, token: &str) -> bool {
        matches!(self.checker.check_cached(&request("/", token)), Some(Decision::Allow(_)))
    }

    /// As the issuer does: the end is written, then told to the checker in the same process, then answered.
    async fn logout(&self, session: &Session) {
        assert!(
            self.store.end(&session.sid, Cause::Logout).await.expect("the store answers").sure().expect("confirmed")
        );
        self.checker.hear(&Entry::Session(session.sid));
    }
}

fn request<'a>(target: &'a str, token: &'a str) -> CheckRequest<'a> {
    let credential = Credential::Bearer(token);
    CheckRequest { method: "GET", host: "app.test", target, credential, ..CheckRequest::default() }
}

async fn open_store(dir: &Path, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> SqlState {
    let url = format!("sqlite:{}", dir.join("state.db").display());
    let settings = database::Settings { url, ..database::Settings::default() };
    SqlState::open(&settings, clock, metrics).await.expect("a database")
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(5), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_what_its_roles_reach() {
    let site = Site::new(HOUR);
    let node = site.node().await;
    let (alice, bob) = (site.login(&node, "alice", &["admin"]).await, site.login(&node, "bob", &[]).await);
    assert_eq!(node.knows("/admin/x", &alice.token).await, Ok(()));
    assert_eq!(node.knows("/admin/x", &bob.token).await, Err(Denial::Forbidden));
    assert_eq!(node.knows("/x", &bob.token).await, Ok(()));
    let mut forged = bob.token.clone();
    let of_signature = forged.len() - 20;
    let other = if forged[of_signature..].starts_with('A') { "B" } else { "A" };
    forged.replace_range(of_signature..=of_signature, other);
    assert_eq!(node.knows("/x", &forged).await, Err(Denial::InvalidToken));
    assert!(node.metrics.render().contains("doorward_cache_requests_total{result=\"hit\"} 1\n"));
}

// SEC-S1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_counts_on_its_own_node_at_once_and_on_the_other_within_a_second() {
    let site = Site::new(HOUR);
    let (here, there) = (site.node().await, site.node().await);
    let (alice, bob) = (site.login(&here, "alice", &[]).await, site.login(&here, "bob", &[]).await);
    for node in [&here, &there] {
        assert_eq!(node.knows("/", &alice.token).await, Ok(()));
        assert_eq!(node.knows("/", &bob.token).await, Ok(()));
    }
    here.logout(&alice).await;
    let answered = Instant::now();
    assert_eq!(here.knows("/", &alice.token).await, Err(Denial::InvalidToken));
    until("the other node heard of it", || {
        let since = answered.elapsed();
        let warm = there.is_warm(&alice.token);
        assert!(!warm || since < Duration::from_secs(1), "{since:?}");
        !warm
    })
    .await;
    assert_eq!(there.knows("/", &alice.token).await, Err(Denial::InvalidToken));
    assert!(there.is_warm(&bob.token), "others are not disturbed");
}

// SEC-S1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_all_sessions_and_a_removed_key_reach_the_other_node() {
    let site = Site::new(HOUR);
    let (here, there) = (site.node().await, site.node().await);
    let first = site.login(&here, "alice", &[]).await;
    assert_eq!(there.knows("/", &first.token).await, Ok(()));
    here.store
        .end_subject(first.sid.tag(), Cause::LogoutAll, Duration::ZERO)
        .await
        .expect("the store answers")
        .sure()
        .expect("confirmed");
    until("the other node heard of it", || !there.is_warm(&first.token)).await;
    assert_eq!(there.knows("/", &first.token).await, Err(Denial::InvalidToken));

    let second = site.login(&here, "alice", &[]).await;
    assert_eq!(there.knows("/", &second.token).await, Ok(()), "a session opened after the end is a good one");
    let kid = site.ring.keys(SystemClock.now())[0].kid.clone();
    here.store.announce(&Entry::Key(kid)).await.expect("the store answers").sure().expect("confirmed");
    until("the other node heard of it", || !there.is_warm(&second.token)).await;
    assert_eq!(there.knows("/", &second.token).await, Err(Denial::InvalidToken));
}

// SEC-S2, SEC-F13
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_check_that_begins_after_a_logout_was_answered_passes() {
    let site = Arc::new(Site::new(HOUR));
    let node = Arc::new(site.node().await);
    for round in 0..25 {
        let session = Arc::new(site.login(&node, &format!("user{round}"), &[]).await);
        let (answered, stop, passed) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let hammers: Vec<_> = (0..4)
            .map(|_| {
                let (node, session) = (node.clone(), session.clone());
                let (answered, stop, passed) = (answered.clone(), stop.clone(), passed.clone());
                tokio::spawn(async move {
                    while !stop.load(Ordering::SeqCst) {
                        let late = answered.load(Ordering::SeqCst);
                        // Others' entries keep the identity out of memory, so that lookups and the end do race.
                        node.checker.hear(&Entry::Everything);
                        if node.check("/", &session.token).await.is_ok() {
                            passed.fetch_add(1, Ordering::SeqCst);
                            assert!(!late, "passed after the logout was answered");
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        until("some checks passed", || passed.load(Ordering::SeqCst) > 3).await;
        node.logout(&session).await;
        answered.store(true, Ordering::SeqCst);
        assert_eq!(node.knows("/", &session.token).await.err(), Some(Denial::InvalidToken));
        stop.store(true, Ordering::SeqCst);
        for hammer in hammers {
            hammer.await.expect("no check passed that must not");
        }
    }
}

// SEC-S6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_in_use_outlives_its_idle_limit_and_an_unused_one_does_not() {
    let idle = Duration::from_secs(4);
    let site = Site::new(idle);
    let node = site.node_with(cache::Settings { activity_interval: Span::secs(30), ..Default::default() }).await;
    let (used, unused) = (site.login(&node, "alice", &[]).await, site.login(&node, "bob", &[]).await);
    assert_eq!(node.knows("/", &unused.token).await, Ok(()));
    let begun = Instant::now();
    while begun.elapsed() < 2 * idle {
        assert_eq!(node.knows("/", &used.token).await, Ok(()), "after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node.knows("/", &unused.token).await, Err(Denial::InvalidToken));
    let writes = node.metrics.state_op("touch").get_sample_count();
    assert!((1..=12).contains(&writes), "{writes} writes for about 400 checks");
}

#[tokio::test]
async fn a_store_that_is_gone_is_told_as_such() {
    let site = Site::new(HOUR);
    let node = site.node_with(cache::Settings { max_staleness: Span::millis(200), ..Default::default() }).await;
    let (known, unknown) = (site.login(&node, "alice", &[]).await, site.login(&node, "bob", &[]).await);
    assert_eq!(node.knows("/", &known.token).await, Ok(()));
    node.store.health().await.expect("the store answers");
    let url = format!("sqlite:{}", site.dir.path().join("state.db").display());
    let database = sqlx::SqlitePool::connect(&url).await.expect("the database");
    for taken in ["ALTER TABLE state_store RENAME TO gone_1", "ALTER TABLE state_session RENAME TO gone_2"] {
        sqlx::query(taken).execute(&database).await.expect("renamed");
    }
    until("the bound has passed", || !node.is_warm(&known.token)).await;
    assert_eq!(node.knows("/", &known.token).await, Ok(()), "until the error bound");
    assert_eq!(node.check("/", &unknown.token).await, Err(Denial::Unavailable));
    until("the outage shows", || node.metrics.state_up.get() == 0).await;
}
