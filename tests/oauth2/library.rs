//! A standard client library of another language: Authlib, in Python, by the metadata alone.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::tools;
use crate::server::{GATEWAY, SECRET, Server};
use crate::service::{PASSWORD, Store};

#[test]
fn authlib_gets_refreshes_introspects_and_revokes_tokens() {
    let Some(python) = tools::find("python3") else { return };
    let known = Command::new(&python).args(["-c", "import authlib, requests"]).output().unwrap();
    if !known.status.success() {
        assert!(std::env::var_os("DOORWARD_TEST_TOOLS").is_none(), "Authlib is not installed; run ./test --tools");
        eprintln!("skipped: Authlib is not installed; ./test installs it");
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key.pem"])
        .current_dir(&keys)
        .output();
    assert!(made.unwrap().status.success());
    let server = Server::start(Store::Sqlite);
    server.service.register("alice@example.com");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauth2/library.py");
    let told = json!({
        "base": format!("http://{}", server.service.public()),
        "secret": SECRET,
        "gateway": GATEWAY,
        "password": PASSWORD,
        "key": keys.path().join("key.pem"),
        "jwks": server.batch.jwks_file(),
    });
    let run = Command::new(python).arg(script).arg(told.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said == "all went well\n", "{said}{}", String::from_utf8_lossy(&run.stderr));
}
