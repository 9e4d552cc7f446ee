//! Makes the code of `proto/`, for `src/grpc/v1.rs`. And links the release binary with its relative relocations packed, where
//! the machine's C library can read them (glibc 2.36): they are read at every start, and unpacked they are 0.8 MiB that each
//! sidecar holds resident.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    proto()?;
    pack_relocations();
    Ok(())
}

/// Without `protoc`: what it would make, as a file for reflection and as Rust.
fn proto() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let described = protox::compile(["doorward/v1/auth.proto"], ["proto"])?;
    let folder = env::var("OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("doorward.v1.bin"), described.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(described)?;
    Ok(())
}

fn pack_relocations() {
    let var = |name| env::var(name).unwrap_or_default();
    let at_home = var("HOST") == var("TARGET") && var("CARGO_CFG_TARGET_ENV") == "gnu";
    if at_home && var("PROFILE") == "release" && glibc() >= Some((2, 36)) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Of this machine, which is the one that is built for.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
