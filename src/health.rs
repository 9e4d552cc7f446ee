//! Health: what `/readyz` and the gRPC health service answer. Each dependency adds one probe; the app marks the end.
//! Liveness asks nothing: while the process answers, it lives (SEC-N1).

pub mod calls;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Looks at one dependency and returns at once, from memory: it is asked on every probe.
pub type Probe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What an operator should mend of a dependency, as of now; from memory like a [`Probe`].
pub type Observer = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Shared by all listeners of a process.
#[derive(Default)]
pub struct Health {
    draining: AtomicBool,
    probes: RwLock<Vec<(String, Probe)>>,
    remarks: RwLock<BTreeMap<String, Vec<String>>>,
    observers: RwLock<Vec<(String, Observer)>>,
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dependency under its name. Readiness needs all of them.
    pub fn add(&self, name: impl Into<String>, probe: Probe) {
        self.probes.write().unwrap_or_else(PoisonError::into_inner).push((name.into(), probe));
    }

    /// What an operator should mend of a dependency that works all the same; replaces what was said of it before.
    pub fn set_remarks(&self, name: &str, remarks: Vec<String>) {
        self.remarks.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), remarks);
    }

    /// Adds whoever looks for remarks anew each time they are asked for.
    pub fn observe(&self, name: impl Into<String>, observer: Observer) {
        self.observers.write().unwrap_or_else(PoisonError::into_inner).push((name.into(), observer));
    }

    pub fn remarks(&self) -> BTreeMap<String, Vec<String>> {
        let mut remarks = self.remarks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, observer) in &*self.observers.read().unwrap_or_else(PoisonError::into_inner) {
            remarks.entry(name.clone()).or_default().extend(observer());
        }
        remarks.retain(|_, remarks| !remarks.is_empty());
        remarks
    }

    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on not ready, for good: the process is leaving (SEC-N2).
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn ready(&self) -> Report {
        let probes = self.probes.read().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<_> = probes.iter().map(|(name, probe)| (name.clone(), probe())).collect();
        if self.draining() {
            lines.push(("shutdown".into(), Err("the process is draining".into())));
        }
        Report { ready: lines.iter().all(|(_, state)| state.is_ok()), lines }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("draining", &self.draining).finish_non_exhaustive()
    }
}

/// Whether all is well, and how each dependency is. Displayed one a line: `state: ok`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub ready: bool,
    pub lines: Vec<(String, Result<(), String>)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, state) in &self.lines {
            match state {
                Ok(()) => writeln!(f, "{name}: ok")?,
                Err(why) => writeln!(f, "{name}: {why}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-N1
    #[test]
    fn readiness_needs_every_dependency_and_ends_with_the_drain() {
        let (health, up) = (Health::new(), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&up);
        health.add("keys", Arc::new(|| Ok(())));
        health.add("state", Arc::new(move || if seen.load(Ordering::Relaxed) { Ok(()) } else { Err("away".into()) }));
        assert!(!health.ready().ready);
        assert_eq!(health.ready().to_string(), "keys: ok\nstate: away\n");
        up.store(true, Ordering::Relaxed);
        assert!(health.ready().ready);
        health.set_draining();
        assert!(!health.ready().ready);
    }
}
