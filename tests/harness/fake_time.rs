//! A wrong clock for one process: libfaketime before its wall clock, so that it jumps while the process runs. Its monotonic
//! clock goes on, as on a machine whose time is set.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub struct FakeTime {
    library: PathBuf,
    dir: TempDir,
}

impl FakeTime {
    /// Right at first. `None` where it is not installed.
    pub fn install() -> Option<Self> {
        super::tools::find("faketime")?;
        // Debian keeps it beside others of the machine's kind.
        let places = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
        let library = places.map(|place| place.join("faketime/libfaketime.so.1")).find(|file| file.exists())?;
        let clock = Self { library, dir: tempfile::tempdir().expect("a temporary folder") };
        clock.jump(0);
        Some(clock)
    }

    /// From now on the clock is wrong by so many seconds.
    pub fn jump(&self, seconds: i64) {
        let new = self.dir.path().join("new");
        fs::write(&new, format!("{seconds:+}")).expect("writable");
        fs::rename(new, self.file()).expect("writable");
    }

    pub fn env(&self) -> Vec<(String, OsString)> {
        let of = |name: &str, value: &Path| (name.to_owned(), value.as_os_str().to_owned());
        vec![
            of("LD_PRELOAD", &self.library),
            of("FAKETIME_TIMESTAMP_FILE", &self.file()),
            of("FAKETIME_NO_CACHE", Path::new("1")),
            of("DONT_FAKE_MONOTONIC", Path::new("1")),
        ]
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("clock")
    }
}
