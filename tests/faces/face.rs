//! A face as its clients use it, and what all faces have in common: what they tell of an account, of a session, and how they
//! refuse. `rest`, `grpc` and `graphql` are the three.

#![allow(unreachable_pub, reason = "a module of a test binary")]

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use tonic::Code;

use crate::rest::Rest;
use crate::service::{PASSWORD, Tokens};

pub type Answer<T> = Result<T, Refusal>;

/// The operations. Those with a body here are not at every face: where one is missing it is done over REST, to the same tokens.
pub trait Face: Sync {
    fn register(&self, email: &str, password: &str) -> Answer<()>;

    /// `known` is a token of an earlier sign-in.
    fn login_from(&self, from: Device, known: Option<&str>, email: &str, password: &str) -> Answer<Tokens>;

    fn refresh_from(&self, from: Device, refresh: &str) -> Answer<Tokens>;

    /// The same by a client that takes a new refresh token.
    fn rotate_from(&self, from: Device, refresh: &str) -> Answer<Tokens> {
        self.refresh_from(from, refresh)
    }

    /// By a refresh token.
    fn logout(&self, refresh: &str) -> Answer<()>;

    /// Without a token where it is `None`.
    fn account(&self, access: Option<&str>) -> Answer<Account>;

    /// How many it ended.
    fn logout_all(&self, access: &str) -> Answer<u64> {
        self.rest().logout_all(access)
    }

    fn sessions(&self, access: &str) -> Answer<Vec<Session>> {
        self.rest().sessions(access)
    }

    fn end_session(&self, access: &str, id: &str) -> Answer<()> {
        self.rest().end_session(access, id)
    }

    /// What became of requests for [`SOMEBODY`] that are none: a member missing, doubled, of another type, one too many.
    fn misshapen(&self) -> Vec<(String, Answer<()>)>;

    /// What became of logins whose bodies are larger than may be.
    fn oversized(&self) -> Vec<(String, Answer<()>)>;

    /// REST of the same service.
    fn rest(&self) -> Rest;

    fn login(&self, email: &str, password: &str) -> Answer<Tokens> {
        self.login_from(LAPTOP, None, email, password)
    }

    #[track_caller]
    fn sign_in(&self, email: &str) -> Tokens {
        self.login(email, PASSWORD).expect("signed in")
    }

    fn refresh(&self, refresh: &str) -> Answer<Tokens> {
        self.refresh_from(LAPTOP, refresh)
    }
}

/// What misshapen and oversized requests are about.
pub const SOMEBODY: &str = "somebody@example.com";

/// Asks again while the face cannot know in time: a look-up has 100 ms, which a machine that runs all tests at once may not have.
pub fn settled<T>(ask: impl Fn() -> Answer<T>) -> Answer<T> {
    let began = Instant::now();
    loop {
        let answer = ask();
        if began.elapsed() > Duration::from_secs(20) || !answer.as_ref().is_err_and(|refusal| refusal.status == 503) {
            return answer;
        }
    }
}

/// Where a client asks from.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// What its `User-Agent` begins with.
    pub agent: &'static str,
    pub ip: Ipv4Addr,
}

pub const LAPTOP: Device = Device { agent: "Firefox", ip: Ipv4Addr::new(192, 0, 2, 1) };

/// What each face tells of an account; moments to the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub email: String,
    pub confirmed: bool,
    pub created: i64,
    pub updated: i64,
}

/// The same of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: String,
    pub created: i64,
    pub ends: i64,
    pub agent: String,
    pub ip: Option<IpAddr>,
    pub current: bool,
}

/// A "no". The face has made sure that it has the form that all of its refusals have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As REST has it, whichever face says so.
    pub status: u16,
    /// Where the face tells it.
    pub code: Option<String>,
    /// In a sentence.
    pub detail: String,
    /// The names of the headers that came with it.
    pub headers: Vec<String>,
}

/// How the faces say one thing: REST's status, gRPC's, and the code of a GraphQL error.
pub fn forms(code: &str) -> (u16, Code, &'static str) {
    match code {
        "malformed_request" | "invalid_email" | "password_too_long" | "weak_password" => {
            (400, Code::InvalidArgument, "BAD_USER_INPUT")
        }
        "no_token" | "invalid_token" | "invalid_credentials" | "refresh_reused" | "device_changed" => {
            (401, Code::Unauthenticated, "UNAUTHENTICATED")
        }
        "registration_off" => (403, Code::PermissionDenied, "FORBIDDEN"),
        "session_not_found" => (404, Code::NotFound, "NOT_FOUND"),
        "email_taken" | "session_limit" => (409, Code::AlreadyExists, "CONFLICT"),
        "too_large" => (413, Code::InvalidArgument, "PAYLOAD_TOO_LARGE"),
        "rate_limited" => (429, Code::ResourceExhausted, "TOO_MANY_REQUESTS"),
        "unavailable" => (503, Code::Unavailable, "SERVICE_UNAVAILABLE"),
        other => panic!("no promise speaks of {other}"),
    }
}

/// Asserts a refusal with this code; where the face tells no code, with its status.
#[track_caller]
pub fn refused<T: Debug>(answer: Answer<T>, code: &str) -> Refusal {
    let refusal = answer.expect_err(code);
    assert_eq!((refusal.status, refusal.code.as_deref().unwrap_or(code)), (forms(code).0, code), "{refusal:?}");
    refusal
}

/// That nobody's password is told to who sent it.
#[track_caller]
pub fn quotes_nothing(told: &str) {
    assert!(!told.contains(PASSWORD) && !told.contains("rabbit"), "{told}");
}
