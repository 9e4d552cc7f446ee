//! A steady load on a proxy over kept connections: so many requests a second, each answer looked at.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::http::{Connection, Reply, Request};

const CLIENTS: u32 = 16;

/// What is asked for in all. A machine that cannot do it does what it can, and the report says how much that was.
const A_SECOND: u32 = 2000;

/// A 503 that took so long was the proxy's time limit for an answer, 0.5 s and more, less what a client's clock may miss of it. One
/// for want of a node to ask comes at once.
const A_STALL: Duration = Duration::from_millis(400);

pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
    begun: Instant,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    answers: AtomicUsize,
    /// Tokens to ask with, newest last.
    tokens: Mutex<Vec<String>>,
    starved: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) answers: usize,
    pub(crate) a_second: f64,
    /// What was not answered in time, a token's look-up or all of it: 503, as a busy machine gives now and then.
    pub(crate) starved: usize,
    /// What was not the expected answer, and when.
    pub(crate) wrong: Vec<String>,
}

impl Load {
    /// Asks by turns for `/a` with one of the tokens, and for `/open/a`, for which no store is asked; 200 is right.
    pub(crate) fn start(to: SocketAddr, tokens: Vec<String>) -> Self {
        let shared = Arc::new(Shared { tokens: Mutex::new(tokens), ..Shared::default() });
        let begun = Instant::now();
        let client = |n: u32| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || ask_on_and_on(&shared, to, n, begun))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), shared, begun }
    }

    /// Another token that must be good from now on.
    pub(crate) fn add(&self, token: String) {
        self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner).push(token);
    }

    pub(crate) fn answers(&self) -> usize {
        self.shared.answers.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(self) -> Report {
        self.shared.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no client panics");
        }
        let answers = self.shared.answers.load(Ordering::Relaxed);
        let wrong = std::mem::take(&mut *self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner));
        let starved = self.shared.starved.load(Ordering::Relaxed);
        Report { answers, starved, a_second: answers as f64 / self.begun.elapsed().as_secs_f64(), wrong }
    }
}

fn ask_on_and_on(shared: &Shared, to: SocketAddr, n: u32, begun: Instant) {
    let pause = Duration::from_secs(1) * CLIENTS / A_SECOND;
    let mut due = begun + pause * n / CLIENTS;
    let mut connection = None;
    let mut turn = n as usize;
    while !shared.over.load(Ordering::Relaxed) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // What was missed is not made up for: the load is steady, and as high as the machine allows.
        due = (due + pause).max(Instant::now());
        let token = turn.is_multiple_of(2).then(|| {
            let tokens = shared.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens[turn / 2 % tokens.len()].clone()
        });
        turn += 1;
        let request = token.as_ref().map_or(Request::get("/open/a"), |token| Request::get("/a").bearer(token));
        let asked = Instant::now();
        let answer = ask(&mut connection, to, &request);
        shared.answers.fetch_add(1, Ordering::Relaxed);
        let wrong = match answer {
            Ok(reply) if reply.status == 200 => continue,
            Ok(reply) if reply.status == 503 && (token.is_some() || asked.elapsed() >= A_STALL) => {
                shared.starved.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Ok(reply) => format!("{reply:?}"),
            Err(error) => error.to_string(),
        };
        connection = None;
        shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{:?}: {wrong}", begun.elapsed()));
    }
}

fn ask(connection: &mut Option<Connection>, to: SocketAddr, request: &Request) -> std::io::Result<Reply> {
    if connection.is_none() {
        *connection = Some(Connection::open(to)?);
    }
    let Some(open) = connection else { return Err(std::io::ErrorKind::NotConnected.into()) };
    let reply = open.exchange(request)?;
    // NGINX ends a connection after a thousand requests, and says so.
    if reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
        *connection = None;
    }
    Ok(reply)
}
