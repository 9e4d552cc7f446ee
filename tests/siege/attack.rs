//! The attackers: each opens connections from an address of its own and does what no client should, until it is cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::STRANGER;

/// By then everyone has to be cut: twice the longest of the times that a listener grants to who says nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is closed within this was not let in.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What became of an attack's connections.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) opened: usize,
    /// Ended by the server.
    pub(crate) cut: usize,
    pub(crate) at_once: usize,
    pub(crate) longest: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Flood {
    RapidReset,
    Continuation,
    Ping,
    Settings,
    EmptyData,
}

impl Flood {
    pub(crate) const ALL: [Self; 5] =
        [Self::RapidReset, Self::Continuation, Self::Ping, Self::Settings, Self::EmptyData];

    /// The frames from this round on; rounds follow one another until the connection ends.
    fn frames(self, round: u32) -> Vec<u8> {
        // GET http://x/ in HPACK's static table.
        const HEAD: [u8; 6] = [0x82, 0x84, 0x86, 0x41, 1, b'x'];
        const POST: [u8; 6] = [0x83, 0x84, 0x86, 0x41, 1, b'x'];
        let (first, cancel) = (2 * 100 * round + 1, 8u32.to_be_bytes());
        match self {
            Self::RapidReset => (0..100)
                .map(|n| first + 2 * n)
                .flat_map(|stream| [frame(1, 5, stream, &HEAD), frame(3, 0, stream, &cancel)].concat())
                .collect(),
            // `a: b`, a literal that is not indexed, in frames that never say END_HEADERS.
            Self::Continuation if round == 0 => frame(1, 1, 1, &HEAD),
            Self::Continuation => frame(9, 0, 1, &[0x00, 1, b'a', 1, b'b'].repeat(3000)),
            Self::Ping => frame(6, 0, 0, &[0; 8]).repeat(500),
            Self::Settings => frame(4, 0, 0, &[]).repeat(500),
            Self::EmptyData if round == 0 => frame(1, 4, 1, &POST),
            Self::EmptyData => frame(0, 0, 1, &[]).repeat(500),
        }
    }
}

/// An HTTP/2 frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// How many sockets this process may open, less some for itself. The server inherits the limit.
pub(crate) fn sockets_to_have() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    let soft = line.split_whitespace().nth(3).and_then(|text| text.parse::<usize>().ok());
    soft.unwrap_or(usize::MAX).saturating_sub(300)
}

/// Connections that never say anything.
pub(crate) fn silence(to: SocketAddr, connections: usize) -> Outcome {
    besiege(connections, move |_| async move {
        let mut stream = connect(to).await;
        ended(&mut stream).await
    })
}

/// A head that comes a byte at a time, and never ends.
pub(crate) fn slow_heads(to: SocketAddr, connections: usize) -> Outcome {
    besiege(connections, move |_| async move {
        let mut stream = connect(to).await;
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'a'));
        for byte in head.take(300) {
            if stream.write_all(&[*byte]).await.is_err() {
                return true;
            }
            if let Ok(end) = tokio::time::timeout(Duration::from_millis(200), ended(&mut stream)).await {
                return end;
            }
        }
        false
    })
}

/// Heads larger than any limit, all at once.
pub(crate) fn large_heads(to: SocketAddr, connections: usize) -> Outcome {
    besiege(connections, move |n| async move {
        // In their turn: on the session plane only so many of one address are let in.
        tokio::time::sleep(Duration::from_millis(n as u64)).await;
        let mut stream = connect(to).await;
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Large: {}", "a".repeat(1 << 20));
        let _ = stream.write_all(head.as_bytes()).await;
        ended(&mut stream).await
    })
}

/// So many attackers, each of which comes again when it is cut, for that long.
pub(crate) fn flood(to: SocketAddr, flood: Flood, attackers: usize, span: Duration) -> Outcome {
    let until = Instant::now() + span;
    let mut all = Outcome::default();
    while Instant::now() < until {
        let outcome = besiege(attackers, move |_| async move {
            let (mut read, mut write) = connect(to).await.into_split();
            // Answers are taken, so that the server never waits for us.
            let reading = tokio::spawn(async move {
                let mut some = vec![0; 1 << 16];
                while let Ok(1..) = read.read(&mut some).await {}
            });
            let opening = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
            let mut sent = write.write_all(&opening).await;
            let mut round = 0;
            while sent.is_ok() && !reading.is_finished() {
                sent = write.write_all(&flood.frames(round)).await;
                round += 1;
            }
            reading.await.is_ok()
        });
        all.opened += outcome.opened;
        all.cut += outcome.cut;
        all.longest = all.longest.max(outcome.longest);
    }
    all
}

/// Runs so many attackers at once; each tells whether the server ended it.
fn besiege<F: Future<Output = bool> + Send + 'static>(attackers: usize, attacker: impl Fn(usize) -> F) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for n in 0..attackers {
            let attack = attacker(n);
            all.spawn(async move {
                let begun = Instant::now();
                let cut = tokio::time::timeout(PATIENCE, attack).await.unwrap_or(false);
                (cut, begun.elapsed())
            });
            // The kernel's queue of new connections is short.
            if n % 50 == 49 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let mut outcome = Outcome { opened: attackers, ..Outcome::default() };
        while let Some(ended) = all.join_next().await {
            let (cut, after) = ended.expect("no attacker panics");
            outcome.cut += usize::from(cut);
            outcome.at_once += usize::from(cut && after < AT_ONCE);
            outcome.longest = outcome.longest.max(after);
        }
        outcome
    })
}

async fn connect(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((Ipv4Addr::from(STRANGER), 0))).expect("a loopback address");
    socket.connect(to).await.expect("a connection")
}

/// Reads until the server ends it.
async fn ended(stream: &mut TcpStream) -> bool {
    let mut some = [0; 4096];
    while let Ok(1..) = stream.read(&mut some).await {}
    true
}
