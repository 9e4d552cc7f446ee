//! Threads that hash passwords, and the short queue before them (SEC-D4). They are fewer than there are cores, and run at a
//! lower priority than the rest: a flood of logins takes the processor last of all from the checks.

use std::fmt;
use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// How many may wait for each thread that was asked for. At some 30 ms a hash this is a second or two.
const WAITING_FOR_EACH: usize = 32;

/// How much less than everybody else these threads want the processor: a third as much. At 10, a tenth, busy neighbours on the
/// same machine made a login take its whole time limit.
const NICE: i32 = 5;

type Job = Box<dyn FnOnce() + Send>;

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

pub(super) struct Pool {
    /// Dropped with the pool, which ends the threads.
    queue: SyncSender<Job>,
}

impl Pool {
    /// With so many threads, as far as that leaves a core to the rest: with none left, a check waits for a hash's turn to end.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(threads * WAITING_FOR_EACH);
        let jobs = Arc::new(Mutex::new(jobs));
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..threads.clamp(1, cores.saturating_sub(1).max(1)) {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name("password".into()).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue })
    }

    /// Runs it on one of the threads; at once [`Busy`] where the queue is full. Not begun where nobody waits any more.
    pub(super) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (tell, told) = oneshot::channel();
        let job = move || {
            if !tell.is_closed() {
                let _ = tell.send(job());
            }
        };
        self.queue.try_send(Box::new(job)).map_err(|_| Busy)?;
        // No answer: the job panicked.
        told.await.map_err(|_| Busy)
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    // On Linux this is about this thread alone. Where it is not allowed, the threads work all the same.
    let _ = rustix::process::nice(NICE);
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic ends the job, not the thread.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool(…)")
    }
}
