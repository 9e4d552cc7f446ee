//! What the integration tests stand on: the real binary, real proxies, a real Redis, all on free loopback ports, each ended
//! by its own handle. Nothing here is a stand-in for a part of doorward.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the harness")]

pub mod caddy;
pub mod certificates;
pub mod doorward;
pub mod edge;
pub mod envoy;
pub mod fake_time;
pub mod foreign;
pub mod history;
pub mod http;
pub mod monitor;
pub mod nginx;
pub mod paths;
pub mod ports;
pub mod process;
pub mod redis;
pub mod redis_cluster;
pub mod relay;
pub mod shipped;
pub mod tools;
pub mod upstream;
pub mod users;
pub mod wait;
