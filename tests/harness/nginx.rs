//! A real NGINX on a shipped server file, in a folder of its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use super::shipped::{self, Places};

pub struct Nginx {
    pub process: Process,
    dir: TempDir,
}

impl Nginx {
    /// Runs `file`, such as `nginx/api.conf`, between `events {}` and `http {}` as a distribution's `conf.d` would.
    pub fn start(program: &Path, file: &str, places: &Places) -> Self {
        Self::start_text(program, &shipped::read(file), places)
    }

    pub fn start_text(program: &Path, server: &str, places: &Places) -> Self {
        let dir = lay(server, places);
        let mut command = command(program, dir.path());
        let mut process = Process::start("nginx", command.args(["-g", "daemon off; master_process off;"]));
        process.wait_listening(places.edge);
        Self { process, dir }
    }

    /// Its prefix: paths in its configuration are relative to it.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }
}

/// `nginx -t` on a server file: what NGINX says where it does not like it.
pub fn verify(program: &Path, server: &str, places: &Places) -> Result<(), String> {
    let dir = lay(server, places);
    let said = command(program, dir.path()).arg("-t").output().map_err(|error| error.to_string())?;
    if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).into_owned()) }
}

fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf")).args(["-e", "stderr"]);
    command
}

/// The folder that NGINX runs in: its main file, the server file, and the snippets beside it.
fn lay(server: &str, places: &Places) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("doorward")).expect("a writable folder");
    fs::create_dir(at("temp")).expect("a writable folder");
    for snippet in fs::read_dir(shipped::path("nginx/doorward")).expect("shipped snippets").flatten() {
        let text = fs::read_to_string(snippet.path()).expect("a readable snippet");
        fs::write(at("doorward").join(snippet.file_name()), places.put_into(&text)).expect("a writable folder");
    }
    fs::write(at("server.conf"), places.put_into(server)).expect("a writable folder");
    // As root, NGINX would change to a user who may not look into this folder.
    let root = fs::metadata(dir.path()).is_ok_and(|folder| folder.uid() == 0);
    let user = if root { "user root;" } else { "" };
    let temp =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path temp/{kind};"));
    let main = format!(
        "{user}\npid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{}\ninclude server.conf;\n}}\n",
        temp.join("\n")
    );
    fs::write(at("nginx.conf"), main).expect("a writable folder");
    dir
}
