//! What the tests of stores share: every store, sessions to open, and questions to ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::clock::{Clock, SystemClock};
use doorward::database::{self, Database};
use doorward::metrics::Metrics;
use doorward::secret::Digest;
use doorward::state;
use doorward::state::redis::RedisState;
use doorward::state::sql::SqlState;
use doorward::state::{
    AtLimit, Cause, Device, NewSession, Opened, Question, Session, SessionRules, Sessions, Standing, StateError,
    Written,
};
use doorward::token::{Holder, HolderKind, SessionId, SubjectTag, TokenId};
use tempfile::TempDir;

use crate::databases::Server;
use crate::redis::{RedisServer, available};

/// A store under test, with what must outlive it.
pub(crate) struct Store {
    pub(crate) name: &'static str,
    pub(crate) state: Arc<dyn Sessions>,
    _server: Option<RedisServer>,
    _dir: Option<TempDir>,
}

/// Runs a promise on each store, fresh and empty; on several at once, since they mostly wait.
pub(crate) async fn on_every_store(promise: impl AsyncFn(Store)) {
    let has_redis = available();
    let redis_at = async |name, start: fn() -> RedisServer, url: fn(&RedisServer) -> String| {
        if has_redis {
            let server = tokio::task::spawn_blocking(start).await.expect("it starts");
            let state = Arc::new(redis(&url(&server)).await);
            promise(Store { name, state, _server: Some(server), _dir: None }).await;
        }
    };
    // Where another Redis is tried, the others were tried before.
    let has_sql = std::env::var_os("DOORWARD_TEST_REDIS_SERVER").is_none();
    let sql_at = async |name, url: &str, dir| {
        if has_sql {
            promise(Store { name, state: Arc::new(sql(url).await), _server: None, _dir: dir }).await;
        }
    };
    let server_at = async |server: Server| {
        if has_sql && let Some(url) = server.database().await {
            sql_at(server.name(), &url, None).await;
        }
    };
    let dir = directory();
    let file = format!("sqlite:{}", dir.path().join("d.db").display());
    tokio::join!(
        sql_at("SQLite in a file", &file, Some(dir)),
        sql_at("SQLite in memory", "sqlite::memory:", None),
        redis_at("Redis with a password", RedisServer::start, RedisServer::url),
        redis_at("Redis on a Unix socket", RedisServer::start, RedisServer::unix_url),
        redis_at("Redis Cluster", RedisServer::start_cluster, RedisServer::cluster_url),
    );
    tokio::join!(server_at(Server::Postgres), server_at(Server::MariaDb));
}

/// A directory for a database: in memory where the system has that, so that a busy disk does not decide a test. Every write
/// is synced.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

/// Token state in the SQL database there.
pub(crate) async fn sql(url: &str) -> SqlState {
    sql_in(database(url).await, Arc::new(Metrics::new())).await
}

pub(crate) async fn sql_in(database: Database, metrics: Arc<Metrics>) -> SqlState {
    SqlState::new(database, metrics).await.expect("the database answers")
}

pub(crate) async fn database(url: &str) -> Database {
    database_with(url, Arc::new(SystemClock)).await
}

/// The clock counts for SQLite only.
pub(crate) async fn database_with(url: &str, clock: Arc<dyn Clock>) -> Database {
    let settings = database::Settings { url: url.into(), ..database::Settings::default() };
    database::open(&settings, clock).await.expect("the database opens")
}

pub(crate) async fn redis(url: &str) -> RedisState {
    redis_with(&state::Settings { url: url.into(), ..state::Settings::default() }).await
}

pub(crate) async fn redis_with(settings: &state::Settings) -> RedisState {
    RedisState::connect(settings, Arc::new(SystemClock), Arc::new(Metrics::new())).await.expect("settings are fine")
}

pub(crate) const RULES: SessionRules = SessionRules {
    grace: Duration::from_secs(3),
    idle: Duration::from_secs(3600),
    lifetime: Duration::from_secs(86_400),
    max_per_subject: 10,
    at_limit: AtLimit::Evict,
};

