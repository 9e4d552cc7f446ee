//! The real stores against the model: random sequences of refreshes, guesses, logouts, passing time and failovers that lose
//! writes, each answer compared; and two clients at once, whose answers must be those of some order of their calls (SEC-U3).

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::{FixedClock, Timestamp};
use doorward::database::{Database, query};
use doorward::metrics::Metrics;
use doorward::secret::Digest;
use doorward::state::{Cause, Question, Rotation, Session, SessionRules, Sessions, Standing, StateError};
use doorward::token::refresh::Manner;
use doorward::token::{Generation, SessionId, TokenId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use crate::databases::Server;
use crate::kit::{RULES, database_with, directory, open_by, redis, salt, sql, sql_in};
use crate::model::{Answer, Call, Family, Times};
use crate::redis::{RedisServer, available};

/// Hours, so that the seconds that a test takes decide nothing.
const TIMES: Times = Times { grace: 1_000_000, idle: 5_000_000, lifetime: 12_000_000 };

/// No sum of these comes near one of the times above.
const PAUSES: [u64; 3] = [430_000, 1_170_000, 6_100_000];

fn rules() -> SessionRules {
    let ms = Duration::from_millis;
    SessionRules { grace: ms(TIMES.grace), idle: ms(TIMES.idle), lifetime: ms(TIMES.lifetime), ..RULES }
}

/// What befalls a family. A generation is relative to the current one, so that all rows of the table come up.
#[derive(Clone, Copy, Debug)]
enum Event {
    Refresh(i32),
    /// In place.
    Renew(i32),
    /// With another salt: it was made up.
    Guess(i32),
    Logout,
    LogoutByToken {
        genuine: bool,
    },
    Pass(u64),
    /// What a failover would fall back to.
    Replicate,
    FailOver,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Refresh(0)),
        6 => (-3..=3).prop_map(Event::Refresh),
        3 => (-3..=3).prop_map(Event::Renew),
        2 => (-3..=3).prop_map(Event::Guess),
        1 => Just(Event::Logout),
        1 => any::<bool>().prop_map(|genuine| Event::LogoutByToken { genuine }),
        4 => (0..PAUSES.len()).prop_map(|pause| Event::Pass(PAUSES[pause])),
        2 => Just(Event::Replicate),
        2 => Just(Event::FailOver),
    ]
}

/// A store whose time can pass and whose writes can be lost.
enum Store {
    Redis(RedisServer, Arc<dyn Sessions>),
    Sqlite { state: Arc<dyn Sessions>, clock: Arc<FixedClock>, database: Database, _dir: TempDir },
}

impl Store {
    async fn redis(clustered: bool) -> Self {
        let server = if clustered { RedisServer::start_cluster() } else { RedisServer::start() };
        let url = if clustered { server.cluster_url() } else { server.url() };
        let state = redis(&url).await;
        Self::Redis(server, Arc::new(state))
    }

    async fn sqlite() -> Self {
        let dir = directory();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let clock = Arc::new(FixedClock::at(Timestamp(1_700_000_000)));
        let database = database_with(&url, clock.clone()).await;
        query("CREATE TABLE kept AS SELECT * FROM state_session").run(&database).await.unwrap();
        let state = sql_in(database.clone(), Arc::new(Metrics::new())).await;
        Self::Sqlite { state: Arc::new(state), clock, database, _dir: dir }
    }

    fn state(&self) -> &dyn Sessions {
        match self {
            Self::Redis(_, state) | Self::Sqlite { state, .. } => &**state,
        }
    }

    /// Redis has no clock to set, so there the family grows older instead.
    async fn pass(&self, sid: &SessionId, millis: u64) {
        const AGE: &str = "for _, key in ipairs(KEYS) do
            if redis.call('EXISTS', key) == 1 then
                for _, field in ipairs({'t', 'b', 'x'}) do redis.call('HINCRBY', key, field, -ARGV[1]) end
                local left = redis.call('PTTL', key) - ARGV[1]
                if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
            end
        end";
        match self {
            Self::Redis(server, _) => {
                let (key, kept) = keys(sid);
                server.cli(&["EVAL", AGE, "2", &key, &kept, &millis.to_string()]);
            }
            Self::Sqlite { clock, .. } => clock.advance(Duration::from_millis(millis)),
        }
    }

    async fn replicate(&self, sid: &SessionId) {
        match self {
            Self::Redis(server, _) => {
                let (key, kept) = keys(sid);
                copy(server, &key, &kept);
            }
            Self::Sqlite { database, .. } => {
                query("DELETE FROM kept").run(database).await.unwrap();
                query("INSERT INTO kept SELECT * FROM state_session").run(database).await.unwrap();
            }
        }
    }

    async fn fail_over(&self, sid: &SessionId) {
        match self {
            Self::Redis(server, _) => {
                let (key, kept) = keys(sid);
                copy(server, &kept, &key);
            }
            Self::Sqlite { database, .. } => {
                query("DELETE FROM state_session").run(database).await.unwrap();
                query("INSERT INTO state_session SELECT * FROM kept").run(database).await.unwrap();
            }
        }
    }
}

