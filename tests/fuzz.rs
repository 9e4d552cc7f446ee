//! The fuzz targets of `fuzz/`, without libFuzzer: each runs for seconds over its corpus and over what chance makes of that.
//! The same seed gives the same inputs. `DOORWARD_FUZZ_SECONDS` makes it longer, `DOORWARD_FUZZ_SEED` makes it another run.
//! An input that breaks a promise is printed, to be added to the corpus once it is mended (SEC-U2).

// clippy sees no test in a test's helper.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::{Duration, Instant};

#[allow(unreachable_pub, reason = "a crate of its own for libFuzzer, a module here")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Pieces of what the parsers read, so that chance finds their branches.
const WORDS: &[&[u8]] = &[
    b"/",
    b"//",
    b"/../",
    b"/./",
    b"..;/",
    b"%2e",
    b"%2F",
    b"%5c",
    b"\\",
    b"%25",
    b"%00",
    b"%",
    b"?",
    b"#",
    b";",
    b"%c0%af",
    b"Bearer ",
    b"bearer ",
    b"Basic ",
    b",",
    b" ",
    b"\t",
    b"=",
    b"door=",
    b"; ",
    b"\n",
    b"\0",
    b"\x7f",
    b"\xc3\xa9",
    b"\xff",
    b"dwr_",
    b".",
    b"eyJhbGciOiJFZERTQSJ9",
    b"e30",
    b"{}",
    b"\"",
    b":",
    b"[",
    b"]",
    b"{",
    b"}",
    b"null",
    b"-",
    b"1e999",
    b"- path: /a\n",
    b"  ",
    b"&a ",
    b"*a",
    b"!!str ",
    b"|\n",
    b"check:\n",
    b"allow: anyone",
    b"127.0.0.1:0",
    b"1h",
    b"\x0a",
    b"\x12",
    b"\x1a",
    b"\x22",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\x0b",
    b"\x0c",
    b"\x08\x00",
    b"x-forwarded-for",
    b"authorization",
    b"cookie",
];

/// Xorshift: chance that can be had again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit.max(1)
    }

    fn changed(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut data = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(data.len() + 1);
            let to = (at + self.below(9)).min(data.len());
            match self.below(7) {
                0 if at < data.len() => data[at] ^= 1 << self.below(8),
                1 if at < data.len() => data[at] = self.below(256) as u8,
                2 => drop(data.drain(at..to)),
                3 => {
                    let piece = data[at..to].to_vec();
                    let at = self.below(data.len() + 1);
                    data.splice(at..at, piece);
                }
                4 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len() + 1);
                    data.splice(at..to, other[from..(from + self.below(40)).min(other.len())].iter().copied());
                }
                _ => drop(data.splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())),
            }
        }
        data
    }
}

/// Prints the input where the target panics.
struct Trying<'a>(&'static str, &'a [u8]);

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the target {} breaks on b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

fn fuzz(name: &'static str, target: fn(&[u8])) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = folder.read_dir().expect("a corpus").map(|file| file.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!corpus.is_empty(), "the corpus of {name} is empty");
    let run = |data: &[u8]| {
        let _trying = Trying(name, data);
        target(data);
    };
    run(b"");
    corpus.iter().for_each(|data| run(data));
    let mut chance = Chance(number("DOORWARD_FUZZ_SEED").unwrap_or(0x5eed) | 1);
    let (begun, span) = (Instant::now(), Duration::from_secs(number("DOORWARD_FUZZ_SECONDS").unwrap_or(3)));
    let mut runs = 0u64;
    while begun.elapsed() < span {
        run(&chance.changed(&corpus));
        runs += 1;
    }
    eprintln!("{name}: {} from the corpus and {runs} made of them", corpus.len());
}

// SEC-T7, SEC-T8, SEC-R9
#[test]
fn tokens_are_read_in_one_spelling_only() {
    fuzz("token", targets::token);
}

// SEC-P3, SEC-P4
#[test]
fn no_upstream_reads_a_path_as_something_that_no_rule_was_asked_about() {
    fuzz("path", targets::path);
}

// SEC-T22
#[test]
fn authorization_lines_show_one_token_or_none() {
    fuzz("authorization", targets::authorization);
}

// SEC-T22, SEC-C1
#[test]
fn cookie_lines_show_one_token_or_none() {
    fuzz("cookie", targets::cookie);
}

// SEC-D1
#[test]
fn a_check_request_is_read_as_protobuf_says_or_denied() {
    fuzz("check_request", targets::check_request);
}

#[test]
fn a_configuration_is_refused_with_reasons_or_survives_being_written_out() {
    fuzz("config", targets::config);
}
