//! Private Redis servers for tests: on a free port and a Unix socket, with what a test asks for (ACL, TLS, replicas, cluster),
//! to be killed, stopped, restarted and flushed. Each ends with its test, by its own process id.

#![allow(dead_code)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::certificates::Authority;
use super::ports;

/// The default user's password.
pub(crate) const PASSWORD: &str = "s3cret/of:tests";
/// The same, percent-encoded for a URL.
pub(crate) const PASSWORD_IN_URL: &str = "s3cret%2Fof%3Atests";

/// Debian's.
const REDIS: &str = "redis-server";

/// The server that tests run on: Redis, unless the environment names another, as `./test` does for Valkey.
fn program() -> OsString {
    std::env::var_os("DOORWARD_TEST_REDIS_SERVER").unwrap_or_else(|| REDIS.into())
}

/// Whether tests can have Redis here. Where not, they say so and pass: only Debian's base is promised.
pub(crate) fn available() -> bool {
    let found = Command::new(program()).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("SKIPPED: redis-server is not installed");
    }
    found
}

pub(crate) struct RedisServer {
    program: OsString,
    child: Option<Child>,
    dir: TempDir,
    port: u16,
    tls: Option<(Authority, u16)>,
    env: Vec<(String, OsString)>,
    options: Vec<String>,
}

