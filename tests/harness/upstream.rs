//! The app behind the proxy: answers 200 to everything and remembers each request as it came, byte for byte.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::http::{self, Headers};

/// One request as the app received it.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    /// The raw request target.
    pub target: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Received {
    pub fn values(&self, name: &str) -> Vec<&str> {
        http::values(&self.headers, name)
    }

    /// The header's value where it came exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self.values(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Headers that a careless app could take for identity: `_` read as `-`, case ignored, as CGI and WSGI do.
    pub fn identity(&self) -> Vec<(String, &str)> {
        let spelled = self.headers.iter().map(|(name, value)| (name.to_lowercase().replace('_', "-"), value.as_str()));
        spelled.filter(|(name, _)| name.starts_with("x-auth-")).collect()
    }
}

pub struct Upstream {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = listener.local_addr().expect("a bound address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        // Ends with the test's process: it holds nothing but a loopback port.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || while answer(&stream, &kept).is_ok() {});
            }
        });
        Self { address, received }
    }

    /// What came since the last call.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The one request that came since the last call.
    pub fn take_one(&self) -> Received {
        let mut received = self.take();
        assert_eq!(received.len(), 1, "one request expected at the upstream: {received:?}");
        received.remove(0)
    }
}

fn answer(mut stream: &TcpStream, received: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    // Proxies do not pipeline, so no byte of a next request is lost with this reader.
    let mut reader = BufReader::new(stream);
    let start = http::line(&mut reader)?;
    let headers = http::read_headers(&mut reader)?;
    let body = http::read_body(&mut reader, &headers, false)?;
    let (method, rest) = start.split_once(' ').unwrap_or((&start, ""));
    let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
    let seen = Received { method: method.into(), target: target.into(), headers, body };
    let head = seen.method == "HEAD";
    received.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    let body = if head { "" } else { "app\n" };
    stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-App: seen\r\n\r\n{body}").as_bytes())
}
