//! Users, each in a thread of its own: login, checks on both nodes, refreshes, a logout, and later a look whether what was
//! logged out stays out. An outage is no wrong answer: 503 and a cut connection say so, and the user tries again.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::BOUND;
use crate::harness::doorward::{Doorward, Pair, question};
use crate::harness::http::{Connection, Reply, Request};

const USERS: usize = 8;
const REFRESHES: usize = 4;
const CHECKS: usize = 10;

/// An honest client asks again within the grace window. Where it could not be answered for so long it starts anew.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct Counts {
    right: AtomicU64,
    unavailable: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Counts {
    fn right(&self) {
        self.right.fetch_add(1, Ordering::Relaxed);
    }

    fn unavailable(&self) {
        self.unavailable.fetch_add(1, Ordering::Relaxed);
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    pub(crate) fn judge(&self) {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let some: Vec<_> = wrong.iter().take(10).collect();
        assert!(wrong.is_empty(), "{} wrong answers, such as {some:#?}", wrong.len());
        assert!(self.right.load(Ordering::Relaxed) > 0, "nothing was answered");
    }
}

impl AsRef<Self> for Counts {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).len();
        let (right, unavailable) = (self.right.load(Ordering::Relaxed), self.unavailable.load(Ordering::Relaxed));
        write!(f, "{right} right, {unavailable} unavailable, {wrong} wrong")
    }
}

pub(crate) struct Users {
    counts: Arc<Counts>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Users {
    pub(crate) fn start(nodes: &[Doorward; 2]) -> Self {
        let (counts, over) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
        let places = nodes.each_ref().map(|node| (node.public, node.check));
        let user = |name: usize| {
            let (counts, over) = (Arc::clone(&counts), Arc::clone(&over));
            let mut user = User { name, counts, over, nodes: places.map(Node::at), turn: name, out: VecDeque::new() };
            std::thread::spawn(move || {
                while !user.over.load(Ordering::Relaxed) {
                    user.lives_a_session();
                }
            })
        };
        Self { threads: (0..USERS).map(user).collect(), counts, over }
    }

    pub(crate) fn stop(self) -> Arc<Counts> {
        self.over.store(true, Ordering::Relaxed);
        for user in self.threads {
            user.join().expect("no user panics");
        }
        self.counts
    }
}

impl AsRef<Counts> for Users {
    fn as_ref(&self) -> &Counts {
        &self.counts
    }
}

/// A node as a client knows it: two addresses, and a kept connection to each.
struct Node {
    public: Place,
    check: Place,
}

struct Place {
    at: SocketAddr,
    kept: Option<Connection>,
}

impl Node {
    fn at((public, check): (SocketAddr, SocketAddr)) -> Self {
        let place = |at| Place { at, kept: None };
        Self { public: place(public), check: place(check) }
    }
}

impl Place {
    /// `None` where the connection was cut: then nobody knows whether it was done.
    fn ask(&mut self, request: &Request) -> Option<Reply> {
        let mut connection = match self.kept.take() {
            Some(kept) => kept,
            None => Connection::open(self.at).ok()?,
        };
        let reply = connection.exchange(request).ok()?;
        if !reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.kept = Some(connection);
        }
        Some(reply)
    }
}

struct User {
    name: usize,
    counts: Arc<Counts>,
    over: Arc<AtomicBool>,
    nodes: [Node; 2],
    turn: usize,
    /// Access tokens of sessions that were logged out, and when that was answered.
    out: VecDeque<(String, Instant)>,
}

impl User {
    fn lives_a_session(&mut self) {
        let login = Request::post("/login", &json!({"user_id": format!("user-{}", self.name)}));
        let Some(reply) = self.insist("login", &login) else { return };
        let mut pair = Pair::of(&reply);
        for _ in 0..REFRESHES {
            for _ in 0..CHECKS {
                self.check(&pair.access, "a live session's token");
            }
            let Some(reply) = self.insist("refresh", &Request::post("/refresh", &json!({"refresh": pair.refresh})))
            else {
                return;
            };
            pair = Pair::of(&reply);
        }
        let logout = Request::new("POST", "/logout").header("Content-Length", "0").bearer(&pair.refresh);
        if self.insist("logout", &logout).is_some() {
            self.out.push_back((pair.access, Instant::now()));
        }
        self.look_after_the_dead();
    }

    /// 200 is right and 503 an outage; anything else is wrong for a client that did nothing wrong.
    fn check(&mut self, token: &str, what: &str) {
        self.turn += 1;
        match self.nodes[self.turn % 2].check.ask(&question(token)) {
            Some(reply) if reply.status == 200 => self.counts.right(),
            Some(reply) if reply.status == 503 => self.counts.unavailable(),
            None => self.counts.unavailable(),
            Some(reply) => self.counts.wrong(format!("{what} got {reply:?}")),
        }
    }

    /// Asks one node after the other until there is an answer; `None` where none came, or the soak is over.
    fn insist(&mut self, what: &str, request: &Request) -> Option<Reply> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.turn += 1;
            match self.nodes[self.turn % 2].public.ask(request) {
                Some(reply) if reply.status == 200 => {
                    self.counts.right();
                    return Some(reply);
                }
                Some(reply) if reply.status == 503 => self.counts.unavailable(),
                None => self.counts.unavailable(),
                // An earlier try may have been written though its answer said that nobody knows.
                Some(reply)
                    if what == "logout" && reply.status == 401 && begun.elapsed() > Duration::from_millis(50) =>
                {
                    return Some(reply);
                }
                Some(reply) => {
                    self.counts.wrong(format!("{what} after {:?} got {reply:?}", begun.elapsed()));
                    return None;
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }

    /// What was logged out long enough ago must be refused by both.
    fn look_after_the_dead(&mut self) {
        while let Some((token, _)) = self.out.pop_front_if(|(_, since)| since.elapsed() > BOUND) {
            for node in &mut self.nodes {
                match node.check.ask(&question(&token)) {
                    Some(reply) if reply.status == 401 => self.counts.right(),
                    Some(reply) if reply.status == 503 => self.counts.unavailable(),
                    None => self.counts.unavailable(),
                    Some(reply) => self.counts.wrong(format!("a logged-out token got {reply:?}")),
                }
            }
        }
    }
}
