//! Keep-alive HTTP/1 connections, one request in flight on each, no pipelining: two system calls a request.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::time::Instant;

use super::closed::{self, Script, Until};
use super::{Address, Stream, Tally, nanos};

/// Heads and bodies that are read here are shorter.
const ROOM: usize = 8 << 10;

pub struct Line {
    stream: Stream,
    asked: Instant,
    request: Vec<u8>,
    buffer: Vec<u8>,
    filled: usize,
}

pub fn open(to: &Address, connections: usize) -> Vec<Line> {
    let open = |_| Line::open(to).unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
    (0..connections).map(open).collect()
}

/// Opens many and asks once on each, some at a time: a connection that asks nothing for too long is closed.
pub fn open_and_ask(to: &Address, connections: usize, script: &mut impl Script) -> Vec<Line> {
    const AT_ONCE: usize = 500;
    let mut lines = Vec::new();
    while lines.len() < connections {
        let mut some = open(to, AT_ONCE.min(connections - lines.len()));
        let each = Until::Asked(some.len() as u64);
        closed::run(&mut some, each, script);
        lines.append(&mut some);
    }
    lines
}

/// Runs the script over so many connections of its own.
pub fn run(to: &Address, connections: usize, until: Until, script: &mut impl Script) -> Tally {
    closed::run(&mut open(to, connections), until, script)
}

impl closed::Line for Line {
    fn width(&self) -> u64 {
        1
    }

    fn send(&mut self, script: &mut impl Script) {
        self.request.clear();
        script.ask(&mut self.request);
        self.asked = Instant::now();
        self.stream.write_all(&self.request).expect("an open connection");
    }

    fn receive(&mut self, script: &mut impl Script, tally: &mut Tally) -> io::Result<()> {
        let (status, body) = loop {
            if let Some(answer) = whole_answer(&self.buffer[..self.filled]) {
                break answer;
            }
            self.more()?;
        };
        let end = body.end;
        tally.count(script.hear(status, &self.buffer[body]), nanos(self.asked.elapsed()));
        self.buffer.copy_within(end..self.filled, 0);
        self.filled -= end;
        Ok(())
    }
}

impl Line {
    fn open(to: &Address) -> io::Result<Self> {
        let (asked, request, buffer) = (Instant::now(), Vec::new(), vec![0; ROOM]);
        Ok(Self { stream: to.connect()?, asked, request, buffer, filled: 0 })
    }

    fn more(&mut self) -> io::Result<()> {
        match self.stream.read(&mut self.buffer[self.filled..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.filled += read;
                Ok(())
            }
        }
    }
}

/// The status and the place of the body, where all of the answer is there.
pub(super) fn whole_answer(bytes: &[u8]) -> Option<(u16, Range<usize>)> {
    let head = end_of_head(bytes)?;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    let whole = head + content_length(&bytes[..head]);
    (bytes.len() >= whole).then_some((status, head..whole))
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    // Nearly always the last four bytes that came.
    if bytes.ends_with(b"\r\n\r\n") && content_length(bytes) == 0 {
        return Some(bytes.len());
    }
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let found = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
    });
    found.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or(0)
}
