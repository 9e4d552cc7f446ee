//! The messages, the service and the client of `proto/doorward/v1`, as `build.rs` makes them.

#![allow(missing_debug_implementations, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by us")]

tonic::include_proto!("doorward.v1");

/// The same as descriptors, for reflection.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("doorward.v1");
