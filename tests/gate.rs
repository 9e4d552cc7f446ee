//! The check plane's door and its listener on real sockets, with hand-written decisions: what each proxy sends and what
//! it must get back. The numbers are the contract's rules and the security bar's lines.

#![allow(clippy::unwrap_used)] // A test that fails may panic anywhere.

#[path = "gate/credentials.rs"]
mod credentials;
#[path = "harness/door.rs"]
mod door;
#[path = "gate/forms.rs"]
mod forms;
#[path = "gate/grpc.rs"]
mod grpc;
#[path = "gate/listening.rs"]
mod listening;
