//! A closed loop over keep-alive HTTP/1 connections, one request in flight on each, no pipelining. One thread with plain
//! blocking sockets in two groups: while one group's answers are read, the other group's requests are with the server,
//! so it always has some. Two system calls a request and no event loop.

use std::io::{self, Read, Write};
use std::time::Instant;

use super::{Address, Stream, Tally, Until, nanos};

/// What a run asks, and who hears the answers.
pub trait Script {
    /// Appends the bytes of one request.
    fn ask(&mut self, into: &mut Vec<u8>);

    /// Hears an answer; whether it is what was asked for.
    fn hear(&mut self, status: u16, body: &[u8]) -> bool;
}

struct Line {
    stream: Stream,
    asked: Instant,
    buffer: Vec<u8>,
    filled: usize,
}

/// Runs the script over so many connections, at least 2.
pub fn run(to: &Address, connections: usize, until: Until, script: &mut impl Script) -> Tally {
    let open = |_| Line::open(to).unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
    let mut lines: Vec<Line> = (0..connections.max(2)).map(open).collect();
    let mut request = Vec::new();
    let mut tally = Tally::default();
    let began = Instant::now();
    let (first, second) = lines.split_at_mut(connections.max(2) / 2);
    let mut groups = [first, second];
    send(groups[0], script, &mut request);
    let mut asked = groups[0].len() as u64;
    loop {
        let more = match until {
            Until::After(time) => began.elapsed() < time,
            Until::Asked(most) => asked < most,
        };
        if more {
            send(groups[1], script, &mut request);
            asked += groups[1].len() as u64;
        }
        for line in &mut *groups[0] {
            let right = line.receive(script).unwrap_or_else(|error| panic!("no answer from {to}: {error}"));
            tally.latencies.push(nanos(line.asked.elapsed()));
            tally.answers += 1;
            tally.others += u64::from(!right);
        }
        if !more {
            break;
        }
        groups.swap(0, 1);
    }
    tally.took = began.elapsed();
    tally
}

fn send(lines: &mut [Line], script: &mut impl Script, request: &mut Vec<u8>) {
    for line in lines {
        request.clear();
        script.ask(request);
        line.asked = Instant::now();
        line.stream.write_all(request).expect("an open connection");
    }
}

impl Line {
    fn open(to: &Address) -> io::Result<Self> {
        Ok(Self { stream: to.connect()?, asked: Instant::now(), buffer: vec![0; 64 << 10], filled: 0 })
    }

    fn receive(&mut self, script: &mut impl Script) -> io::Result<bool> {
        let head = loop {
            if let Some(end) = end_of_head(&self.buffer[..self.filled]) {
                break end;
            }
            self.more()?;
        };
        let status = std::str::from_utf8(&self.buffer[9..12]).ok().and_then(|code| code.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let whole = head + content_length(&self.buffer[..head]);
        while self.filled < whole {
            self.more()?;
        }
        let right = script.hear(status, &self.buffer[head..whole]);
        self.buffer.copy_within(whole..self.filled, 0);
        self.filled -= whole;
        Ok(right)
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
