//! Programs that tests run but cargo does not build: found on PATH, where `./test` puts them.

use std::path::PathBuf;

/// The program's path. `None`, said aloud, where it is not installed; a failure where `./test` promised all of them.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(sbin).map(|dir| dir.join(program)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("DOORWARD_TEST_TOOLS").is_none(), "{program} is not installed");
        eprintln!("skipped: {program} is not installed; ./test installs it");
    }
    found
}

/// Ends the test, with a word, where the program is not installed.
#[macro_export]
macro_rules! need {
    ($program:expr) => {
        match $crate::harness::tools::find($program) {
            Some(path) => path,
            None => return,
        }
    };
}
