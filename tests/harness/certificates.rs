//! Certificates for tests: an authority made for the test, and what it signs, through `openssl`.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

pub(crate) struct Authority {
    dir: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        authority.self_signed("ca", "test authority");
        authority
    }

    /// Its own certificate, for those who trust it.
    pub(crate) fn file(&self) -> PathBuf {
        self.at("ca.crt")
    }

    /// A certificate and its key, signed by this authority, for so many days from now; negative: it has expired. The name is
    /// of the files alone, `san` is what the certificate is for.
    pub(crate) fn issue(&self, name: &str, san: &str, days: i32) -> (PathBuf, PathBuf) {
        let file = |ending: &str| format!("{name}.{ending}");
        let extensions = format!("subjectAltName={san}\nbasicConstraints=CA:FALSE\n");
        fs::write(self.at(&file("ext")), extensions).expect("writable");
        self.openssl(
            &[&["req", "-subj", "/CN=test", "-keyout", &file("key"), "-out", &file("csr")], &KEY[..]].concat(),
        );
        let days = days.to_string();
        let sign = ["x509", "-req", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", &days];
        let files = ["-in", &file("csr"), "-extfile", &file("ext"), "-out", &file("crt")];
        self.openssl(&[&sign[..], &files[..]].concat());
        (self.at(&file("crt")), self.at(&file("key")))
    }

    /// A certificate and its key that no authority signed.
    pub(crate) fn self_signed(&self, name: &str, subject: &str) -> (PathBuf, PathBuf) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        let subject = format!("/CN={subject}");
        let make = ["req", "-x509", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &certificate];
        self.openssl(&[&make[..], &KEY[..]].concat());
        (self.at(&certificate), self.at(&key))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn openssl(&self, args: &[&str]) {
        let dir: &Path = self.dir.path();
        let output = Command::new("openssl").args(args).current_dir(dir).output().expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
