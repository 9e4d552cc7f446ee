//! Unary gRPC calls over HTTP/2, as Envoy makes them: several streams on one connection, header lines that the server's
//! table knows after the first call, and windows so wide that nobody waits for them.

use std::io::{self, Read, Write};
use std::time::Instant;

use super::closed::{self, Script};
use super::{Address, Stream, Tally, nanos};

/// RFC 9113 section 6, and its flags.
mod frame {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;

    pub(super) const END_STREAM: u8 = 1;
    pub(super) const ACK: u8 = 1;
    pub(super) const END_HEADERS: u8 = 4;
    pub(super) const HEAD: usize = 9;
}

/// The widest window there is.
const WIDEST: u32 = (1 << 31) - 1;
/// A new connection's.
const FIRST: u32 = 65_535;
/// So many bytes are read before the server is told.
const TOLD_EVERY: u32 = 1 << 20;

/// The lines that Envoy sends and that its header table keeps.
const LINES: [(&str, &str); 8] = [
    (":path", "/envoy.service.auth.v3.Authorization/Check"),
    (":authority", "doorward"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
    ("grpc-timeout", "500m"),
    ("x-envoy-internal", "true"),
    ("x-envoy-expected-rq-timeout-ms", "500"),
    ("x-forwarded-for", "127.0.0.1"),
];

pub struct Line {
    stream: Stream,
    asked: Instant,
    next_id: u32,
    first_id: u32,
    /// The answers of the streams in flight, by their order.
    answers: Vec<Vec<u8>>,
    knows_lines: bool,
    unread_told: u32,
    out: Vec<u8>,
    buffer: Vec<u8>,
    filled: usize,
}

pub fn open(to: &Address, connections: usize, streams: usize) -> Vec<Line> {
    let open = |_| Line::open(to, streams).unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
    (0..connections).map(open).collect()
}

impl closed::Line for Line {
    fn width(&self) -> u64 {
        self.answers.len() as u64
    }

    fn send(&mut self, script: &mut impl Script) {
        self.out.clear();
        self.first_id = self.next_id;
        for answer in &mut self.answers {
            answer.clear();
            let block = if self.knows_lines { known_lines() } else { new_lines() };
            self.knows_lines = true;
            put_head(&mut self.out, block.len(), frame::HEADERS, frame::END_HEADERS, self.next_id);
            self.out.extend_from_slice(&block);
            let at = self.out.len();
            self.out.extend_from_slice(&[0; frame::HEAD + 5]);
            script.ask(&mut self.out);
            let length = self.out.len() - at - frame::HEAD;
            let mut head = Vec::with_capacity(frame::HEAD + 5);
            put_head(&mut head, length, frame::DATA, frame::END_STREAM, self.next_id);
            head.push(0);
            head.extend_from_slice(&(length as u32 - 5).to_be_bytes());
            self.out[at..at + head.len()].copy_from_slice(&head);
            self.next_id += 2;
        }
        self.asked = Instant::now();
        self.stream.write_all(&self.out).expect("an open connection");
    }

    fn receive(&mut self, script: &mut impl Script, tally: &mut Tally) -> io::Result<()> {
        let mut open = self.answers.len();
        while open > 0 {
            let read = self.stream.read(&mut self.buffer[self.filled..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.filled += read;
            let mut at = 0;
            while let Some(length) = whole_frame(&self.buffer[at..self.filled]) {
                let bytes = at..at + length;
                if let Some(ended) = self.take(bytes)? {
                    open -= 1;
                    let message = self.answers[ended].get(5..).unwrap_or_default();
                    tally.count(script.hear(200, message), nanos(self.asked.elapsed()));
                }
                at += length;
            }
            self.buffer.copy_within(at..self.filled, 0);
            self.filled -= at;
        }
        Ok(())
    }
}

impl Line {
    fn open(to: &Address, streams: usize) -> io::Result<Self> {
        let mut stream = to.connect()?;
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        put_head(&mut hello, 12, frame::SETTINGS, 0, 0);
        for (setting, value) in [(2_u16, 0), (4, WIDEST)] {
            hello.extend_from_slice(&setting.to_be_bytes());
            hello.extend_from_slice(&u32::to_be_bytes(value));
        }
        put_window(&mut hello, WIDEST - FIRST);
        stream.write_all(&hello)?;
        Ok(Self {
            stream,
            asked: Instant::now(),
            next_id: 1,
            first_id: 1,
            answers: vec![Vec::new(); streams],
            knows_lines: false,
            unread_told: 0,
            out: Vec::new(),
            buffer: vec![0; 256 << 10],
            filled: 0,
        })
    }

    /// Takes one frame; the stream that it ends, counted from the first in flight.
    fn take(&mut self, bytes: std::ops::Range<usize>) -> io::Result<Option<usize>> {
        let (kind, flags) = (self.buffer[bytes.start + 3], self.buffer[bytes.start + 4]);
        let id = number(&self.buffer[bytes.start + 5..]);
        let payload = bytes.start + frame::HEAD..bytes.end;
        let stream = (id.wrapping_sub(self.first_id) / 2) as usize;
        match kind {
            frame::DATA => {
                self.answers[stream].extend_from_slice(&self.buffer[payload.clone()]);
                self.unread_told += payload.len() as u32;
                if self.unread_told > TOLD_EVERY {
                    self.reply(put_window)?;
                }
            }
            frame::SETTINGS if flags & frame::ACK == 0 => {
                self.reply(|out, _| put_head(out, 0, frame::SETTINGS, frame::ACK, 0))?;
            }
            frame::PING if flags & frame::ACK == 0 => {
                let said = self.buffer[payload].to_vec();
                self.reply(|out, _| {
                    put_head(out, said.len(), frame::PING, frame::ACK, 0);
                    out.extend_from_slice(&said);
                })?;
            }
            frame::GOAWAY => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => {}
        }
        let ends = match kind {
            frame::DATA | frame::HEADERS => flags & frame::END_STREAM != 0,
            frame::RST_STREAM => true,
            _ => false,
        };
        Ok(ends.then_some(stream))
    }

    fn reply(&mut self, say: impl FnOnce(&mut Vec<u8>, u32)) -> io::Result<()> {
        let mut out = Vec::new();
        say(&mut out, self.unread_told);
        if out[3] == frame::WINDOW_UPDATE {
            self.unread_told = 0;
        }
        self.stream.write_all(&out)
    }
}

fn put_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    out.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

fn put_window(out: &mut Vec<u8>, more: u32) {
    put_head(out, 4, frame::WINDOW_UPDATE, 0, 0);
    out.extend_from_slice(&more.to_be_bytes());
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The length of the first frame, head and all, where it is all there.
fn whole_frame(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(..3)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) + frame::HEAD;
    (bytes.len() >= length).then_some(length)
}

/// `:method: POST` and `:scheme: http` stand in the static table (RFC 7541 appendix A).
const STATIC: [u8; 2] = [0x83, 0x86];

/// Each line in full, to be kept (RFC 7541 section 6.2.1).
fn new_lines() -> Vec<u8> {
    let mut block = STATIC.to_vec();
    for text in LINES.iter().flat_map(|(name, value)| [("\x40", *name), ("", *value)]) {
        block.extend_from_slice(text.0.as_bytes());
        block.push(text.1.len() as u8);
        block.extend_from_slice(text.1.as_bytes());
    }
    block
}

/// Each line by its place in the table, where the last kept is first, after the 61 of the static one.
fn known_lines() -> Vec<u8> {
    let places = (0..LINES.len()).map(|line| 0x80 | (62 + LINES.len() - 1 - line) as u8);
    STATIC.into_iter().chain(places).collect()
}
