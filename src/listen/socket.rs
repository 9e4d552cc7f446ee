//! A TCP or Unix stream as one type that tells its [`Pulse`] what it sees, and closes without cutting off its last answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::listen::limits::Limits;
use crate::listen::pulse::{H2_OPENING, Protocol, Pulse};

/// How hyper's own answers to a head it cannot take begin, and how a denial does. The reason phrase behind says nothing
/// to anyone (RFC 9112 section 4).
const REFUSED: [&[u8]; 3] = [b"HTTP/1.1 400", b"HTTP/1.1 414", b"HTTP/1.1 431"];
const DENIED: &[u8] = b"HTTP/1.1 403";

/// How much a client may still send after we closed our side.
const LINGER_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket on its way to the runtime that will serve it: at home on the one that accepted it, or on none.
#[derive(Debug)]
pub(super) enum Moving {
    Here(Socket),
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    pub(super) fn stay(self) -> Moving {
        Moving::Here(self)
    }

    /// Takes leave of this runtime.
    pub(super) fn leave(self) -> io::Result<Moving> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(Moving::Tcp),
            Self::Unix(stream) => stream.into_std().map(Moving::Unix),
        }
    }
}

impl Moving {
    /// To be called on the runtime that is to serve it.
    pub(super) fn arrive(self) -> io::Result<Socket> {
        match self {
            Self::Here(socket) => Ok(socket),
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Socket::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream).map(Socket::Unix),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct First {
    bytes: [u8; H2_OPENING.len()],
    length: usize,
}

/// A socket whose connection is watched.
#[derive(Debug)]
pub(super) struct Watched {
    socket: Socket,
    pulse: Arc<Pulse>,
    /// The most a client may send between two requests.
    unasked: u64,
    /// [`Limits::denies`]. No service behind such a listener has an answer of [`REFUSED`].
    denies: bool,
    /// What was read to see which protocol is spoken, as long as nobody has taken it.
    first: First,
    /// Bytes thrown away since our side was closed; `None` while it is open.
    discarded: Option<usize>,
}

impl Watched {
    pub(super) fn new(socket: Socket, pulse: Arc<Pulse>, limits: &Limits) -> Self {
        Self {
            socket,
            pulse,
            unasked: limits.unasked(),
            denies: limits.denies,
            first: First::default(),
            discarded: None,
        }
    }

    /// hyper refuses without asking anyone; only here can its answer still become a denial (SEC-P12). The same number of
    /// bytes, so the rest of the answer follows as it is.
    fn worded<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.denies && REFUSED.iter().any(|refused| bytes.starts_with(refused)) { DENIED } else { bytes }
    }
}

macro_rules! on_socket {
    ($self:expr, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().socket {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

impl Watched {
    /// Reads until it is plain which protocol the client speaks. A client that leaves before spoke HTTP/1.
    pub(super) fn poll_protocol(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Protocol>> {
        loop {
            if let Some(protocol) = self.pulse.protocol() {
                return Poll::Ready(Ok(protocol));
            }
            let First { mut bytes, length } = self.first;
            let mut buf = ReadBuf::new(&mut bytes[length..]);
            ready!(self.poll_socket(cx, &mut buf))?;
            let read = buf.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(Protocol::Http1));
            }
            self.first = First { bytes, length: length + read };
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(on_socket!(Pin::new(&mut *self), stream => Pin::new(stream).poll_read(cx, buf)))?;
        if self.pulse.read(&buf.filled()[before..]) > self.unasked {
            return Poll::Ready(Err(io::Error::other("far too much came that asks for nothing")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.length == 0 {
            return self.poll_socket(cx, buf);
        }
        // With whatever else has come by now: alone, they would make hyper take a larger buffer for the rest.
        let First { bytes, length } = self.first;
        let fits = length.min(buf.remaining());
        buf.put_slice(&bytes[..fits]);
        self.first.bytes.copy_within(fits..length, 0);
        self.first.length -= fits;
        if buf.remaining() > 0
            && let Poll::Ready(Err(error)) = self.poll_socket(cx, buf)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = self.worded(bytes);
        let written = on_socket!(self.as_mut(), stream => Pin::new(stream).poll_write(cx, bytes));
        self.pulse.wrote(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let denied = [io::IoSlice::new(DENIED)];
        let refused = parts.first().is_some_and(|first| self.worded(first) == DENIED);
        let parts = if refused { &denied } else { parts };
        let written = on_socket!(self.as_mut(), stream => Pin::new(stream).poll_write_vectored(cx, parts));
        self.pulse.wrote(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Tcp(stream) => stream.is_write_vectored(),
            Socket::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    /// Closes our side, then reads on for a little: closing a socket with unread bytes resets it, and the reset would
    /// overtake the answer just sent to a client whose body we did not want. The supervisor bounds the time.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut discarded = match self.discarded {
            Some(so_far) => so_far,
            None => {
                ready!(on_socket!(self.as_mut(), stream => Pin::new(stream).poll_shutdown(cx)))?;
                self.pulse.close();
                0
            }
        };
        let mut scratch = [0; 4096];
        while discarded < LINGER_BYTES {
            self.discarded = Some(discarded);
            let mut buf = ReadBuf::new(&mut scratch);
            match on_socket!(self.as_mut(), stream => Pin::new(stream).poll_read(cx, &mut buf)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => discarded += buf.filled().len(),
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
