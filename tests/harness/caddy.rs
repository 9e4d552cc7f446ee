//! A real Caddy on the shipped Caddyfile.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use super::shipped::{self, Places};

pub struct Caddy {
    pub process: Process,
    _dir: TempDir,
}

impl Caddy {
    pub fn start(program: &Path, file: &str, places: &Places) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let caddyfile = dir.path().join("Caddyfile");
        std::fs::write(&caddyfile, places.put_into(&shipped::read(file))).expect("a writable folder");
        let mut command = Command::new(program);
        command.arg("run").arg("--adapter").arg("caddyfile").arg("--config").arg(&caddyfile);
        command.env("HOME", dir.path()).env("XDG_CONFIG_HOME", dir.path()).env("XDG_DATA_HOME", dir.path());
        let mut process = Process::start("caddy", &mut command);
        process.wait_listening(places.edge);
        Self { process, _dir: dir }
    }
}
