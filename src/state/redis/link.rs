//! One connection to Redis: opened when first used, bounded in time, and replaced when it has gone deaf.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, KeysInterface, LuaInterface};
use fred::types::config::{Options, Server};
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, Value};

use super::super::StateError;
use super::connect::Plan;
use super::keys::MARK;
use super::trouble::{Trouble, in_words};

/// So many timeouts in a row, and the connection is given up. A frozen server (a stopped process, a cut network without a
/// reset) never closes its connections, and fred does not notice it.
const DEAF_AFTER: u32 = 3;

/// A new connection is given this long before it may be given up in turn.
const YOUNG: Duration = Duration::from_secs(1);

/// What a call sends through: a client, with the limits of this call.
///
/// The futures of fred's commands are some 7 KB each. Every future that holds one on its way to the caller would hold it about
/// twice, 100 KB in the end, which a lookup spent most of its time copying; so each has a box of its own here.
pub(super) struct Wire {
    client: Client,
    options: Options,
    clustered: bool,
}

impl Wire {
    /// Sends one command. `slot` is that of its keys.
    pub(super) async fn send(&self, name: &'static str, slot: u16, args: Vec<Value>) -> Result<Value, Error> {
        let command = CustomCommand::new_static(name, ClusterHash::Custom(slot), false);
        Box::pin(self.client().custom(command, args)).await
    }

    /// Runs a script. A restarted server, a promoted replica or one after `SCRIPT FLUSH` does not know it; `EVAL` teaches it too.
    pub(super) async fn script(
        &self,
        sha: &str,
        text: &str,
        keys: Vec<String>,
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        let client = self.client();
        match Box::pin(client.evalsha(sha, keys.clone(), args.clone())).await {
            Err(error) if error.details().starts_with("NOSCRIPT") => Box::pin(client.eval(text, keys, args)).await,
            answer => answer,
        }
    }

    /// What is left of some keys' lives in milliseconds, as `PTTL` tells it; and the mark, and then plain values, as
    /// [`Self::mark_and_values`] reads them; in one round trip. On a cluster all are of one slot.
    pub(super) async fn lives_mark_and_values(
        &self,
        keys: Vec<String>,
        names: Vec<String>,
    ) -> Result<(Value, Value), Error> {
        // `reader().pipeline()` would forget the options: asked while the store is away, they would be sent when it is back.
        let lives = self.client.pipeline().with_options(self.reader().options());
        for key in keys {
            // Only queued here.
            let _: Value = Box::pin(lives.pttl(key)).await?;
        }
        // In this order: fred writes what it knows that something follows together with that.
        tokio::try_join!(Box::pin(lives.all()), self.mark_and_values(names))
    }

    /// The mark, and then plain values of one slot.
    pub(super) async fn mark_and_values(&self, mut names: Vec<String>) -> Result<Value, Error> {
        let reader = self.reader();
        if !self.clustered {
            names.insert(0, MARK.to_owned());
            return Box::pin(reader.mget(names)).await;
        }
        let (mark, values): (Value, Value) =
            tokio::try_join!(Box::pin(reader.get(MARK)), Box::pin(reader.mget(names)))?;
        Ok(Value::Array([vec![mark], values.into_array()].concat()))
    }

    /// The mark alone, as a step of a cluster takes it.
    pub(super) async fn mark(&self) -> Result<String, Error> {
        let mark: Option<String> = Box::pin(self.client().get(MARK)).await?;
        Ok(mark.unwrap_or_else(|| "0".to_owned()))
    }

    /// For what checks ask, which must cost little. For commands by name, as [`Self::send`] sends them, fred makes a system
    /// call each, and Redis reads each alone; what it has a method for it writes together with whatever else waits to be
    /// written. It sets no timer of its own here: a read that is sent after its caller gave up harms nobody. Both together
    /// take half of the processor's time.
    fn reader(&self) -> WithOptions<Client> {
        self.client.with_options(&Options { timeout: Some(Duration::ZERO), ..self.options.clone() })
    }

    /// Sends commands together, in one round trip; an array of their answers.
    pub(super) async fn send_all(&self, commands: Vec<(&'static str, u16, Vec<Value>)>) -> Result<Value, Error> {
        let pipeline = self.client.pipeline().with_options(&self.options);
        for (name, slot, args) in commands {
            let command = CustomCommand::new_static(name, ClusterHash::Custom(slot), false);
            // Only queued here.
            let _: Value = Box::pin(pipeline.custom(command, args)).await?;
        }
        Box::pin(pipeline.all()).await
    }

    /// Sends one command to a named server of a cluster.
    pub(super) async fn send_to(
        &self,
        node: Option<Server>,
        name: &'static str,
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        let options = Options { cluster_node: node, ..self.options.clone() };
        let command = CustomCommand::new_static(name, ClusterHash::Random, false);
        Box::pin(self.client.with_options(&options).custom(command, args)).await
    }

    /// Removes a key.
    pub(super) async fn remove(&self, key: String) -> Result<i64, Error> {
        Box::pin(self.client().del(key)).await
    }

    /// The servers that are connected now.
    pub(super) fn nodes(&self) -> Vec<Server> {
        self.client.active_connections()
    }

    fn client(&self) -> WithOptions<Client> {
        self.client.with_options(&self.options)
    }
}

#[derive(Debug)]
pub(super) struct Link {
    plan: Arc<Plan>,
    live: Mutex<Option<Live>>,
    timeouts: AtomicU32,
}

#[derive(Debug)]
struct Live {
    client: Client,
    task: ConnectHandle,
    born: Instant,
    trouble: Trouble,
}

impl Drop for Live {
    /// The task owns the socket, so ending it closes that, whatever state the server is in.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self { plan, live: Mutex::new(None), timeouts: AtomicU32::new(0) }
    }