pub(crate) fn tag_of(subject: &str) -> SubjectTag {
    SubjectTag::of("doorward", subject)
}

pub(crate) fn salt() -> Digest {
    Digest::of(b"salt")
}

pub(crate) fn new_session(subject: &str) -> NewSession {
    NewSession {
        sid: SessionId::fresh(tag_of(subject)),
        holder: Holder {
            subject: subject.into(),
            kind: HolderKind::Account,
            roles: vec!["admin".into(), "réd\"acteur".into()],
            scope: vec!["read".into()],
            amr: vec![],
        },
        salt: salt(),
        device: Device { user_agent: "browser/1 \u{1F6AA}".into(), ip: Some("2001:db8::1".parse().unwrap()) },
    }
}

pub(crate) async fn open(state: &dyn Sessions, subject: &str) -> Session {
    open_by(state, subject, &RULES).await
}

pub(crate) async fn open_by(state: &dyn Sessions, subject: &str, rules: &SessionRules) -> Session {
    match state.open(&new_session(subject), rules).await.unwrap() {
        Opened::Session { session, .. } => *session,
        Opened::LimitReached => panic!("the limit was reached"),
    }
}

/// One of many logins at once: a busy machine may not get through all of them in the time of one.
pub(crate) async fn open_in_the_end(state: &dyn Sessions, subject: &str, rules: &SessionRules) -> Opened {
    let new = new_session(subject);
    insist(|| state.open(&new, rules)).await
}

/// Asks about a token minted for this session when it was in this state.
pub(crate) async fn standing(state: &dyn Sessions, session: &Session) -> Standing {
    ask(state, &Question::Own { sid: session.sid, jti: TokenId::fresh(), epoch: session.epoch }).await
}

/// Asks as a checker does, again where no answer came in a check's short time.
pub(crate) async fn ask(state: &dyn Sessions, question: &Question) -> Standing {
    insist(|| state.standing(question)).await
}

/// Asks again where no answer came in the time that a question or a step has: a busy machine is no fault of the store.
pub(crate) async fn insist<T, F: Future<Output = Result<T, StateError>>>(ask: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(StateError::TimedOut(_)) if begun.elapsed() < Duration::from_secs(10) => {}
            answer => return answer.unwrap(),
        }
    }
}

/// What a step has done. It is repeated until one is confirmed: a replica has half a second to see it.
pub(crate) async fn confirmed<T>(step: impl AsyncFn() -> Result<Written<T>, StateError>) -> T {
    let first = step().await.unwrap();
    if first.confirmed.is_err() {
        eventually("a replica", Duration::from_secs(10), async || step().await.and_then(Written::sure).ok()).await;
    }
    first.done
}

pub(crate) async fn lives(state: &dyn Sessions, session: &Session) -> bool {
    standing(state, session).await != Standing::Dead
}

pub(crate) async fn end(state: &dyn Sessions, session: &Session) -> bool {
    state.end(&session.sid, Cause::Logout).await.unwrap().sure().unwrap()
}

/// Lets time pass: for rules about time, by a store's own clock, there is no other fact to wait for.
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Longer than any store's clock takes to move on: SQLite's is this machine's coarse one, which ticks every 10 ms.
pub(crate) const TICK: Duration = ms(12);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Asks again until there is an answer; fails the test where none comes in time.
pub(crate) async fn eventually<T>(what: &str, within: Duration, ask: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < within, "still waiting for {what} after {:?}", begun.elapsed());
        tokio::time::sleep(ms(20)).await;
    }
}

/// On a busy machine a try comes too late now and then, and is sent again: one round of three must be as it would be on an idle one.
pub(crate) async fn in_one_of_three(round: impl AsyncFn(u32) -> Result<(), String>) {
    let mut other = Vec::new();
    for number in 0..3 {
        match round(number).await {
            Ok(()) => return,
            Err(told) => other.push(told),
        }
    }
    panic!("{other:#?}");
}