fn keys(sid: &SessionId) -> (String, String) {
    let key = format!("dw:{{{}}}:s:{sid}", sid.tag());
    let kept = format!("{key}:kept");
    (key, kept)
}

/// With its time to live; where there is nothing to copy, nothing is left.
fn copy(server: &RedisServer, from: &str, to: &str) {
    let script = "redis.call('DEL', KEYS[2]) return redis.call('COPY', KEYS[1], KEYS[2])";
    server.cli(&["EVAL", script, "2", from, to]);
}

fn seen(rotation: &Rotation) -> Answer {
    match rotation {
        Rotation::Rotated(session) => Answer::Rotated(session.generation.0),
        Rotation::Repeated(session) => Answer::Repeated(session.generation.0),
        Rotation::CaughtUp(session) => Answer::CaughtUp(session.generation.0),
        Rotation::Kept(_) => Answer::Kept,
        Rotation::Reused { .. } => Answer::Reused,
        Rotation::Lost => Answer::Lost,
        // The model forgets a family that has ended, however it ended.
        Rotation::Unknown | Rotation::Expired { .. } => Answer::Unknown,
    }
}

/// One family, in the store and in the model.
struct Pair<'a> {
    store: &'a Store,
    session: Session,
    family: Family,
    replica: Family,
    now: u64,
    calls: u8,
}

impl<'a> Pair<'a> {
    async fn open(store: &'a Store) -> Self {
        let session = open_by(store.state(), "alice", &rules()).await;
        store.replicate(&session.sid).await;
        let family = Family::opened(0, TIMES);
        Self { store, session, family, replica: family, now: 0, calls: 0 }
    }

    async fn befall(&mut self, event: Event) -> Result<(), TestCaseError> {
        let (state, sid) = (self.store.state(), self.session.sid);
        let shown = |relative: i32| self.family.generation.saturating_add_signed(relative);
        match event {
            Event::Refresh(relative) => {
                let shown = shown(relative);
                let rotation =
                    state.refresh(&sid, Generation(shown), &salt(), Manner::Rotating, &rules()).await.map_err(busy)?;
                let call = Call { shown, attempt: self.calls, by: u64::MAX };
                self.calls += 1;
                prop_assert_eq!(seen(&rotation), self.family.rotate(call, self.now, TIMES));
            }
            Event::Renew(relative) => {
                let shown = shown(relative);
                let rotation =
                    state.refresh(&sid, Generation(shown), &salt(), Manner::InPlace, &rules()).await.map_err(busy)?;
                let call = Call { shown, attempt: self.calls, by: u64::MAX };
                self.calls += 1;
                prop_assert_eq!(seen(&rotation), self.family.renew(call, self.now, TIMES));
            }
            Event::Guess(relative) => {
                let made_up = Digest::of(b"made up");
                let rotation = state
                    .refresh(&sid, Generation(shown(relative)), &made_up, Manner::Rotating, &rules())
                    .await
                    .map_err(busy)?;
                // Redis forgets a salt with its session, so there a guess may be what finds that one has died of age.
                prop_assert_eq!(seen(&rotation), Answer::Unknown);
            }
            Event::Logout => {
                let ended = state.end(&sid, Cause::Logout).await.map_err(busy)?.done;
                prop_assert_eq!(ended, self.family.end(self.now));
            }
            Event::LogoutByToken { genuine } => {
                let salt = if genuine { salt() } else { Digest::of(b"made up") };
                let ended = state.end_with_salt(&sid, &salt, Cause::Logout).await.map_err(busy)?.done.is_some();
                prop_assert_eq!(ended, genuine && self.family.end(self.now));
            }
            Event::Pass(millis) => {
                self.store.pass(&sid, millis).await;
                self.now += millis;
            }
            Event::Replicate => {
                self.store.replicate(&sid).await;
                self.replica = self.family;
            }
            Event::FailOver => {
                self.store.fail_over(&sid).await;
                self.family = self.replica;
            }
        }
        self.agree().await
    }

    async fn agree(&self) -> Result<(), TestCaseError> {
        let state = self.store.state();
        let stands = self.family.stands(self.now);
        let question = Question::Own { sid: self.session.sid, jti: TokenId::fresh(), epoch: self.session.epoch };
        let standing = state.standing(&question).await.map_err(busy)?;
        prop_assert_eq!(standing != Standing::Dead, stands);
        let found = state.session(&self.session.sid).await.map_err(busy)?;
        prop_assert_eq!(found.as_ref().map(|found| found.generation.0), stands.then_some(self.family.generation));
        if let Some(found) = found {
            // Where time passes by growing older, what is left of the life counts. SEC-R10
            let life = found.ends.since(found.created);
            prop_assert_eq!(life, Duration::from_millis(TIMES.lifetime));
            let grown = self.session.created.since(found.created);
            prop_assert!(grown.is_zero() || grown == Duration::from_millis(self.now), "{:?}", grown);
            prop_assert_eq!(&found.holder, &self.session.holder);
        }
        Ok(())
    }
}

