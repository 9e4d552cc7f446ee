//! An open loop: requests are due at fixed times, whether or not earlier ones were answered, and what waits is counted
//! from when it was due. Over so many HTTP/1 connections, one in flight on each, on a thread of its own.
//!
//! tokio's timer ticks once a millisecond, so up to that much of each figure is this client's.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::closed::Script;
use super::{Tally, http1, nanos};

/// What a run offers.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub per_second: f64,
    pub lasting: Duration,
    pub connections: usize,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was answered as asked.
    pub good: Tally,
    /// What was refused.
    pub refused: Tally,
}

struct Run<S> {
    script: RefCell<S>,
    outcome: RefCell<Outcome>,
    next: Cell<u64>,
    offer: Offer,
    began: Instant,
}

pub fn run(to: SocketAddr, offer: Offer, script: impl Script + 'static) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let mut streams = Vec::new();
        for _ in 0..offer.connections {
            let stream = TcpStream::connect(to).await.expect("a listener");
            stream.set_nodelay(true).expect("a socket");
            streams.push(stream);
        }
        let (next, began) = (Cell::new(0), Instant::now());
        let (script, outcome) = (RefCell::new(script), RefCell::default());
        let run = Rc::new(Run { script, outcome, next, offer, began });
        let tasks: Vec<_> =
            streams.into_iter().map(|stream| tokio::task::spawn_local(one(stream, Rc::clone(&run)))).collect();
        for task in tasks {
            task.await.expect("it ends");
        }
        let took = began.elapsed();
        let mut outcome = run.outcome.take();
        (outcome.good.took, outcome.refused.took) = (took, took);
        outcome
    })
}

/// One connection: it takes the next request that is due, waits until it is, and for its answer.
async fn one(mut stream: TcpStream, run: Rc<Run<impl Script>>) {
    let (mut request, mut buffer) = (Vec::new(), vec![0; 4096]);
    loop {
        let due = Duration::from_secs_f64(run.next.replace(run.next.get() + 1) as f64 / run.offer.per_second);
        if due > run.offer.lasting {
            return;
        }
        let due = run.began + due;
        tokio::time::sleep_until(due.into()).await;
        if run.began.elapsed() > run.offer.lasting {
            return;
        }
        request.clear();
        run.script.borrow_mut().ask(&mut request);
        stream.write_all(&request).await.expect("an open connection");
        let mut filled = 0;
        let (status, body) = loop {
            let read = stream.read(&mut buffer[filled..]).await.expect("an open connection");
            assert!(read > 0, "the server closed a connection");
            filled += read;
            if let Some(answer) = http1::whole_answer(&buffer[..filled]) {
                break answer;
            }
        };
        let good = run.script.borrow_mut().hear(status, &buffer[body]);
        let mut outcome = run.outcome.borrow_mut();
        let tally = if good { &mut outcome.good } else { &mut outcome.refused };
        tally.count(good, nanos(due.elapsed()));
    }
}
