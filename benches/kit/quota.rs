//! A share of a CPU for a process: a cgroup (version 1) with a quota, as a container's `--cpus` sets it.

use std::fs;
use std::path::PathBuf;

pub struct Quota(PathBuf);

/// Docker's.
const PERIOD_MICROS: u32 = 100_000;

impl Quota {
    /// `None`, said aloud, where this machine has no such cgroup that we may write.
    pub fn of(cpus: f64) -> Option<Self> {
        let folder = PathBuf::from(format!("/sys/fs/cgroup/cpu/doorward-bench-{}", std::process::id()));
        let quota = (f64::from(PERIOD_MICROS) * cpus) as u32;
        let made = fs::create_dir(&folder)
            .and_then(|()| fs::write(folder.join("cpu.cfs_period_us"), PERIOD_MICROS.to_string()))
            .and_then(|()| fs::write(folder.join("cpu.cfs_quota_us"), quota.to_string()));
        if let Err(error) = made {
            let _ = fs::remove_dir(&folder);
            eprintln!(
                "SKIPPED: no CPU quota can be set here ({}: {error}); it takes root and cgroup v1",
                folder.display()
            );
            return None;
        }
        Some(Self(folder))
    }

    /// What a program is started under, to be held from its first moment, as in a container: it reads its quota when it starts.
    pub fn wrapper(&self) -> Vec<String> {
        let enter = format!("echo $$ >{}; exec \"$@\"", self.0.join("cgroup.procs").display());
        ["sh", "-c", &enter, "sh"].map(str::to_owned).to_vec()
    }

    /// In how many of its periods the process had to wait for the next one, and of how many.
    pub fn throttled(&self) -> (u64, u64) {
        let text = fs::read_to_string(self.0.join("cpu.stat")).unwrap_or_default();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
        };
        (value("nr_throttled "), value("nr_periods "))
    }
}

impl Drop for Quota {
    /// Its process has to have ended.
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
