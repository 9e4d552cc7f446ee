//! What keeps a connection to Redis from coming is told: whoever looks at the log of a sidecar sees no other.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::SystemClock;
use doorward::metrics::Metrics;
use doorward::state::redis::RedisState;
use doorward::state::{Lookups, Settings};

use crate::kit::eventually;
use crate::redis::{RedisServer, available};

/// The words of a question's failure.
async fn told(url: &str, with: &str) {
    let settings = Settings { url: url.to_owned(), ..Settings::default() };
    let state = RedisState::connect(&settings, Arc::new(SystemClock), Arc::new(Metrics::new())).await.unwrap();
    let asked = async || {
        let why = state.health().await.expect_err("it can't be reached").to_string();
        why.contains(with).then_some(why)
    };
    let why = eventually(with, Duration::from_secs(5), asked).await;
    assert!(!why.contains("canary") && !why.contains("kind:") && !why.contains("Os {"), "in words: {why}");
}

#[tokio::test]
async fn a_connection_that_does_not_come_is_told_with_its_reason() {
    if !available() {
        return;
    }
    let mut server = RedisServer::start();
    told(&server.url_as("default", "canary"), "WRONGPASS").await;
    told(&format!("{}/99", server.url()), "DB index is out of range").await;
    told("redis://canary:canary@nothing.invalid:6379", "failed to lookup address").await;
    server.kill();
    told(&server.url(), "Connection refused").await;
}
