//! What clients ask of a Redis server, as its `MONITOR` tells it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::redis::{PASSWORD, RedisServer};

pub(crate) struct Monitor<'r> {
    redis: &'r RedisServer,
    lines: BufReader<TcpStream>,
    told: usize,
}

impl<'r> Monitor<'r> {
    pub(crate) fn of(redis: &'r RedisServer) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
        write!(stream, "AUTH {PASSWORD}\r\nMONITOR\r\n").expect("sent");
        let mut monitor = Self { redis, lines: BufReader::new(stream), told: 0 };
        assert_eq!([monitor.line(), monitor.line()], ["+OK", "+OK"]);
        monitor
    }

    /// What clients sent since the last call, as far as `part` stands in it; what scripts did for them is left out.
    pub(crate) fn sent(&mut self, part: &str) -> Vec<String> {
        self.told += 1;
        let mark = format!("mark {}", self.told);
        self.redis.cli(&["ECHO", &mark]);
        let mut sent = Vec::new();
        loop {
            let line = self.line();
            if line.contains(&mark) {
                return sent;
            }
            if line.contains(part) && !line.contains(" lua] ") {
                sent.push(line);
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line in time");
        line.trim_end().to_owned()
    }
}
