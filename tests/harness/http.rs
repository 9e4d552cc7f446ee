//! A small HTTP/1.1 client that sends exactly the bytes it is given: no path is tidied, no header is merged.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any time-out under test, so that it is never this client that gives up first.
const PATIENCE: Duration = Duration::from_secs(20);

pub type Headers = Vec<(String, String)>;

/// The values of a header, its name compared without case.
pub fn values<'a>(headers: &'a Headers, name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: String,
}

impl Reply {
    /// The header's value where it came exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        match values(&self.headers, name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// A request, built header by header; nothing is added but `Host` and, with a body, its length.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    host: String,
    headers: Headers,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        let host = "localhost".into();
        Self { method: method.into(), target: target.into(), host, headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str, body: &Value) -> Self {
        Self::new("POST", target).header("Content-Type", "application/json").body(body.to_string())
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it over a connection of its own.
    pub fn send(&self, to: SocketAddr) -> Reply {
        self.try_send(to).unwrap_or_else(|error| panic!("{} {} to {to}: {error}", self.method, self.target))
    }

    pub fn try_send(&self, to: SocketAddr) -> std::io::Result<Reply> {
        let mut connection = Connection::open(to)?;
        connection.write(self)?;
        connection.read(self.method == "HEAD")
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// One connection, kept open for more than one request.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(to: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    pub fn exchange(&mut self, request: &Request) -> std::io::Result<Reply> {
        self.write(request)?;
        self.read(request.method == "HEAD")
    }

    fn write(&mut self, request: &Request) -> std::io::Result<()> {
        self.write_bytes(&request.bytes())
    }

    pub fn write_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    pub fn read(&mut self, head_only: bool) -> std::io::Result<Reply> {
        let start = line(&mut self.reader)?;
        let status = start.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| garbled(&start))?;
        let headers = read_headers(&mut self.reader)?;
        if status == 100 {
            return self.read(head_only);
        }
        let bodyless = head_only || status == 204 || status == 304;
        let body = if bodyless { Vec::new() } else { read_body(&mut self.reader, &headers, true)? };
        Ok(Reply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// One line without its end.
pub fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if reader.read_until(b'\n', &mut bytes)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    // Byte for character, so that a header's bytes survive whatever they are.
    Ok(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().trim_end_matches(['\r', '\n']).into())
}

pub fn read_headers(reader: &mut impl BufRead) -> std::io::Result<Headers> {
    let mut headers = Headers::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| garbled(&line))?;
        headers.push((name.into(), value.trim().into()));
    }
}

/// The body as its headers frame it: chunked, by length, or (`until_end`) to the end of the connection.
pub fn read_body(reader: &mut impl BufRead, headers: &Headers, until_end: bool) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if values(headers, "transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let size = line(reader)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| garbled(&size))?;
            let mut chunk = vec![0; size];
            reader.read_exact(&mut chunk)?;
            body.extend(chunk);
            line(reader)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    match values(headers, "content-length").first() {
        Some(length) => {
            body.resize(length.parse().map_err(|_| garbled(length))?, 0);
            reader.read_exact(&mut body)?;
        }
        None if until_end => {
            reader.read_to_end(&mut body)?;
        }
        None => {}
    }
    Ok(body)
}

fn garbled(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("not HTTP: {what:?}"))
}