impl RedisServer {
    /// With a password, an append-only file, and nothing else.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Options as on the server's command line.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let mut server = Self::laid_out(options);
        server.run();
        server
    }

    /// Another program than the one under test, with more in its environment.
    pub(crate) fn start_program(program: &OsStr, env: Vec<(String, OsString)>) -> Self {
        let mut server = Self::laid_out(&[]);
        (server.program, server.env) = (program.to_owned(), env);
        server.run();
        server
    }

    /// With a folder and a port, and not running yet.
    fn laid_out(options: &[&str]) -> Self {
        Self {
            program: program(),
            child: None,
            dir: tempfile::tempdir().expect("a temporary directory"),
            port: ports::free().port(),
            tls: None,
            env: Vec::new(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        }
    }

    /// With TLS too, under a certificate for `localhost` of an authority made for this test.
    pub(crate) fn start_with_tls() -> Self {
        let (authority, tls_port) = (Authority::new(), ports::free().port());
        let (certificate, key) = authority.issue("localhost", "DNS:localhost", 2);
        let port = tls_port.to_string();
        let files = [&certificate, &key, &authority.file()].map(|file| file.display().to_string());
        let [certificate, key, ca] = files.each_ref().map(String::as_str);
        let mut server = Self::laid_out(&[
            "--tls-port",
            &port,
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            certificate,
            "--tls-key-file",
            key,
            "--tls-ca-cert-file",
            ca,
        ]);
        // Packages of other servers come without TLS; Debian's Redis has it.
        server.program = REDIS.into();
        server.tls = Some((authority, tls_port));
        server.run();
        server
    }

    /// A replica of another server.
    pub(crate) fn start_replica_of(primary: &Self) -> Self {
        let port = primary.port.to_string();
        let replica = Self::start_with(&["--replicaof", "127.0.0.1", &port, "--masterauth", PASSWORD]);
        // The replica says `up` before the primary counts it, and the primary sends it nothing before its first
        // acknowledgement, up to a second later.
        replica.wait_until("it follows its primary", || {
            let told = primary.cli(&["INFO", "replication"]);
            let online = format!("port={},state=online,offset=", replica.port);
            let acknowledged = told.split_once(&online).is_some_and(|(_, rest)| !rest.starts_with("0,"));
            acknowledged && replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
        });
        replica
    }

    /// A cluster of one server that has every slot: enough to forbid what crosses slots.
    pub(crate) fn start_cluster() -> Self {
        let server = Self::start_with(&["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]);
        let slots: Vec<String> = (0..16384).map(|slot| slot.to_string()).collect();
        let mut command = vec!["CLUSTER", "ADDSLOTS"];
        command.extend(slots.iter().map(String::as_str));
        server.cli(&command);
        server.wait_until("the cluster is ready", || server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn url(&self) -> String {
        self.url_by(self.address())
    }

    /// By way of a relay.
    pub(crate) fn url_by(&self, relay: SocketAddr) -> String {
        format!("redis://:{PASSWORD_IN_URL}@{relay}")
    }

    pub(crate) fn url_as(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}", self.port)
    }

    pub(crate) fn cluster_url(&self) -> String {
        format!("redis-cluster://:{PASSWORD_IN_URL}@127.0.0.1:{}", self.port)
    }

    pub(crate) fn unix_url(&self) -> String {
        format!("unix://:{PASSWORD_IN_URL}@localhost{}", self.socket().display())
    }

    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://:{PASSWORD_IN_URL}@localhost:{}", self.tls.as_ref().expect("started with TLS").1)
    }

    /// The authority that signed the server's certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.tls.as_ref().expect("started with TLS").0.file()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Runs a command as the default user and gives its output.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--no-auth-warning", "-a", PASSWORD])
            .args(args)
            .output()
            .expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(crate) fn flush_all(&self) {
        assert_eq!(self.cli(&["FLUSHALL"]), "OK");
    }

    /// Ends the process as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it was running");
            child.wait().expect("it ends");
        }
    }

    /// Starts it again where it was, with what it had kept.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Starts it again, without waiting until it has loaded what it had kept.
    pub(crate) fn restart_without_waiting(&mut self) {
        self.kill();
        self.spawn();
    }

    pub(crate) fn wait_loaded(&self) {
        self.wait_until("redis-server has loaded", || self.cli(&["PING"]) == "PONG");
    }

    /// A replica that hears no more of its primary: what is written from now on it never sees.
    pub(crate) fn stop_following(&self, primary: &Self) {
        assert_eq!(self.cli(&["CONFIG", "SET", "masterauth", "wrong"]), "OK");
        primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]);
        self.wait_until("it has lost its primary", || {
            self.cli(&["INFO", "replication"]).contains("master_link_status:down")
        });
    }

    /// So that it can follow another one.
    pub(crate) fn may_follow_again(&self) {
        assert_eq!(self.cli(&["CONFIG", "SET", "masterauth", PASSWORD]), "OK");
    }

    /// Writes what it has to a dump that `restore` goes back to. For a server started with `--appendonly no`.
    pub(crate) fn back_up(&self) {
        assert_eq!(self.cli(&["SAVE"]), "OK");
        fs::copy(self.dir.path().join("dump.rdb"), self.dir.path().join("backup.rdb")).expect("a dump");
    }

    /// Starts it again from that dump: all that was written since is lost.
    pub(crate) fn restore(&mut self) {
        self.kill();
        fs::copy(self.dir.path().join("backup.rdb"), self.dir.path().join("dump.rdb")).expect("a backup");
        self.run();
    }

    /// Stops the process without closing its connections (SIGSTOP).
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    pub(crate) fn wait_until(&self, what: &str, fact: impl Fn() -> bool) {
        let start = Instant::now();
        while !fact() {
            assert!(start.elapsed() < Duration::from_secs(15), "in vain waited until {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn run(&mut self) {
        self.spawn();
        self.wait_loaded();
    }

    /// Returns once it listens.
    fn spawn(&mut self) {
        let log = self.dir.path().join("redis.log");
        let child = Command::new(&self.program)
            .envs(self.env.iter().cloned())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--unixsocket", &self.socket().display().to_string(), "--unixsocketperm", "700"])
            .args(["--dir", &self.dir.path().display().to_string(), "--requirepass", PASSWORD])
            // Each write is the system's before it is answered, and so outlives a killed server; `everysec` may put it off.
            .args(["--appendonly", "yes", "--appendfsync", "no", "--save", "", "--daemonize", "no"])
            // A primary counts its replica's first acknowledgement once it has sent it something: a ping, if nothing else.
            .args(["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--loglevel", "warning"])
            .args(&self.options)
            .args(["--logfile", &log.display().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        self.child = Some(child);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.as_mut().expect("just started").try_wait().expect("its state");
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "redis-server ended on port {}: {}", self.port, said());
            assert!(start.elapsed() < Duration::from_secs(15), "redis-server does not listen: {}", said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // SIGKILL ends a stopped process too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A Sentinel that watches one primary under the name `main`, and promotes its replica soon after it died.
pub(crate) struct Sentinel {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Sentinel {
    pub(crate) fn start(primary: &RedisServer) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (port, conf) = (ports::free().port(), dir.path().join("sentinel.conf"));
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel auth-pass main {PASSWORD}\nsentinel down-after-milliseconds main 2000\n\
             sentinel failover-timeout main 3000\n",
            dir.path().display(),
            primary.port
        );
        fs::write(&conf, text).expect("writable");
        let child = Command::new(program())
            .arg(&conf)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let sentinel = Self { child, port, _dir: dir };
        // It learns of the replicas from the primary, once in ten seconds at first at the latest.
        primary.wait_until("the sentinel knows the replica", || {
            sentinel.cli(&["SENTINEL", "REPLICAS", "main"]).contains("slave-priority")
        });
        sentinel
    }

    pub(crate) fn url(&self) -> String {
        format!("redis-sentinel://:{PASSWORD_IN_URL}@127.0.0.1:{}/0?sentinelServiceName=main", self.port)
    }

    fn cli(&self, args: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(args).output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).into_owned()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
