//! Honest clients of both planes: over kept connections and over new ones, each answer is looked at and timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::doorward::Doorward;
use crate::harness::http::{Connection, Request};

/// No answer may take longer, however loaded the machine is.
const AT_MOST: Duration = Duration::from_secs(8);

pub(crate) struct Honest {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Duration>>>,
}

#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) answers: usize,
    pub(crate) p99: Duration,
}

impl Honest {
    pub(crate) fn start(doorward: &Doorward) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let token = doorward.login("alice").access;
        let check = Request::get("/check/nginx").header("X-Original-Method", "GET").header("X-Original-URI", "/a");
        let asked = [
            (doorward.check, check.clone().bearer(&token), 200),
            (doorward.check, check, 401),
            (doorward.public, Request::get("/authenticate").bearer(&token), 200),
        ];
        let ask = |to, request: Request, expected, kept: bool| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut times = Vec::new();
                let mut connection = Connection::open(to).expect("a connection");
                while !over.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    if !kept {
                        connection = Connection::open(to).expect("a connection");
                    }
                    let reply = connection.exchange(&request).expect("an answer");
                    times.push(asked.elapsed());
                    assert_eq!(reply.status, expected, "{reply:?}");
                    assert!(asked.elapsed() < AT_MOST, "an answer took {:?}", asked.elapsed());
                    // So that they are clients, not another flood.
                    std::thread::sleep(Duration::from_millis(2));
                }
                times
            })
        };
        let clients = asked
            .into_iter()
            .flat_map(|(to, request, status)| [ask(to, request.clone(), status, true), ask(to, request, status, false)])
            .collect();
        Self { over, clients }
    }

    pub(crate) fn after(self, span: Duration) -> Latency {
        std::thread::sleep(span);
        self.stop()
    }

    pub(crate) fn stop(self) -> Latency {
        self.over.store(true, Ordering::Relaxed);
        let all =
            self.clients.into_iter().flat_map(|client| client.join().expect("an honest client met no wrong answer"));
        let mut times: Vec<Duration> = all.collect();
        times.sort_unstable();
        Latency { answers: times.len(), p99: times[times.len() * 99 / 100] }
    }
}
