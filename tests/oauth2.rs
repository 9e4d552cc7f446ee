//! The standard OAuth 2 endpoints as clients meet them: the real binary, on every store that token state and users can be in, and
//! a client library of another language. Each test is one behaviour.

#![allow(clippy::unwrap_used)] // A test that fails may panic anywhere.

#[path = "oauth2/assertions.rs"]
mod assertions;
#[path = "oauth2/commands.rs"]
mod commands;
#[path = "oauth2/credentials.rs"]
mod credentials;
mod harness;
#[path = "oauth2/introspection.rs"]
mod introspection;
#[path = "oauth2/library.rs"]
mod library;
#[path = "oauth2/refresh.rs"]
mod refresh;
#[path = "oauth2/requests.rs"]
mod requests;
#[path = "oauth2/revocation.rs"]
mod revocation;
#[path = "oauth2/server.rs"]
mod server;
#[path = "harness/service.rs"]
mod service;
