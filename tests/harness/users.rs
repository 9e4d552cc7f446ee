//! Users, each in a thread of its own: login, checks on every node, refreshes (some from two tabs at once), and an end, by
//! logout or by a thief's replay; later a look whether what ended stays out. An outage is no wrong answer: 503 and a cut
//! connection say so, and the user tries again, as clients should. Every session leaves a history, which is judged.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::doorward::{Doorward, Pair, question};
use super::history::{Deed, Event, History, Outcome, Tally, Terms};
use super::http::{Connection, Reply, Request};

const REFRESHES: usize = 4;
const CHECKS: usize = 10;

/// How long a client goes on asking. Where it could not be answered for so long it starts anew.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(100);

pub struct Users {
    tally: Arc<Tally>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Users {
    pub fn start<'a>(many: usize, nodes: impl IntoIterator<Item = &'a Doorward>, terms: Terms) -> Self {
        // Names of their own, so that two groups of one test do not share subjects.
        static GROUP: AtomicUsize = AtomicUsize::new(0);
        let group = GROUP.fetch_add(1, Ordering::Relaxed);
        let (tally, over) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let places: Vec<_> = nodes.into_iter().map(|node| (node.public, node.check)).collect();
        let user = |number: usize| {
            let nodes = places.iter().map(|&place| Node::at(place)).collect();
            let (tally, over) = (Arc::clone(&tally), Arc::clone(&over));
            let name = format!("user-{group}-{number}");
            let mut user =
                User { name, tally, over, terms, nodes, turn: number, lives: number, ended: VecDeque::new() };
            std::thread::spawn(move || {
                while !user.over.load(Ordering::Relaxed) {
                    user.lives_a_session();
                }
                user.close_all();
            })
        };
        Self { threads: (0..many).map(user).collect(), tally, over }
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lets them end, and fails the test where a promise was broken.
    pub fn judge(self) -> Arc<Tally> {
        self.over.store(true, Ordering::Relaxed);
        for user in self.threads {
            user.join().expect("no user panics");
        }
        self.tally.judge();
        self.tally
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

    /// The same as an event. What passes as somebody else is none of this user's, however it came about (SEC-F2).
    fn witness(&mut self, node: usize, name: &str, deed: Deed, request: &Request) -> (Event, Option<Reply>) {
        let asked = Instant::now();
        let reply = self.ask(request);
        let outcome = match &reply {
            None => Outcome::Unknown,
            Some(reply) if reply.status == 503 => Outcome::Unknown,
            Some(reply) if reply.status != 200 => Outcome::Refused(format!("{} {}", reply.status, reply.body)),
            Some(reply) if matches!(deed, Deed::Check) && reply.header("x-auth-subject") != Some(name) => {
                Outcome::Refused(format!("passed as another one: {reply:?}"))
            }
            Some(_) if matches!(deed, Deed::Check | Deed::Logout) => Outcome::Passed,
            Some(reply) => Outcome::Given(Pair::of(reply).refresh),
        };
        (Event { node, asked, answered: Instant::now(), deed, outcome }, reply)
    }
}

struct User {
    name: String,
    tally: Arc<Tally>,
    over: Arc<AtomicBool>,
    terms: Terms,
    nodes: Vec<Node>,
    turn: usize,
    lives: usize,
    /// Sessions that ended: when, an access token, and what was asked so far.
    ended: VecDeque<(Instant, String, History)>,
}

impl User {
    fn lives_a_session(&mut self) {
        self.lives += 1;
        let mut history = History::default();
        let login = Request::post("/login", &json!({"user_id": self.name}));
        if let Some(pair) = self.insist(&mut history, &Deed::Login, &login).map(|reply| Pair::of(&reply)) {
            match self.uses(&mut history, pair) {
                Some(access) => self.ended.push_back((Instant::now(), access, history)),
                None => self.tally.close(&history, self.terms),
            }
        }
        self.looks_after_the_dead();
    }

    /// Until the session has ended; then the last access token. `None` where that could not be brought about.
    fn uses(&mut self, history: &mut History, mut pair: Pair) -> Option<String> {
        let oldest = pair.refresh.clone();
        for round in 0..REFRESHES {
            for _ in 0..CHECKS {
                self.check(history, &pair.access);
            }
            let request = refreshing(&pair.refresh);
            if round == 1 {
                self.asks_everywhere_at_once(history, &pair.refresh);
            }
            let reply = self.insist(history, &Deed::Refresh(pair.refresh.clone()), &request)?;
            pair = Pair::of(&reply);
        }
        if self.lives.is_multiple_of(3) {
            self.insist(history, &Deed::Replay(oldest.clone()), &refreshing(&oldest));
        } else {
            let token = if self.lives.is_multiple_of(2) { &pair.access } else { &pair.refresh };
            let logout = Request::new("POST", "/logout").header("Content-Length", "0").bearer(token);
            self.insist(history, &Deed::Logout, &logout)?;
        }
        for _ in 0..self.nodes.len() {
            self.check(history, &pair.access);
        }
        // What comes after the end must not work, from any node.
        let node = self.next_node();
        let after = Deed::Refresh(pair.refresh.clone());
        self.ask(history, node, &after, &refreshing(&pair.refresh));
        Some(pair.access)
    }

    fn next_node(&mut self) -> usize {
        self.turn += 1;
        self.turn % self.nodes.len()
    }

    fn ask(&mut self, history: &mut History, node: usize, deed: &Deed, request: &Request) -> Option<Reply> {
        let places = &mut self.nodes[node];
        let place = if matches!(deed, Deed::Check) { &mut places.check } else { &mut places.public };
        let (event, reply) = place.witness(node, &self.name, deed.clone(), request);
        self.tally.count(&event.outcome);
        history.events.push(event);
        reply.filter(|reply| reply.status != 503)
    }

    fn check(&mut self, history: &mut History, token: &str) {
        let node = self.next_node();
        self.ask(history, node, &Deed::Check, &question(token));
    }

    /// As two tabs do that share one session.
    fn asks_everywhere_at_once(&mut self, history: &mut History, refresh: &str) {
        let request = refreshing(refresh);
        let events: Vec<Event> = std::thread::scope(|scope| {
            let name = &self.name;
            let asking = self.nodes.iter_mut().enumerate().map(|(node, places)| {
                let (request, deed) = (&request, Deed::Refresh(refresh.to_owned()));
                scope.spawn(move || places.public.witness(node, name, deed, request).0)
            });
            asking.collect::<Vec<_>>().into_iter().map(|call| call.join().expect("no panic")).collect()
        });
        events.iter().for_each(|event| self.tally.count(&event.outcome));
        history.events.extend(events);
    }

    /// Asks one node after the other until one knows. `None` where none did, where it was refused what it asked for, or
    /// where the run is over.
    fn insist(&mut self, history: &mut History, deed: &Deed, request: &Request) -> Option<Reply> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let node = self.next_node();
            if let Some(reply) = self.ask(history, node, deed, request) {
                return Some(reply).filter(|reply| reply.status == 200);
            }
            std::thread::sleep(AGAIN);
        }
        None
    }

    /// What ended long enough ago must be refused by every node.
    fn looks_after_the_dead(&mut self) {
        let bound = self.terms.bound;
        while let Some((_, access, mut history)) = self.ended.pop_front_if(|(since, ..)| since.elapsed() > bound) {
            for node in 0..self.nodes.len() {
                self.ask(&mut history, node, &Deed::Check, &question(&access));
            }
            self.tally.close(&history, self.terms);
        }
    }

    fn close_all(&mut self) {
        for (_, _, history) in self.ended.drain(..) {
            self.tally.close(&history, self.terms);
        }
    }
}

fn refreshing(refresh: &str) -> Request {
    Request::post("/refresh", &json!({"refresh": refresh}))
}
