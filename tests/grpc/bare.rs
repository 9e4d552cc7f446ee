//! gRPC calls by hand, byte for byte, over HTTP/2.

#![allow(dead_code, unreachable_pub, reason = "shared by test binaries, each of which uses its part")]

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tonic::Status;

/// What came back: the HTTP status, the head, and what the trailers (or the head) say of the call.
#[derive(Debug)]
pub struct Bare {
    pub http: u16,
    pub head: HeaderMap,
    pub status: Option<Status>,
}

pub fn message(message: &impl Message) -> Vec<u8> {
    framed(&message.encode_to_vec())
}

/// Behind its five bytes: not compressed, and how long it is.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), bytes].concat()
}

/// `POST path` with these headers and this body.
pub fn call(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Bare {
    call_by("POST", to, path, headers, body)
}

/// The same by another method.
pub fn call_by(method: &str, to: SocketAddr, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Bare {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let mut request = http::Request::builder().method(method).uri(format!("http://{to}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let trailers = body.collect().await.unwrap().trailers().cloned();
        let status = trailers.as_ref().and_then(Status::from_header_map);
        let status = status.or_else(|| Status::from_header_map(&head.headers));
        Bare { http: head.status.as_u16(), head: head.headers, status }
    })
}
