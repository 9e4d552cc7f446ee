//! Accounts over GraphQL, as clients of a NestJS service meet them: the real binary, on every store that token state and users can
//! be in.

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
#[path = "accounts/service.rs"]
mod service;
#[path = "graphql/sign_in.rs"]
mod sign_in;
