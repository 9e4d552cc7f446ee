//! A bare Redis client: bytes of commands out, answers skipped in order. As redis-benchmark does it.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::harness::redis::{PASSWORD, RedisServer};

/// A connection that is logged in.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// Commands as they go over the wire (RESP).
pub fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// What doorward asks about a token that is new to it: four commands. Whether there is such a session makes no difference.
pub fn lookup() -> Vec<u8> {
    let subject = "dw:{0f4d7a61c2b35e98}";
    let session = format!("{subject}:s:0f4d7a61c2b35e98JmQ2b1k0aHd2c3RlZmdoaQ");
    let (epoch, denied) = (format!("{subject}:e"), format!("{subject}:j:{}", "7d".repeat(32)));
    [&["HMGET", &session, "x"][..], &["PTTL", &session], &["GET", &epoch], &["EXISTS", &denied]]
        .into_iter()
        .flat_map(command)
        .collect()
}

/// How many answers a lookup has.
pub const ANSWERS: usize = 4;

impl Client {
    pub fn open(server: &RedisServer) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("Redis listens");
        stream.set_nodelay(true).expect("a socket");
        let mut client = Self { stream, buffer: vec![0; 64 << 10], filled: 0 };
        client.ask(&command(&["AUTH", PASSWORD]), 1).expect("it answers");
        client
    }

    /// Sends commands and waits for so many answers.
    pub fn ask(&mut self, commands: &[u8], answers: usize) -> io::Result<()> {
        self.stream.write_all(commands)?;
        self.skip(answers)
    }

    /// Waits for so many answers.
    pub fn skip(&mut self, mut answers: usize) -> io::Result<()> {
        let mut at = 0;
        loop {
            while answers > 0
                && let Some(length) = whole_answer(&self.buffer[at..self.filled])
            {
                at += length;
                answers -= 1;
            }
            self.buffer.copy_within(at..self.filled, 0);
            self.filled -= at;
            at = 0;
            if answers == 0 {
                return Ok(());
            }
            match self.stream.read(&mut self.buffer[self.filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.filled += read,
            }
        }
    }
}

/// The length of the first answer, where it is all there.
pub fn whole_answer(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    let whole = match bytes[0] {
        b'$' => line + usize::try_from(number()?).map_or(0, |length| length + 2),
        b'*' => (0..number()?).try_fold(line, |at, _| Some(at + whole_answer(bytes.get(at..)?)?))?,
        _ => line,
    };
    (bytes.len() >= whole).then_some(whole)
}
