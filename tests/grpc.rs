//! The gRPC face as its clients meet it: the real binary, asked by tonic's client, by grpcurl and, where those are too polite, by
//! bare HTTP/2. What REST's tests prove of the domain is not proven again; that this face hands it through is.

#![allow(clippy::unwrap_used)] // A test that fails may panic anywhere.

#[path = "grpc/agreement.rs"]
mod agreement;
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
#[path = "accounts/service.rs"]
#[allow(dead_code, reason = "REST's own tests use the rest")]
mod service;
#[path = "grpc/sessions.rs"]
mod sessions;
#[path = "grpc/sign_in.rs"]
mod sign_in;
#[path = "grpc/validate.rs"]
mod validate;
