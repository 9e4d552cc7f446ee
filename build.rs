//! Makes the code of `proto/`, for `src/grpc/v1.rs`. And has the release binary linked so that a checker, which runs beside every
//! pod, holds little of it resident:
//!
//! - Functions that it runs lie side by side. They are a sixth of all, and the kernel maps 64 KiB around each that is called, so
//!   strewn over the file they brought three quarters of it with them (docs/decisions/0014).
//! - Relative relocations are packed, where the machine's C library can read them (glibc 2.36): they are read at every start,
//!   and unpacked they are 0.8 MiB.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    proto()?;
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        order_functions()?;
        pack_relocations();
    }
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

/// By a linker script of what `benches/start-order.txt` lists, which goes before the rest of the code. GNU ld and lld read it;
/// who has chosen another linker goes without.
fn order_functions() -> Result<(), Box<dyn Error>> {
    const LIST: &str = "benches/start-order.txt";
    println!("cargo::rerun-if-changed={LIST}");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let chosen = env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("fuse-ld"));
    if chosen || env::var("CARGO_CFG_TARGET_OS")? != "linux" {
        return Ok(());
    }
    let mut script = String::from("SECTIONS {\n  .text.start : {\n");
    for name in std::fs::read_to_string(LIST)?.lines().filter(|line| !line.starts_with('#')) {
        // Before a hash: its instances, whatever hash the compiler gives them.
        let any = if name.ends_with("17h") { "*" } else { "" };
        script += &format!("    *(.text.{name}{any} .text.unlikely.{name}{any})\n");
    }
    script += "  }\n}\nINSERT BEFORE .text;\n";
    let file = Path::new(&env::var("OUT_DIR")?).join("start.ld");
    std::fs::write(&file, script)?;
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", file.display());
    Ok(())
}

fn pack_relocations() {
    let var = |name| env::var(name).unwrap_or_default();
    let at_home = var("HOST") == var("TARGET") && var("CARGO_CFG_TARGET_ENV") == "gnu";
    if at_home && glibc() >= Some((2, 36)) {
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
