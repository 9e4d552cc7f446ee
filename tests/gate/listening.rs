//! The listener: what it grants, whom it ends, and how it ends itself.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use bytes::Bytes;
use doorward::listen::address::{BindError, Listener};
use doorward::listen::drain::Drain;
use doorward::listen::limits::{Limits, PerAddress};
use doorward::listen::peer::Peer;
use doorward::listen::routed::router;
use doorward::listen::serve::{Drained, serve};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

use crate::door::{Client, Door, Setup, networks};

const SOON: Duration = Duration::from_millis(100);
const CHECK: &str = "GET /check/envoy/a";

fn quick() -> Limits {
    Limits { first_byte: SOON, head: SOON, idle: SOON, write: SOON, linger: SOON, ..Limits::check() }
}

fn with(limits: Limits) -> Setup {
    Setup { limits, ..Setup::default() }
}

// SEC-D2
#[tokio::test]
async fn clients_that_are_silent_slow_or_idle_are_ended() {
    let long = Duration::from_secs(3600);
    let door = Door::with(with(Limits { first_byte: SOON, ..Limits::check() })).await;
    door.connect().await.closed().await;

    let door = Door::with(with(Limits { head: SOON, ..Limits::check() })).await;
    for opening in ["GET /check/envoy/a HTTP/1.1\r\nHost: x", "P"] {
        let mut slow = door.connect().await;
        slow.send(opening).await;
        slow.closed().await;
    }
    let door = Door::with(with(Limits { idle: SOON, first_byte: long, head: SOON, ..Limits::check() })).await;
    let mut idle = door.connect().await;
    assert_eq!(idle.ask(CHECK, &["Host: x"]).await.status, 401);
    idle.closed().await;
}

// SEC-D2: NGINX keeps idle connections for 60 s
#[tokio::test]
async fn an_idle_connection_outlives_the_time_a_head_may_take() {
    let door = Door::with(with(Limits { idle: Duration::from_secs(3600), ..quick() })).await;
    let mut kept = door.connect().await;
    assert_eq!(kept.ask(CHECK, &["Host: x"]).await.status, 401);
    // Another one, opened after it, is ended for being silent: by then the first was idle for longer than that.
    door.connect().await.closed().await;
    assert_eq!(kept.ask(CHECK, &["Host: x"]).await.status, 401);
}

// SEC-D1
#[tokio::test]
async fn a_head_that_is_too_long_or_has_too_many_fields_is_refused() {
    let public = Door::with(with(Limits::public(networks(&["127.0.0.0/8"])))).await;
    let fits = format!("X: {}", "a".repeat(15 << 10));
    assert_eq!(public.ask(CHECK, &["Host: x", &fits]).await.status, 401);
    let long = format!("X: {}", "a".repeat(17 << 10));
    assert_eq!(public.ask(CHECK, &["Host: x", &long]).await.status, 431);
    assert_eq!(public.ask(CHECK, &[&["Host: x"][..], &["X: y"; 100]].concat()).await.status, 431);
    assert_eq!(public.ask(CHECK, &["Host: x", "no field"]).await.status, 400);
    assert_eq!(h2c(&public, |request| many(request, 100)).await.0, 401);
    assert_eq!(h2c(&public, |request| many(request, 101)).await.0, 431);
}

// SEC-P12, SEC-D1: NGINX makes a 500 of a 431 or 400
#[tokio::test]
async fn a_check_whose_head_is_too_large_or_malformed_is_denied() {
    let door = Door::open().await;
    let fits = format!("X: {}", "a".repeat(60 << 10));
    assert_eq!(door.ask(CHECK, &["Host: x", &fits]).await.status, 401);
    let long = format!("X: {}", "a".repeat(80 << 10));
    assert_eq!(door.ask(CHECK, &["Host: x", &long]).await.status, 403);
    assert_eq!(door.ask(CHECK, &[&["Host: x"][..], &["X: y"; 100]].concat()).await.status, 403);
    for malformed in ["no field", "A B: c", "X: \0", "Content-Length: x", "Transfer-Encoding: gzip"] {
        let answer = door.ask(CHECK, &["Host: x", malformed]).await;
        assert_eq!((answer.status, answer.body.as_str()), (403, ""), "{malformed:?}");
    }
    for line in ["G(T /check/nginx", "GET /check/nginx\u{7f}", "GET nowhere", &format!("GET /{}", "a".repeat(80 << 10))]
    {
        assert_eq!(door.ask(line, &["Host: x"]).await.status, 403, "{:.20}", line);
    }
    // After an answer on the same connection as before it.
    let mut kept = door.connect().await;
    assert_eq!(kept.ask(CHECK, &["Host: x"]).await.status, 401);
    assert_eq!(kept.ask(CHECK, &["no field"]).await.status, 403);
    kept.closed().await;

    assert_eq!(h2c(&door, |request| many(request, 100)).await.0, 401);
    assert_eq!(h2c(&door, |request| many(request, 101)).await.0, 403);
    assert_eq!(h2c(&door, |request| request.header("x", "a".repeat(60 << 10))).await.0, 401);
    assert_eq!(h2c(&door, |request| request.header("x", "a".repeat(66 << 10))).await.0, 403);
    assert!(door.book.last().unwrap().starts_with("GET"), "what was within the limits was asked");
}

