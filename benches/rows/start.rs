//! How soon a sidecar answers: from its start to the first 200 of `/readyz`, its keys fetched and its store asked.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::doorward::Doorward;
use crate::harness::http::Request;
use crate::kit::compare::median;
use crate::kit::world::World;
use crate::table::{Line, Mark};

pub fn measure(world: &World) -> Vec<Line> {
    let starts = world.of(5, 21);
    let config = world.checks("EdDSA", json!({}));
    let took = median((0..starts).map(|_| {
        let began = Instant::now();
        let mut checker = Doorward::spawn("check", config.clone());
        let ops = checker.ops;
        checker.process.wait_for(Duration::from_millis(1), "ready", || {
            Request::get("/readyz").try_send(ops).is_ok_and(|reply| reply.status == 200)
        });
        began.elapsed().as_secs_f64() * 1000.0
    }));
    let figures = format!("median of {starts}; with Redis, and keys from the issuer over HTTP");
    vec![Line::new("start to ready (--role check)", Mark::Below(50.0, "ms"), took, figures)]
}
