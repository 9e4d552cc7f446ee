//! One set of promises, kept by every token store, and one kept by every users' database; then what is special to Redis, to
//! SQLite and to servers that several nodes share. Tests of a server that is not installed say SKIPPED and pass.
//! `DOORWARD_TEST_REDIS_SERVER` names another Redis.

// clippy sees no test in a test's helper.
#![allow(clippy::unwrap_used)]

#[path = "harness/certificates.rs"]
mod certificates;
#[path = "harness/databases.rs"]
mod databases;
#[path = "harness/ports.rs"]
mod ports;
#[path = "harness/redis.rs"]
mod redis;

#[path = "stores/acl.rs"]
mod acl;
#[path = "stores/ends.rs"]
mod ends;
#[path = "stores/everyone.rs"]
mod everyone;
#[path = "stores/interleavings.rs"]
mod interleavings;
#[path = "stores/kit.rs"]
mod kit;
#[path = "stores/log.rs"]
mod log;
#[path = "stores/model.rs"]
mod model;
#[path = "stores/redis_back_in_time.rs"]
mod redis_back_in_time;
#[path = "stores/redis_faults.rs"]
mod redis_faults;
#[path = "stores/redis_replicas.rs"]
mod redis_replicas;
#[path = "stores/redis_trouble.rs"]
mod redis_trouble;
#[path = "stores/rotation.rs"]
mod rotation;
#[path = "stores/sequences.rs"]
mod sequences;
#[path = "stores/sessions.rs"]
mod sessions;
#[path = "stores/several_nodes.rs"]
mod several_nodes;
#[path = "stores/sqlite.rs"]
mod sqlite;
#[path = "stores/together.rs"]
mod together;
#[path = "stores/users.rs"]
mod users;
