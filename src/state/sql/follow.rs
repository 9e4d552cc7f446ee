//! How readers of the revocation log learn that there is something to read. Writers of this process wake them; PostgreSQL wakes
//! them for other nodes too (`LISTEN`); elsewhere, and where that connection is lost, they look again and again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::AbortHandle;

use crate::database::Database;

/// The name that writers call.
pub(super) const CHANNEL: &str = "doorward_log";

/// Short against the bound of a revocation (SEC-S1), and a query by key.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Where other nodes are heard: a connection that was lost without a word must not delay a revocation for long.
const LOOK_EVERY_WHILE_LISTENING: Duration = Duration::from_millis(500);

const LISTEN_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Following {
    ear: Arc<Ear>,
    listener: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Ear {
    written: Notify,
    listening: AtomicBool,
}

impl Following {
    /// Begins to listen, where the database can tell.
    pub(super) fn start(database: &Database) -> Self {
        let ear = Arc::new(Ear::default());
        let listener = database.postgres().cloned().map(|pool| {
            // A connection of its own: one taken from the pool would be missing there.
            let own = sqlx::postgres::PgPoolOptions::new().max_connections(1);
            let own = own.connect_lazy_with((*pool.connect_options()).clone());
            tokio::spawn(listen(own, Arc::clone(&ear))).abort_handle()
        });
        Self { ear, listener }
    }

    pub(super) fn wake(&self) {
        self.ear.written.notify_waiters();
    }

    /// Begins to listen now, so that what is written after this call is not missed.
    pub(super) fn next(&self) -> Next<'_> {
        let mut written = Box::pin(self.ear.written.notified());
        written.as_mut().enable();
        Next { ear: &self.ear, written }
    }
}

/// What is written next.
pub(super) struct Next<'a> {
    ear: &'a Ear,
    written: Pin<Box<Notified<'a>>>,
}

impl Next<'_> {
    /// Waits for it, or until it is time to look again; at most that long.
    pub(super) async fn wait(self, most: Duration) {
        let listening = self.ear.listening.load(Ordering::Relaxed);
        let pause = if listening { LOOK_EVERY_WHILE_LISTENING } else { LOOK_EVERY };
        let _ = tokio::time::timeout(pause.min(most), self.written).await;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

async fn listen(pool: sqlx::PgPool, ear: Arc<Ear>) {
    loop {
        if let Err(error) = hear(&pool, &ear).await {
            tracing::debug!(%error, "other nodes' revocations are looked for, since they can't be listened to");
        }
        ear.listening.store(false, Ordering::Relaxed);
        ear.written.notify_waiters();
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

/// Listens until the connection is lost.
async fn hear(pool: &sqlx::PgPool, ear: &Ear) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        ear.listening.store(true, Ordering::Relaxed);
        // What was told before is found by looking.
        ear.written.notify_waiters();
        if listener.try_recv().await?.is_none() {
            return Ok(());
        }
    }
}
