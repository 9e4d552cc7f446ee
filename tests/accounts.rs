//! Accounts as people and administrators meet them over REST, beyond what `faces` shows of every face: the real binary, on every
//! store that token state and users can be in. Each test is one behaviour; `on_every_store!` runs it on each.

#![allow(clippy::unwrap_used)] // A test that fails may panic anywhere.

#[path = "accounts/admin.rs"]
mod admin;
#[path = "accounts/advice.rs"]
mod advice;
#[path = "accounts/coming_from.rs"]
mod coming_from;
#[path = "accounts/commands.rs"]
mod commands;
#[path = "accounts/doctor.rs"]
mod doctor;
#[path = "accounts/ends.rs"]
mod ends;
#[path = "accounts/everyone.rs"]
mod everyone;
#[path = "accounts/halves.rs"]
mod halves;
mod harness;
#[path = "accounts/health.rs"]
mod health;
#[path = "accounts/limits.rs"]
mod limits;
#[path = "accounts/locks.rs"]
mod locks;
#[path = "accounts/openapi.rs"]
mod openapi;
#[path = "accounts/outage.rs"]
mod outage;
#[path = "accounts/password.rs"]
mod password;
#[path = "accounts/retention.rs"]
mod retention;
#[path = "harness/service.rs"]
mod service;
#[path = "accounts/sessions.rs"]
mod sessions;
#[path = "accounts/sign_in.rs"]
mod sign_in;
