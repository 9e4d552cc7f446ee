//! What is promised of accounts and their sessions, written once and kept at every face, on every store: a test's path says
//! which, `refresh::graphql::postgres::…`. `face` is what a face can do, and a file for each face how clients of its kind do it;
//! the others hold promises. What is particular to a face has its tests in `accounts`, `grpc` and `graphql`.

#![allow(clippy::unwrap_used)] // A test that fails may panic anywhere.

#[path = "faces/agreement.rs"]
mod agreement;
#[path = "graphql/asking.rs"]
mod asking;
#[path = "faces/audit.rs"]
mod audit;
#[path = "grpc/bare.rs"]
mod bare;
#[path = "faces/changes.rs"]
mod changes;
#[path = "grpc/client.rs"]
mod client;
#[path = "faces/devices.rs"]
mod devices;
#[path = "faces/face.rs"]
mod face;
#[path = "faces/graphql.rs"]
mod graphql;
#[path = "faces/grpc.rs"]
mod grpc;
#[path = "faces/guesses.rs"]
mod guesses;
mod harness;
#[path = "faces/outage.rs"]
mod outage;
#[path = "faces/refresh.rs"]
mod refresh;
#[path = "faces/rest.rs"]
mod rest;
#[path = "faces/retention.rs"]
mod retention;
#[path = "faces/scene.rs"]
mod scene;
#[path = "harness/service.rs"]
mod service;
#[path = "faces/sessions.rs"]
mod sessions;
#[path = "faces/shapes.rs"]
mod shapes;
#[path = "faces/sign_in.rs"]
mod sign_in;
