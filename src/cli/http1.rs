//! A tiny HTTP/1.1 client over TCP or a Unix socket, with which `healthcheck` and `doctor` ask our own listeners: one GET a
//! connection, bounded in time and size. It costs a container's health check next to nothing.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Our answers are short; more than this is not read.
const MOST: usize = 256 * 1024;

/// A GET.
#[derive(Clone, Debug)]
pub(super) struct Request {
    path: String,
    within: Duration,
}

impl Request {
    pub(super) fn get(path: &str) -> Self {
        Self { path: path.to_owned(), within: Duration::from_secs(5) }
    }

    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An address of our own configuration as one can call it: the wildcard address is this machine.
pub(super) fn reachable(address: &str) -> String {
    match address.rsplit_once(':') {
        Some(("0.0.0.0" | "*", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => address.to_owned(),
    }
}

/// Sends the request to `host:port` or `unix:PATH`.
pub(super) async fn send(address: &str, request: &Request) -> io::Result<Reply> {
    let work = async {
        match address.strip_prefix("unix:") {
            Some(path) => exchange(UnixStream::connect(path).await?, "localhost", request).await,
            None => exchange(TcpStream::connect(address).await?, address, request).await,
        }
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:?}", request.within));
    let answer = timeout(request.within, work).await.unwrap_or_else(|_| Err(late()));
    answer.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str, request: &Request) -> io::Result<Reply> {
    let head = format!("GET {} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n", request.path);
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    while bytes.len() < MOST && !is_whole(&bytes) {
        match stream.read(&mut chunk).await? {
            0 => break,
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    read_reply(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no HTTP/1.1 answer"))
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n")
}

/// Whether all of the answer is there, as far as a length tells it; otherwise the connection's end does.
fn is_whole(bytes: &[u8]) -> bool {
    let (Some(end), Some(reply)) = (head_end(bytes), read_reply(bytes)) else { return false };
    let length = reply.header("content-length").and_then(|length| length.parse::<usize>().ok());
    matches!(reply.status, 204 | 304) || length.is_some_and(|length| bytes.len() >= end + 4 + length)
}

fn read_reply(bytes: &[u8]) -> Option<Reply> {
    let end = head_end(bytes)?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    if !first.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = first.next()?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Reply { status, headers, body: String::from_utf8_lossy(&bytes[end + 4..]).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_up_to_its_length() {
        let bytes = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 2\r\n\r\nno";
        let reply = read_reply(bytes).expect("an answer");
        assert_eq!((reply.status, reply.header("www-authenticate"), reply.body.as_str()), (401, Some("Bearer"), "no"));
        assert!(is_whole(bytes) && !is_whole(&bytes[..bytes.len() - 1]));
        assert!(read_reply(b"nonsense\r\n\r\n").is_none());
    }

    #[test]
    fn the_wildcard_address_is_called_on_this_machine() {
        assert_eq!(reachable("0.0.0.0:9192"), "127.0.0.1:9192");
        assert_eq!(reachable("[::]:9192"), "[::1]:9192");
        assert_eq!(reachable("unix:/run/x.sock"), "unix:/run/x.sock");
    }
}
