//! The least that a checker of new tokens can be: bare hyper, the signature checked with a key that aws-lc-rs keeps, and one
//! round trip to Redis, where those of one moment share a write. It trusts what it reads and decides nothing.

use std::convert::Infallible;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::http::{answer, headers_of};
use crate::harness::redis::PASSWORD;
use crate::load::{Address, redis};

enum Key {
    EdDsa(UnparsedPublicKey<Vec<u8>>),
    Hs256(Box<hmac::Key>),
}

/// `ALGORITHM KEY REDIS-PORT HEADER…`, the key in base64url.
pub(super) async fn serve(at: &Address, args: &[String]) {
    let [algorithm, key, port, lines @ ..] = args else { panic!("a cold floor needs a key and a Redis") };
    let key = BASE64_URL_SAFE_NO_PAD.decode(key).expect("base64url");
    let key = Arc::new(match algorithm.as_str() {
        "HS256" => Key::Hs256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &key))),
        _ => Key::EdDsa(UnparsedPublicKey::new(&ED25519, key)),
    });
    let store = Store::open(port.parse().expect("a port")).await;
    let headers = Arc::new(headers_of(lines));
    let Address::Tcp(at) = at else { panic!("this floor listens on TCP") };
    let listener = TcpListener::bind(at).await.expect("a free address");
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).expect("a socket");
        let (key, store, headers) = (Arc::clone(&key), store.clone(), Arc::clone(&headers));
        let service = service_fn(move |request: Request<Incoming>| {
            key.verify(request.headers());
            let (store, headers) = (store.clone(), Arc::clone(&headers));
            async move {
                store.ask().await;
                Ok::<_, Infallible>(answer(&headers))
            }
        });
        tokio::spawn(async move {
            // A client that goes away is how each connection ends here.
            let _ = Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

impl Key {
    fn verify(&self, headers: &HeaderMap) {
        let token = headers[AUTHORIZATION].to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        let (signed, signature) = token.and_then(|token| token.rsplit_once('.')).expect("a token");
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        match self {
            Self::EdDsa(key) => key.verify(signed.as_bytes(), &signature),
            Self::Hs256(key) => hmac::verify(key, signed.as_bytes(), &signature),
        }
        .expect("a good signature");
    }
}

/// One connection; who asks waits for a word that the answers have come.
#[derive(Clone)]
struct Store(mpsc::UnboundedSender<oneshot::Sender<()>>);

impl Store {
    async fn open(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("Redis listens");
        stream.set_nodelay(true).expect("a socket");
        stream.write_all(&redis::command(&["AUTH", PASSWORD])).await.expect("a connection");
        let _ = stream.read(&mut [0; 64]).await;
        let (mut from, mut to) = stream.into_split();
        let (ask, mut asked) = mpsc::unbounded_channel();
        let (wait, mut waiting) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        let question = redis::lookup();
        tokio::spawn(async move {
            let (mut batch, mut bytes) = (Vec::new(), Vec::new());
            while asked.recv_many(&mut batch, 64).await > 0 {
                bytes.clear();
                for who in batch.drain(..) {
                    bytes.extend_from_slice(&question);
                    wait.send(who).expect("the reader lives as long");
                }
                to.write_all(&bytes).await.expect("an open connection");
            }
        });
        tokio::spawn(async move {
            let (mut buffer, mut filled, mut answers) = (vec![0; 64 << 10], 0, 0);
            loop {
                let read = from.read(&mut buffer[filled..]).await.expect("an open connection");
                assert!(read > 0, "Redis is gone");
                filled += read;
                let mut at = 0;
                while let Some(length) = redis::whole_answer(&buffer[at..filled]) {
                    at += length;
                    answers += 1;
                    if answers % redis::ANSWERS == 0 {
                        let _ = waiting.recv().await.expect("someone asked").send(());
                    }
                }
                buffer.copy_within(at..filled, 0);
                filled -= at;
            }
        });
        Self(ask)
    }

    async fn ask(&self) {
        let (told, tell) = oneshot::channel();
        self.0.send(told).expect("the writer lives as long");
        tell.await.expect("an answer");
    }
}