    pub(super) fn is_clustered(&self) -> bool {
        self.plan.config.server.is_clustered()
    }

    /// Runs one call within `budget`. Nothing is queued while the store is away: the call fails at once.
    pub(super) async fn run<T, F>(&self, budget: Duration, call: impl FnOnce(Wire) -> F) -> Result<T, StateError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (client, young) = self.client();
        // fred needs the limit too: a command still queued when it passes is then never sent.
        let options = Options { max_attempts: Some(1), timeout: Some(budget), fail_fast: true, ..Options::default() };
        let work = async {
            if young {
                connected(&client).await;
            }
            call(Wire { client: client.clone(), options, clustered: self.is_clustered() }).await
        };
        let answer = match tokio::time::timeout(budget, work).await {
            Ok(answer) => answer.map_err(|error| refine(&error, budget)),
            Err(_) if !client.is_connected() => Err(StateError::Unreachable("no connection yet".into())),
            Err(_) => Err(StateError::TimedOut(budget)),
        };
        let answer = answer.map_err(|error| self.with_reason(error, &client));
        match &answer {
            Err(StateError::TimedOut(_)) => self.timeouts.fetch_add(1, Ordering::Relaxed),
            _ => self.timeouts.swap(0, Ordering::Relaxed),
        };
        answer
    }

    /// Gives the connection up: the next call makes a new one.
    pub(super) fn abandon(&self) {
        self.timeouts.store(0, Ordering::Relaxed);
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Begins to connect and waits a little for it, so that a healthy store is there for the first call.
    pub(super) async fn warm_up(&self, patience: Duration) {
        let (client, _) = self.client();
        // Not being connected in time is no fault: the store may come later (SEC-F1).
        let _ = tokio::time::timeout(patience, connected(&client)).await;
    }

    /// The client, and whether it is so young that its first connection is worth waiting for.
    fn client(&self) -> (Client, bool) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let useless = live.as_ref().is_none_or(|live| {
            let deaf = live.task.is_finished() || self.timeouts.load(Ordering::Relaxed) >= DEAF_AFTER;
            deaf && live.born.elapsed() >= YOUNG
        });
        if useless {
            self.timeouts.store(0, Ordering::Relaxed);
            *live = None;
        }
        let live = live.get_or_insert_with(|| self.connect());
        (live.client.clone(), !live.client.is_connected() && live.born.elapsed() < YOUNG)
    }

    fn connect(&self) -> Live {
        let Plan { config, performance, connection, policy } = (*self.plan).clone();
        let client = Client::new(config, Some(performance), Some(connection), Some(policy));
        let trouble = Trouble::of(&client);
        let task = client.connect();
        Live { client, task, born: Instant::now(), trouble }
    }

    /// Where there is no connection, what keeps it from coming says more than that there is none.
    fn with_reason(&self, error: StateError, client: &Client) -> StateError {
        let StateError::Unreachable(_) = &error else { return error };
        if client.is_connected() {
            return error;
        }
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let why = live.as_mut().and_then(|live| live.trouble.latest().map(str::to_owned));
        why.map_or(error, StateError::Unreachable)
    }
}

/// Resolves when the client is connected. fred's own wait misses a connection made between its look and its listening.
async fn connected(client: &Client) {
    while !client.is_connected() {
        let _ = tokio::time::timeout(Duration::from_millis(5), client.wait_for_connect()).await;
    }
}

/// What fred says, in our words. Server errors quote arguments in one case, which may hold a salt's digest: it is cut off.
fn refine(error: &Error, budget: Duration) -> StateError {
    let text = in_words(error.details().split(", with args").next().unwrap_or_default());
    match error.kind() {
        ErrorKind::Timeout => StateError::TimedOut(budget),
        ErrorKind::Parse | ErrorKind::InvalidArgument | ErrorKind::NotFound => StateError::Corrupt(text),
        ErrorKind::Unknown | ErrorKind::Auth | ErrorKind::Cluster | ErrorKind::InvalidCommand => {
            StateError::Refused(text)
        }
        _ => StateError::Unreachable(text),
    }
}
