//! A real Envoy on a shipped bootstrap.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use super::shipped::{self, Places};

pub struct Envoy {
    pub process: Process,
    _dir: TempDir,
}

impl Envoy {
    pub fn start(program: &Path, file: &str, places: &Places) -> Self {
        Self::start_text(program, &shipped::read(file), places)
    }

    pub fn start_text(program: &Path, text: &str, places: &Places) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let bootstrap = dir.path().join("envoy.yaml");
        std::fs::write(&bootstrap, places.put_into(text)).expect("a writable folder");
        let mut command = Command::new(program);
        // Several Envoys on one machine would share memory by their base id.
        command.args(["--use-dynamic-base-id", "--concurrency", "1", "-l", "warning", "-c"]).arg(&bootstrap);
        let mut process = Process::start("envoy", &mut command);
        process.wait_listening(places.edge);
        Self { process, _dir: dir }
    }
}
