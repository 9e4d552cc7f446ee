//! The table: what must be reached, what was measured, and whether it was; printed, and written to docs/benchmarks.md.

use std::fmt;
use std::process::Command;
use std::time::Duration;

pub const FILE: &str = "docs/benchmarks.md";

/// What must be reached. The same unit as what was measured.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    /// A ratio to a floor, at most.
    AtMost(f64),
    /// A ratio to a floor, at least.
    AtLeast(f64),
    /// An absolute figure, at most, in this unit.
    Below(f64, &'static str),
    /// An absolute figure, at least, in this unit.
    Above(f64, &'static str),
    /// Nothing: told for its own sake.
    Told(&'static str),
}

/// One line of the table.
#[derive(Debug)]
pub struct Line {
    what: String,
    mark: Mark,
    measured: f64,
    figures: String,
}

impl Line {
    pub fn new(what: &str, mark: Mark, measured: f64, figures: impl Into<String>) -> Self {
        Self { what: what.into(), mark, measured, figures: figures.into() }
    }

    fn verdict(&self) -> &'static str {
        let met = match self.mark {
            Mark::AtMost(most) | Mark::Below(most, _) => self.measured <= most,
            Mark::AtLeast(least) | Mark::Above(least, _) => self.measured >= least,
            Mark::Told(_) => return "–",
        };
        if met { "pass" } else { "**gap**" }
    }

    fn measured(&self) -> String {
        let digits = if self.measured.abs() < 10.0 { 2 } else { 1 - usize::from(self.measured.abs() >= 1000.0) };
        match self.mark {
            Mark::AtMost(_) | Mark::AtLeast(_) => format!("{:.2} ×", self.measured),
            Mark::Below(_, unit) | Mark::Above(_, unit) | Mark::Told(unit) => {
                format!("{:.digits$} {unit}", self.measured)
            }
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most} ×"),
            Self::AtLeast(least) => write!(f, "≥ {least} ×"),
            Self::Below(most, unit) => write!(f, "≤ {most} {unit}"),
            Self::Above(least, unit) => write!(f, "≥ {least} {unit}"),
            Self::Told(_) => f.write_str("told"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}; {}): {}", self.what, self.measured(), self.mark, self.verdict(), self.figures)
    }
}

#[derive(Debug, Default)]
pub struct Table {
    lines: Vec<(&'static str, Line)>,
}

impl Table {
    pub fn add(&mut self, row: &'static str, line: Line) {
        self.lines.push((row, line));
    }

    pub fn markdown(&self) -> String {
        let mut text =
            "| `./bench` | what | must reach | measured | | figures |\n|---|---|---|---|---|---|\n".to_owned();
        for (row, line) in &self.lines {
            let Line { what, mark, figures, .. } = line;
            let (measured, verdict) = (line.measured(), line.verdict());
            text += &format!("| `{row}` | {what} | {mark} | {measured} | {verdict} | {figures} |\n");
        }
        text
    }

    /// Writes the whole document, with where and how it was measured.
    pub fn write(&self, rounds: usize, turn: Duration) {
        let place =
            format!("- Commit: {}\n- Machine: {}\n- Date: {}\n", commit(), machine(), said("date", &["-u", "+%F"]));
        let text = include_str!("table.md")
            .replace("{place}", &place)
            .replace("{rounds}", &rounds.to_string())
            .replace("{turn}", &format!("{turn:?}"))
            .replace("{table}", &self.markdown());
        std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE), text).expect("a writable folder");
    }
}

fn commit() -> String {
    let id = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed =
        !said("git", &["status", "--porcelain", "--untracked-files=no", "src", "Cargo.toml", "Cargo.lock"]).is_empty();
    if changed { format!("{id} and changes on top") } else { id }
}

fn machine() -> String {
    let of = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let (cpus, kernel) = (of("/proc/cpuinfo"), of("/proc/sys/kernel/osrelease"));
    let named = |name: &str| cpus.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(": ").nth(1));
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let model = named("model name").unwrap_or("an unnamed processor");
    format!("{cores} cores of {model}, Linux {}", kernel.trim())
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
