//! HTTP/1 or HTTP/2 on one port: told apart by a connection's first bytes (RFC 9113 section 3.4), then spoken by hyper.
//!
//! hyper-util's `auto` tells them apart too, but hands those few bytes to hyper alone: with them in its buffer, hyper takes one of
//! twice the size for the rest, and each connection held 6 KiB more than one of bare hyper. Here they come with what
//! follows them (`socket`).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::listen::limits::Limits;
use crate::listen::pulse::Protocol;
use crate::listen::socket::Watched;
use crate::listen::streams::{Giver, Streams, Went};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How a listener speaks either.
#[derive(Debug)]
pub(super) struct Protocols {
    http1: http1::Builder,
    head_bytes: u32,
    streams: u32,
    window: u32,
}

/// One connection under way. In a box, since each future around it would hold it twice.
pub(super) enum Talk<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    Http1(Pin<Box<http1::Connection<TokioIo<Watched>, S>>>),
    Http2(Pin<Box<http2::Connection<TokioIo<Watched>, S, Giver>>>, Streams),
}

impl Protocols {
    /// As the listener's limits are.
    pub(super) fn within(limits: &Limits) -> Self {
        // What is over this h2 itself answers, with 431: where we deny, what is over the limit must first come to us.
        let most = if limits.denies { 2 * limits.head_bytes } else { limits.head_bytes };
        let mut http1 = http1::Builder::new();
        http1
            // The pulse judges time: hyper's header time-out would also end idle connections.
            .header_read_timeout(None)
            // A head that does not fit the buffer is too large; hyper allows no smaller buffer.
            .max_buf_size(limits.head_bytes.max(8192));
        let head_bytes = u32::try_from(most).unwrap_or(u32::MAX);
        Self { http1, head_bytes, streams: limits.streams, window: limits.window }
    }

    /// For one connection, which runs its own streams.
    fn http2(&self, streams: Giver) -> http2::Builder<Giver> {
        let mut http2 = http2::Builder::new(streams);
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_header_list_size(self.head_bytes)
            .max_concurrent_streams(self.streams)
            .max_send_buf_size(64 << 10)
            .initial_stream_window_size(self.window)
            .initial_connection_window_size(4 * self.window)
            // Streams opened and reset at once (CVE-2023-44487): a proxy that gives up on all its checks stays below.
            .max_pending_accept_reset_streams(self.streams as usize / 4)
            .max_local_error_reset_streams(64);
        http2
    }

    pub(super) fn talk<S, B>(&self, protocol: Protocol, socket: Watched, service: S) -> Talk<S, B>
    where
        S: Service<Request<Incoming>, Response = Response<B>>,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let io = TokioIo::new(socket);
        match protocol {
            Protocol::Http1 => Talk::Http1(Box::pin(self.http1.serve_connection(io, service))),
            Protocol::Http2 => {
                let streams = Streams::new();
                Talk::Http2(Box::pin(self.http2(streams.giver()).serve_connection(io, service)), streams)
            }
        }
    }
}

impl<S, B> Talk<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        match self {
            Self::Http1(connection) => connection.as_mut().poll(cx),
            Self::Http2(connection, streams) => {
                streams.begin_turn();
                loop {
                    let spoken = connection.as_mut().poll(cx);
                    if spoken.is_ready() || streams.poll(cx) != Went::On {
                        return spoken;
                    }
                }
            }
        }
    }

    /// What is in flight is answered, the client is told.
    pub(super) fn finish(&mut self) {
        match self {
            Self::Http1(connection) => connection.as_mut().graceful_shutdown(),
            Self::Http2(connection, _) => connection.as_mut().graceful_shutdown(),
        }
    }
}
