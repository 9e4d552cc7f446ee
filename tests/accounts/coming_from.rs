//! The lines of `docs/coming-from.md`, all of them, in one shell, as someone who moves here would paste them.

use std::path::Path;
use std::process::Command;

use crate::harness::doorward::program;
use crate::need;
use crate::service::{Service, Store};

const PAGE: &str = include_str!("../../docs/coming-from.md");

/// Everything between the lines "```sh" and "```".
fn lines() -> String {
    let mut inside = false;
    let mut found = String::new();
    for line in PAGE.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => found.extend([line, "\n"]),
            _ => {}
        }
    }
    found
}

#[test]
fn the_lines_for_those_who_come_from_another_service_do_what_they_say() {
    need!("curl");
    need!("jq");
    need!("grpcurl");
    let service = Service::start(Store::Sqlite);
    let script = lines().replace("127.0.0.1:8080", &service.public().to_string());
    assert!(script.lines().filter(|line| line.contains("$doorward")).count() > 12, "{script}");
    let doorward = Path::new(program().get_program()).parent().expect("a folder").display().to_string();
    let path = format!("{doorward}:{}", std::env::var("PATH").expect("a path"));
    let mut shell = Command::new("bash");
    shell.args(["-euxo", "pipefail", "-c", &script]).env("PATH", path).current_dir(service.doorward.folder());
    let ran = shell.output().expect("a shell");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}\n{told}", String::from_utf8_lossy(&ran.stdout));
    assert!(told.contains("New accounts: 2;"), "{told}");
}
