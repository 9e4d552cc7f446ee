//! Files as they are shipped, run on free ports: the documented addresses are replaced as plain text, nothing else is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Which address stands where in the shipped files.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// The proxy itself, shipped as `127.0.0.1:8000`.
    pub edge: SocketAddr,
    /// The app, shipped as `127.0.0.1:3000`.
    pub app: SocketAddr,
    /// doorward's check plane, shipped as `127.0.0.1:9191`.
    pub check: SocketAddr,
    /// doorward's session plane, shipped as `127.0.0.1:8080`.
    pub session: SocketAddr,
}

impl Places {
    fn documented(&self) -> [(u16, SocketAddr); 4] {
        [(8000, self.edge), (3000, self.app), (9191, self.check), (8080, self.session)]
    }

    /// `host:port`, and the two forms that Envoy and Caddy use for the same.
    pub fn put_into(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (port, address) in self.documented() {
            let new = address.port();
            text = text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{new}"));
            text = text.replace(&format!("port_value: {port}}}"), &format!("port_value: {new}}}"));
            text = text.replace(&format!("http://:{port} "), &format!("http://:{new} "));
        }
        text
    }
}

/// A path inside the project.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
