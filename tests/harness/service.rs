//! A running service with accounts on a store of the test's choosing, and REST's client.

#![allow(dead_code, unreachable_pub, reason = "shared by test binaries, each of which uses its part")]

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::databases::Server;
use crate::harness::doorward::{Doorward, merge};
use crate::harness::http::{Reply, Request};
use crate::harness::redis::RedisServer;
use crate::harness::wait::answered;

pub const PASSWORD: &str = "rabbit-hole-7";

/// Where users and token state are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Users and token state in one SQLite file.
    Sqlite,
    /// Users in SQLite, token state in Redis.
    SqliteAndRedis,
    Postgres,
    PostgresAndRedis,
    MariaDb,
    MariaDbAndRedis,
}

impl Store {
    /// The setting for where users are; `None`, said aloud, where the server is not installed.
    fn users(self) -> Option<Value> {
        let server = match self {
            Self::Sqlite | Self::SqliteAndRedis => return Some(json!({})),
            Self::Postgres | Self::PostgresAndRedis => Server::Postgres,
            Self::MariaDb | Self::MariaDbAndRedis => Server::MariaDb,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = runtime.block_on(server.database())?;
        Some(json!({"users": {"url": url, "pool": 4}}))
    }

    const fn with_redis(self) -> bool {
        matches!(self, Self::SqliteAndRedis | Self::PostgresAndRedis | Self::MariaDbAndRedis)
    }
}

/// Declares each function as a test on each store.
#[macro_export]
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test($crate::service::Store::Sqlite); })+
        }
        mod sqlite_and_redis {
            $(#[test] fn $test() { super::$test($crate::service::Store::SqliteAndRedis); })+
        }
        mod postgres {
            $(#[test] fn $test() { super::$test($crate::service::Store::Postgres); })+
        }
        mod postgres_and_redis {
            $(#[test] fn $test() { super::$test($crate::service::Store::PostgresAndRedis); })+
        }
        mod mariadb {
            $(#[test] fn $test() { super::$test($crate::service::Store::MariaDb); })+
        }
        mod mariadb_and_redis {
            $(#[test] fn $test() { super::$test($crate::service::Store::MariaDbAndRedis); })+
        }
    };
}

pub struct Service {
    pub doorward: Doorward,
    pub redis: Option<RedisServer>,
}

impl Service {
    /// Without limits, so that a test may ask as often as it likes.
    pub fn start(store: Store) -> Self {
        Self::start_with(store, json!({}))
    }

    pub fn start_with(store: Store, over: Value) -> Self {
        let off =
            json!({"auth": "off", "refresh": "off", "sessions": "off", "profile": "off", "lockout": {"after": 0}});
        let mut config = json!({"limits": off});
        merge(&mut config, over);
        Self::start_limited(store, config)
    }

    /// With the limits that are usual.
    pub fn start_limited(store: Store, mut config: Value) -> Self {
        let users = store.users().expect("./test installs the database");
        merge(&mut config, users);
        let redis = store.with_redis().then(RedisServer::start);
        if let Some(redis) = &redis {
            merge(&mut config, json!({"state": {"url": redis.url()}}));
        }
        Self { doorward: Doorward::start(config), redis }
    }

    pub fn public(&self) -> SocketAddr {
        self.doorward.public
    }

    /// Where users are.
    pub fn users_url(&self) -> String {
        let config = std::fs::read_to_string(self.doorward.folder().join("doorward.yaml")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        config["users"]["url"].as_str().unwrap().to_owned()
    }

    pub fn send(&self, request: &Request) -> Reply {
        request.send(self.public())
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(&Request::post(path, body))
    }

    pub fn try_register(&self, email: &str, password: &str) -> Reply {
        self.post("/auth/register", &json!({"email": email, "password": password}))
    }

    /// A new account with [`PASSWORD`]; its id.
    pub fn register(&self, email: &str) -> String {
        let reply = answered(|| self.try_register(email, PASSWORD));
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    pub fn try_login(&self, email: &str, password: &str) -> Reply {
        self.send(&login(email, password))
    }

    pub fn login(&self, email: &str) -> Tokens {
        Tokens::of(&answered(|| self.try_login(email, PASSWORD)))
    }

    pub fn refresh(&self, refresh: &str) -> Reply {
        self.post("/auth/refresh", &json!({"refresh_token": refresh}))
    }

    pub fn get(&self, path: &str, access: &str) -> Reply {
        self.send(&Request::get(path).bearer(access))
    }

    /// Without a body.
    pub fn ask(&self, method: &str, path: &str, access: &str) -> Reply {
        self.send(&Request::new(method, path).header("Content-Length", "0").bearer(access))
    }

    pub fn put(&self, path: &str, body: &Value, access: &str) -> Reply {
        let request = Request::new("PUT", path).header("Content-Type", "application/json");
        self.send(&request.body(body.to_string()).bearer(access))
    }

    /// What the check plane says of the token, once it knows: its status.
    pub fn check(&self, access: &str) -> u16 {
        self.doorward.knows(access)
    }

    /// The one-time secret of the first administrator.
    pub fn first_secret(&self) -> String {
        // Who answers has all that is made at the start.
        assert_eq!(self.send(&Request::get("/")).status, 200);
        let file = self.doorward.folder().join("keys/first-admin.secret");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// Makes an administrator by the one-time secret, and signs in.
    pub fn administrator(&self) -> Tokens {
        let body = json!({"secret": self.first_secret(), "email": "root@example.com", "password": PASSWORD});
        let reply = self.post("/admin/first", &body);
        assert_eq!(reply.status, 201, "{reply:?}");
        self.login("root@example.com")
    }
}

pub fn login(email: &str, password: &str) -> Request {
    Request::post("/auth/login", &json!({"email": email, "password": password}))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Tokens {
    #[track_caller]
    pub fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let body = reply.json();
        let mut members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "token_type"]);
        assert_eq!(body["token_type"], "Bearer");
        assert!(body["expires_in"].as_u64().unwrap() <= body["refresh_expires_in"].as_u64().unwrap());
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }

    /// The access token's claims, read without verifying.
    pub fn claims(&self) -> Value {
        let payload = self.access.split('.').nth(1).and_then(doorward::secret::from_base64url).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    pub fn sid(&self) -> String {
        self.claims()["sid"].as_str().unwrap().to_owned()
    }
}

/// Asserts a refusal in the form that all have.
#[track_caller]
pub fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
}

/// Does it in so many threads at once.
pub fn at_once<T: Send>(times: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(times);
    std::thread::scope(|scope| {
        let one = |at| {
            let (work, start) = (&work, &start);
            scope.spawn(move || {
                start.wait();
                work(at)
            })
        };
        let threads: Vec<_> = (0..times).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
