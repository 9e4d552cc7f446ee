//! Bare hyper: HTTP/1, 200 to everything, with the header lines it was given.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Empty;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::load::Address;

pub(super) async fn serve(at: &Address, lines: &[String]) {
    let headers = Arc::new(headers_of(lines));
    match at {
        Address::Tcp(at) => {
            let listener = TcpListener::bind(at).await.expect("a free address");
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).expect("a socket");
                tokio::spawn(serve_one(socket, Arc::clone(&headers)));
            }
        }
        Address::Unix(path) => {
            let listener = UnixListener::bind(path).expect("a free path");
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve_one(socket, Arc::clone(&headers)));
            }
        }
    }
}

async fn serve_one<S: AsyncRead + AsyncWrite + Unpin>(socket: S, headers: Arc<HeaderMap>) {
    let service = service_fn(move |_| {
        let response = answer(&headers);
        async { Ok::<_, Infallible>(response) }
    });
    // A client that goes away is how each connection ends here.
    let _ = Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

pub(super) fn headers_of(lines: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header line");
        let name = HeaderName::try_from(name).expect("a header name");
        headers.append(name, HeaderValue::from_str(value).expect("a header value"));
    }
    headers
}

pub(super) fn answer(headers: &HeaderMap) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    // As a server that has headers to say does it: one by one into the response's own map.
    for (name, value) in headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}