/// A store has only so long to answer, which a busy machine may pass: then nobody knows what was done.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn busy(error: StateError) -> TestCaseError {
    TestCaseError::reject(error.to_string())
}

/// Runs a property on the current runtime, over values of a strategy.
fn check<T: std::fmt::Debug>(
    cases: u32,
    strategy: impl Strategy<Value = T>,
    property: impl AsyncFn(T) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Handle::current();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let test = |value| tokio::task::block_in_place(|| runtime.block_on(property(value)));
    if let Err(failure) = TestRunner::new(config).run(&strategy, test) {
        panic!("{failure}");
    }
}

async fn agrees_with_the_model(store: Store) {
    check(150, vec(event(), 1..25), async |events| {
        let mut pair = Pair::open(&store).await;
        for event in events {
            pair.befall(event).await?;
        }
        Ok(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_answers_every_sequence_as_the_model_does() {
    agrees_with_the_model(Store::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_answers_every_sequence_as_the_model_does() {
    if available() {
        agrees_with_the_model(Store::redis(false).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_answers_every_sequence_as_the_model_does() {
    if available() {
        agrees_with_the_model(Store::redis(true).await).await;
    }
}

/// One call of a client that does not wait for the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Refresh(u32),
    Renew(u32),
    Logout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Refreshed(Answer),
    LoggedOut(bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![7 => (0u32..4).prop_map(Deed::Refresh), 3 => (0u32..4).prop_map(Deed::Renew), 1 => Just(Deed::Logout)]
}

async fn carry_out(
    state: &dyn Sessions,
    sid: SessionId,
    deeds: &[Deed],
) -> Result<Vec<(Deed, Outcome)>, TestCaseError> {
    let mut done = Vec::new();
    for &deed in deeds {
        let outcome = match deed {
            Deed::Refresh(shown) => Outcome::Refreshed(seen(
                &state.refresh(&sid, Generation(shown), &salt(), Manner::Rotating, &rules()).await.map_err(busy)?,
            )),
            Deed::Renew(shown) => Outcome::Refreshed(seen(
                &state.refresh(&sid, Generation(shown), &salt(), Manner::InPlace, &rules()).await.map_err(busy)?,
            )),
            Deed::Logout => Outcome::LoggedOut(state.end(&sid, Cause::Logout).await.map_err(busy)?.done),
        };
        done.push((deed, outcome));
    }
    Ok(done)
}

/// Whether some order of both clients' deeds, each one's own order kept, explains every outcome.
fn some_order_explains(family: Family, left: &[(Deed, Outcome)], right: &[(Deed, Outcome)]) -> bool {
    let first = |mine: &[(Deed, Outcome)], other: &[(Deed, Outcome)]| {
        let Some((&(deed, outcome), rest)) = mine.split_first() else { return false };
        let mut family = family;
        // No call is sent twice here, so no attempt is like another.
        let attempt = u8::try_from(mine.len() + 16 * other.len()).expect("short scripts");
        let expected = match deed {
            Deed::Refresh(shown) => Outcome::Refreshed(family.rotate(Call { shown, attempt, by: u64::MAX }, 0, TIMES)),
            Deed::Renew(shown) => Outcome::Refreshed(family.renew(Call { shown, attempt, by: u64::MAX }, 0, TIMES)),
            Deed::Logout => Outcome::LoggedOut(family.end(0)),
        };
        expected == outcome && some_order_explains(family, rest, other)
    };
    (left.is_empty() && right.is_empty()) || first(left, right) || first(right, left)
}

async fn has_an_order(one: Arc<dyn Sessions>, other: Arc<dyn Sessions>) {
    check(100, (vec(deed(), 1..6), vec(deed(), 1..6)), async |(left, right)| {
        let session = open_by(&*one, "alice", &rules()).await;
        let other = Arc::clone(&other);
        let (sid, theirs) = (session.sid, right.clone());
        let right = tokio::spawn(async move { carry_out(&*other, sid, &theirs).await });
        let left = carry_out(&*one, sid, &left).await?;
        let right = right.await.unwrap()?;
        let explained = some_order_explains(Family::opened(0, TIMES), &left, &right);
        prop_assert!(explained, "no order explains {:?} beside {:?}", left, right);
        Ok(())
    });
}

// SEC-R5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_clients_see_at_once_on_sqlite_has_an_order() {
    let dir = directory();
    let url = format!("sqlite:{}", dir.path().join("d.db").display());
    let state: Arc<dyn Sessions> = Arc::new(sql(&url).await);
    has_an_order(Arc::clone(&state), state).await;
}

// SEC-R5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_clients_see_at_once_over_two_nodes_of_one_redis_has_an_order() {
    if !available() {
        return;
    }
    let server = RedisServer::start();
    let (one, other) = (redis(&server.url()).await, redis(&server.url()).await);
    has_an_order(Arc::new(one), Arc::new(other)).await;
}

// SEC-R5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_clients_see_at_once_over_two_nodes_of_one_database_has_an_order() {
    for server in Server::ALL {
        if let Some(url) = server.database().await {
            has_an_order(Arc::new(sql(&url).await), Arc::new(sql(&url).await)).await;
        }
    }
}
