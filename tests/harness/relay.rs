//! A TCP relay before a server, whose every direction can be held, delayed or reset: what a network does to a node, to one of
//! its connections, or to single answers.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const LOOK_AGAIN: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    #[default]
    Open,
    /// They wait, as behind a network that was cut without a word; connections stay open.
    Held,
    Late(Duration),
    /// Each so-manieth piece is lost, and its connection reset.
    ResetEvery(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Everyone,
    /// Connections that have asked for the revocation log.
    LogReaders,
}

struct Rules {
    who: Who,
    flows: [Flow; 2],
    refuses: bool,
    pieces: u64,
    open: Vec<TcpStream>,
}

pub struct Relay {
    pub address: SocketAddr,
    rules: Arc<Mutex<Rules>>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let flows = [Flow::Open; 2];
        let rules = Rules { who: Who::Everyone, flows, refuses: false, pieces: 0, open: Vec::new() };
        let rules = Arc::new(Mutex::new(rules));
        let shared = Arc::clone(&rules);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if locked(&shared).refuses {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(server) {
                    relay(&shared, &client, &server);
                }
            }
        });
        Self { address, rules }
    }

    /// From now on, for connections that are open too.
    pub fn set(&self, who: Who, way: Way, flow: Flow) {
        let mut rules = locked(&self.rules);
        rules.who = who;
        rules.flows[way as usize] = flow;
    }

    /// Nothing passes either way, and nobody is told.
    pub fn hold(&self, who: Who) {
        self.set(who, Way::ToServer, Flow::Held);
        self.set(who, Way::ToClient, Flow::Held);
    }

    /// Ends all connections and lets none in.
    pub fn cut(&self) {
        let mut rules = locked(&self.rules);
        rules.refuses = true;
        for stream in rules.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// All is as it was. What was held goes on its way.
    pub fn mend(&self) {
        let mut rules = locked(&self.rules);
        rules.flows = [Flow::Open; 2];
        rules.refuses = false;
    }
}

fn locked(rules: &Mutex<Rules>) -> MutexGuard<'_, Rules> {
    rules.lock().unwrap_or_else(PoisonError::into_inner)
}

fn relay(rules: &Arc<Mutex<Rules>>, client: &TcpStream, server: &TcpStream) {
    let reads_log = Arc::new(AtomicBool::new(false));
    for stream in [client, server] {
        let _ = stream.set_nodelay(true);
        locked(rules).open.extend(stream.try_clone());
    }
    for (way, from, to) in [(Way::ToServer, client, server), (Way::ToClient, server, client)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let (pieces, arrived) = mpsc::channel();
        let (reading, writing) = (Arc::clone(rules), Arc::clone(rules));
        let (marks, marked) = (Arc::clone(&reads_log), Arc::clone(&reads_log));
        thread::spawn(move || read(&reading, &marks, way, from, &pieces));
        thread::spawn(move || write(&writing, &marked, way, to, &arrived));
    }
}

fn flow(rules: &Mutex<Rules>, reads_log: &AtomicBool, way: Way) -> Flow {
    let rules = locked(rules);
    let concerned = rules.who == Who::Everyone || reads_log.load(Ordering::Relaxed);
    if concerned { rules.flows[way as usize] } else { Flow::Open }
}

/// Takes what comes, with the moment at which it is due on the other side.
fn read(
    rules: &Mutex<Rules>,
    reads_log: &AtomicBool,
    way: Way,
    mut from: TcpStream,
    pieces: &mpsc::Sender<(Instant, Vec<u8>)>,
) {
    let mut some = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut some) {
        let piece = some[..read].to_vec();
        if way == Way::ToServer && [&b"XREAD"[..], b"XREVRANGE"].iter().any(|word| holds(&piece, word)) {
            reads_log.store(true, Ordering::Relaxed);
        }
        let late = match flow(rules, reads_log, way) {
            Flow::Late(late) => late,
            _ => Duration::ZERO,
        };
        if pieces.send((Instant::now() + late, piece)).is_err() {
            break;
        }
    }
}

fn write(
    rules: &Mutex<Rules>,
    reads_log: &AtomicBool,
    way: Way,
    mut to: TcpStream,
    arrived: &mpsc::Receiver<(Instant, Vec<u8>)>,
) {
    while let Ok((due, piece)) = arrived.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        while flow(rules, reads_log, way) == Flow::Held {
            thread::sleep(LOOK_AGAIN);
        }
        if let Flow::ResetEvery(many) = flow(rules, reads_log, way) {
            let mut rules = locked(rules);
            rules.pieces += 1;
            if rules.pieces.is_multiple_of(many) {
                break;
            }
        }
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|part| part == word)
}
