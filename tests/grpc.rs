//! The gRPC face as its clients meet it: the real binary, asked by tonic's client, by grpcurl and, where those are too polite, by
//! bare HTTP/2. What `faces` shows of every face is not shown again.

#![allow(clippy::unwrap_used)] // A test that fails may panic anywhere.

#[path = "grpc/bare.rs"]
mod bare;
#[path = "grpc/client.rs"]
mod client;
#[path = "grpc/form.rs"]
mod form;
mod harness;
#[path = "grpc/limits.rs"]
mod limits;
#[path = "grpc/outages.rs"]
mod outages;
#[path = "grpc/programs.rs"]
mod programs;
#[path = "harness/service.rs"]
mod service;
#[path = "grpc/sign_in.rs"]
mod sign_in;
#[path = "grpc/validate.rs"]
mod validate;
