//! doorward: an external-authorization sidecar for NGINX and Envoy, and the login service that issues what it checks.
//!
//! The modules stand in building order: each uses only those listed before it. Two wings share one ground: the read wing
//! (`check`, `gate`) answers proxies, the write wing (`issue`, `web`, `grpc`) keeps sessions. Neither knows the other.

// The ground.
pub mod audit;
pub mod clock;
pub mod fault;
pub mod health;
pub mod listen;
pub mod logging;
pub mod metrics;
pub mod secret;
pub mod turns;
pub mod units;

// Tokens and where their state lives, and users.
pub mod token;

pub mod authn;
pub mod database;
pub mod state;
pub mod users;

// Decisions.
pub mod check;
pub mod limit;

pub mod issue;

pub mod accounts;

pub mod oauth;

// The doors.
pub mod gate;
pub mod ops;
pub mod web;
// At `web`'s desk.
pub mod grpc;

// The roof.
pub mod config;

pub mod app;
pub mod cli;
