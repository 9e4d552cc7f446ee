//! Accounts over GraphQL, as clients of a NestJS service meet them, beyond what `faces` shows of every face: the real binary.

#![allow(clippy::unwrap_used)] // A test that fails may panic anywhere.

#[path = "graphql/asking.rs"]
mod asking;
#[path = "graphql/documents.rs"]
mod documents;
mod harness;
#[path = "graphql/library.rs"]
mod library;
#[path = "graphql/over_http.rs"]
mod over_http;
#[path = "graphql/refresh.rs"]
mod refresh;
#[path = "harness/service.rs"]
mod service;
#[path = "graphql/sign_in.rs"]
mod sign_in;