fn many(request: http::request::Builder, fields: usize) -> http::request::Builder {
    (0..fields).fold(request, |request, _| request.header("x", "y"))
}

async fn h2c(door: &Door, make: impl FnOnce(http::request::Builder) -> http::request::Builder) -> (u16, Bytes) {
    let mut sender = http2(door.address()).await;
    let request = make(http::Request::get("http://app.example/check/envoy/a")).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn http_1_and_http_2_share_the_port() {
    let door = Door::open().await;
    let (status, body) = h2c(&door, |request| request.header("authorization", "Bearer good")).await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(door.book.last().unwrap(), "GET app.example /a - 127.0.0.1 -", "the host is HTTP/2's authority");
    assert_eq!(door.ask(CHECK, &["Host: x", "Authorization: Bearer good"]).await.status, 200);
    let mut old = door.connect().await;
    old.send("GET /check/envoy/a HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer good\r\n\r\n").await;
    assert_eq!(old.answer(false).await.status, 200);
    old.closed().await;
}

/// An HTTP/2 connection. Its end resets it.
async fn http2(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_zero_linger().unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn bearing(sender: &mut SendRequest<Empty<Bytes>>, token: &str) -> hyper::Result<u16> {
    let request = http::Request::get("http://x/check/envoy/a").header("authorization", format!("Bearer {token}"));
    sender.send_request(request.body(Empty::new()).unwrap()).await.map(|response| response.status().as_u16())
}

// SEC-D6: what it holds others may be waiting for
#[tokio::test]
async fn a_connection_that_is_lost_takes_its_unanswered_streams_with_it() {
    let door = Door::open().await;
    let (client, address) = (Runtime::new().unwrap(), door.address());
    client.spawn(async move { bearing(&mut http2(address).await, "slow").await });
    door.book.waiting.notified().await;
    client.shutdown_background();
    let gone = tokio::time::timeout(Duration::from_secs(10), door.book.given_up.notified()).await;
    assert!(gone.is_ok(), "the stream outlives its connection");
}

#[tokio::test]
async fn a_fault_of_ours_in_one_stream_is_none_of_the_others_of_its_connection() {
    let door = Door::open().await;
    let sender = http2(door.address()).await;
    let (mut slow, mut fatal, mut good) = (sender.clone(), sender.clone(), sender);
    let slow = tokio::spawn(async move { bearing(&mut slow, "slow").await });
    door.book.waiting.notified().await;
    bearing(&mut fatal, "fatal").await.expect_err("there is no answer");
    assert_eq!(bearing(&mut good, "good").await.unwrap(), 200);
    door.book.release.notify_one();
    assert_eq!(slow.await.unwrap().unwrap(), 200);
}

#[tokio::test]
async fn a_unix_socket_serves_its_group_is_trusted_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("check.sock");
    let listen = format!("unix:{}", path.display());
    let door = Door::with(Setup { listen: listen.clone(), trusted: &[], ..Setup::default() }).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let mut client = Client::new(UnixStream::connect(&path).await.unwrap());
    let headers = ["Host: x", "X-Original-Method: GET", "X-Original-URI: /a", "Authorization: Bearer good"];
    assert_eq!(client.ask("GET /check/nginx", &headers).await.status, 200);
    assert!(matches!(Listener::bind(&listen).await, Err(BindError::Taken(_))));

    door.drain.close();
    client.closed().await;
    assert_eq!(door.served.await.unwrap(), Drained { cut: 0 });
    assert!(!path.exists());

    // What a killed process leaves behind is replaced, but only a socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    Listener::bind(&listen).await.expect("nobody answers there");
    std::fs::write(folder.path().join("file"), "kept").unwrap();
    let file = format!("unix:{}", folder.path().join("file").display());
    assert!(matches!(Listener::bind(&file).await, Err(BindError::NotASocket(_))));
}

// SEC-D2
#[tokio::test]
async fn an_address_may_not_hold_every_connection() {
    let exempt = |texts: &[&str]| Some(PerAddress { most: 2, exempt: networks(texts) });
    let door = Door::with(with(Limits { per_address: exempt(&[]), ..Limits::check() })).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = door.connect().await;
        assert_eq!(client.ask(CHECK, &["Host: x"]).await.status, 401);
        held.push(client);
    }
    door.connect().await.closed().await;

    let door = Door::with(with(Limits { per_address: exempt(&["127.0.0.0/8"]), ..Limits::check() })).await;
    for _ in 0..5 {
        let mut client = door.connect().await;
        assert_eq!(client.ask(CHECK, &["Host: x"]).await.status, 401, "a proxy is one address");
        held.push(client);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let door = Door::with(with(Limits { connections: 1, ..Limits::check() })).await;
    let mut first = door.connect().await;
    assert_eq!(first.ask(CHECK, &["Host: x"]).await.status, 401);
    let mut second = door.connect().await;
    second.send(format!("{CHECK} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert_eq!(first.ask(CHECK, &["Host: x"]).await.status, 401);
    assert_eq!(door.book.questions(), 2, "the second was not let in yet");
    drop(first);
    assert_eq!(second.answer(false).await.status, 401);
}

// SEC-D3
#[tokio::test]
async fn a_flood_of_frames_ends_its_connection_and_no_other() {
    let door = Door::open().await;
    let mut other = door.connect().await;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let opening = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    // GET http://x/ in HPACK's static table.
    let head = [0x82, 0x84, 0x86, 0x41, 1, b'x'];
    let resets: Vec<u8> = (0..4000u32)
        .flat_map(|n| [frame(1, 5, 2 * n + 1, &head), frame(3, 0, 2 * n + 1, &8u32.to_be_bytes())].concat())
        .collect();
    // `a: bbb…`, 15 994 bytes of it, as a literal.
    let field = [&[0x40, 1, b'a', 0x7f, 0xfb, 0x7b][..], &[b'b'; 15_994]].concat();
    let continuations: Vec<u8> =
        std::iter::once(frame(1, 0, 1, &head)).chain((0..64).map(|_| frame(9, 0, 1, &field))).flatten().collect();
    let pings = frame(6, 0, 0, &[0; 8]).repeat(200_000);
    let settings = frame(4, 0, 0, &[]).repeat(400_000);
    let calm = "a GOAWAY that says ENHANCE_YOUR_CALM";
    for (flood, goaway) in [(resets, Some(calm)), (continuations, Some(calm)), (pings, None), (settings, None)] {
        let mut client = door.connect().await;
        client.send(&opening).await;
        let (mut from, mut to) = client.stream.split();
        let mut came = Vec::new();
        // The other side may close while we still send.
        let both = async { tokio::join!(to.write_all(&flood), from.read_to_end(&mut came)) };
        let _ = tokio::time::timeout(Duration::from_secs(20), both).await.expect("an end of the connection");
        if let Some(expected) = goaway {
            assert!(
                came.windows(8).any(|at| at[0] == 7 && at[1] == 0) && came.windows(4).any(|at| at == [0, 0, 0, 11]),
                "{expected}"
            );
        }
        assert_eq!(other.ask(CHECK, &["Host: x"]).await.status, 401);
    }
}

// SEC-N2
#[tokio::test]
async fn leaving_asks_clients_to_move_on_but_turns_nobody_away() {
    let door = Door::open().await;
    let mut kept = door.connect().await;
    assert_eq!(kept.ask(CHECK, &["Host: x"]).await.header("connection"), None);
    door.drain.leave();
    let answer = kept.ask(CHECK, &["Host: x"]).await;
    assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
    kept.closed().await;
    assert_eq!(door.ask(CHECK, &["Host: x"]).await.status, 401, "still open");
    assert!(!door.served.is_finished());
}

// SEC-N2: over the network, a first request is on its way longer than its connection is.
#[tokio::test]
async fn a_client_let_in_just_before_closing_may_still_ask_once() {
    let door = Door::open().await;
    let (new, mut begun, silent) = (door.connect().await, door.connect().await, door.connect().await);
    begun.send("P").await;
    // Let in after them, so they are in by then.
    assert_eq!(door.ask(CHECK, &["Host: x"]).await.status, 401);
    door.drain.close();
    for (mut client, rest) in [(new, CHECK), (begun, "OST /check/envoy/a")] {
        client.send(format!("{rest} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(client.answer(false).await.status, 401);
        client.closed().await;
    }
    silent.closed().await;
    assert_eq!(door.served.await.unwrap(), Drained { cut: 0 });
}

// SEC-N2
#[tokio::test]
async fn closing_finishes_what_is_in_flight() {
    let door = Door::open().await;
    let (mut idle, mut busy) = (door.connect().await, door.connect().await);
    assert_eq!(idle.ask(CHECK, &["Host: x"]).await.status, 401);
    busy.send(format!("{CHECK} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer slow\r\n\r\n")).await;
    let second = {
        let io = TokioIo::new(TcpStream::connect(door.address()).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let ended = tokio::spawn(connection);
        let request = http::Request::get("http://x/check/envoy/a").header("authorization", "Bearer slow");
        let answer = tokio::spawn(sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()));
        (answer, ended, sender)
    };
    // Both slow checks have begun.
    for _ in 0..2 {
        door.book.waiting.notified().await;
    }
    door.drain.close();
    idle.closed().await;
    assert!(!door.served.is_finished());
    door.book.release.notify_waiters();
    let answer = busy.answer(false).await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    busy.closed().await;
    assert_eq!(second.0.await.unwrap().unwrap().status(), 200);
    second.1.await.unwrap().expect("ended by GOAWAY");
    assert_eq!(door.served.await.unwrap(), Drained { cut: 0 });
    assert!(TcpStream::connect(&door.at).await.is_err(), "nobody listens any more");
}

// SEC-N2
#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let door = Door::with(Setup { finish: SOON, ..Setup::default() }).await;
    let mut stuck = door.connect().await;
    stuck.send(format!("{CHECK} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer slow\r\n\r\n")).await;
    door.book.waiting.notified().await;
    door.drain.begin(Duration::ZERO).await;
    stuck.closed().await;
    assert_eq!(door.served.await.unwrap(), Drained { cut: 1 });
}

// SEC-D2: whoever doesn't fit the queue tries again a second later, or is refused at once on a Unix socket.
#[tokio::test]
async fn a_crowd_that_comes_at_once_finds_room_in_the_queue() {
    let queued: usize = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let crowd = queued.min(1000);
    // A machine that is busy with other things may be late once, or twice.
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("check.sock");
        let tcp = Listener::bind("127.0.0.1:0").await.unwrap();
        let _unix = Listener::bind(&format!("unix:{}", path.display())).await.unwrap();
        let at = tcp.tcp_addr().unwrap();
        let together = async {
            let (mut tcp, mut unix) = (Vec::new(), Vec::new());
            for _ in 0..crowd {
                tcp.push(TcpStream::connect(at).await.unwrap());
                unix.push(UnixStream::connect(&path).await.unwrap());
            }
        };
        if tokio::time::timeout(Duration::from_millis(900), together).await.is_ok() {
            return;
        }
    }
    panic!("somebody is told to try again");
}

#[tokio::test]
async fn a_router_behind_the_same_listener_knows_its_peer() {
    let listener = Listener::bind("localhost:0").await.unwrap();
    let at = listener.tcp_addr().unwrap();
    let app = Router::new().route("/", get(async |Extension(peer): Extension<Peer>| peer.ip().unwrap().to_string()));
    let drain = Drain::new(SOON);
    let served = tokio::spawn(serve(listener, Limits::ops(), router(app), drain.clone()));
    let mut client = Client::new(TcpStream::connect(at).await.unwrap());
    assert_eq!(client.ask("GET /", &["Host: x"]).await.body, at.ip().to_string());
    drain.close();
    served.await.unwrap();
}
