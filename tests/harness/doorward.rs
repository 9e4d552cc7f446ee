//! The real binary, `doorward serve`, on free ports, with a configuration of the test's choosing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Reply, Request};
use super::ports;
use super::process::Process;
use super::wait::answered;

pub struct Doorward {
    pub public: SocketAddr,
    pub check: SocketAddr,
    pub ops: SocketAddr,
    pub process: Process,
    role: String,
    env: Vec<(String, PathBuf)>,
    wrapper: Vec<String>,
    dir: TempDir,
}

/// The pair that `/login` and `/refresh` answer.
#[derive(Clone, Debug)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
}

impl Doorward {
    /// Role `all` with the given configuration over the defaults of a test: an SQLite file and keys of its own, `/login`
    /// open to this machine, no delay at the end. Returns once it is ready.
    pub fn start(config: Value) -> Self {
        Self::start_as("all", config)
    }

    pub fn start_as(role: &str, config: Value) -> Self {
        let mut doorward = Self::spawn(role, config);
        doorward.wait_ready();
        doorward
    }

    /// Starts without waiting, for what must not become ready.
    pub fn spawn(role: &str, config: Value) -> Self {
        Self::spawn_with(role, config, &[])
    }

    /// The same with more in its environment.
    pub fn spawn_with(role: &str, config: Value, env: &[(&str, &Path)]) -> Self {
        Self::spawn_all(role, config, env, &[])
    }

    /// As an argument of another program, such as valgrind.
    pub fn spawn_under(wrapper: &[String], role: &str, config: Value) -> Self {
        Self::spawn_all(role, config, &[], wrapper)
    }

    fn spawn_all(role: &str, config: Value, env: &[(&str, &Path)], wrapper: &[String]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (public, check, ops) = (ports::free(), ports::free(), ports::free());
        let mut all = json!({
            "listen": {"public": public.to_string(), "check": check.to_string(), "ops": ops.to_string()},
            "public_url": format!("http://{public}"),
            "logging": {"mode": "json", "level": "debug"},
            "users": {"url": format!("sqlite:{}", dir.path().join("doorward.db").display())},
            "keys": {"dir": dir.path().join("keys")},
            "auth": {"trusted_login": {"allow_from": ["127.0.0.0/8"]}},
            "shutdown": {"delay": "0s", "finish": "2s"},
        });
        merge(&mut all, config);
        // YAML takes JSON as it is.
        let file = dir.path().join("doorward.yaml");
        std::fs::write(&file, all.to_string()).expect("a writable folder");
        let env: Vec<_> = env.iter().map(|&(name, path)| (name.to_owned(), path.to_owned())).collect();
        let process = serve(role, dir.path(), &env, wrapper);
        Self { public, check, ops, process, role: role.into(), env, wrapper: wrapper.into(), dir }
    }

    /// Ends it as an orchestrator does, and starts it again where it was. Returns once it is ready.
    pub fn restart(&mut self) {
        self.process.signal("TERM");
        assert!(self.process.wait_end().success(), "{}", self.process.output());
        self.start_again();
    }

    /// Starts it where it was, after its end. Returns once it is ready.
    pub fn start_again(&mut self) {
        self.process = serve(&self.role, self.dir.path(), &self.env, &self.wrapper);
        self.wait_ready();
    }

    pub fn wait_ready(&mut self) {
        let ops = self.ops;
        let ready = || Request::get("/readyz").try_send(ops).is_ok_and(|reply| reply.status == 200);
        self.process.wait_until("ready", ready);
    }

    /// Its working folder: `doorward.yaml`, `doorward.db`, `keys/`.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub fn login(&self, user: impl Into<Value>) -> Pair {
        let login = Request::post("/login", &json!({"user_id": user.into()}));
        Pair::of(&answered(|| login.send(self.public)))
    }

    pub fn refresh(&self, refresh: &str) -> Reply {
        Request::post("/refresh", &json!({"refresh": refresh})).send(self.public)
    }

    /// The value of one line of the metrics; 0 where it is not there yet.
    pub fn metric(&self, line: &str) -> f64 {
        let text = Request::get("/metrics").send(self.ops).body;
        let value = text.lines().find_map(|other| other.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Asks as NGINX does, about a GET of `/`.
    pub fn check(&self, token: &str) -> Reply {
        question(token).send(self.check)
    }

    /// The same once it knows: the status.
    pub fn knows(&self, token: &str) -> u16 {
        answered(|| self.check(token)).status
    }

    pub fn logout(&self, bearer: &str) -> Reply {
        Request::new("POST", "/logout").header("Content-Length", "0").bearer(bearer).send(self.public)
    }
}

fn serve(role: &str, folder: &Path, env: &[(String, PathBuf)], wrapper: &[String]) -> Process {
    let mut command = program();
    if let [outer, rest @ ..] = wrapper {
        let inner = std::mem::replace(&mut command, alone(Command::new(outer)));
        command.args(rest).arg(inner.get_program());
    }
    command.arg("serve").arg("-c").arg(folder.join("doorward.yaml")).args(["--role", role]).current_dir(folder);
    command.envs(env.iter().map(|(name, path)| (name, path)));
    Process::start("doorward", &mut command)
}

impl Pair {
    pub fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "a pair of tokens expected: {reply:?}");
        let body = reply.json();
        let token = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned();
        Self { access: token("access"), refresh: token("refresh") }
    }
}

/// What NGINX asks about a GET of `/` with this token.
pub fn question(token: &str) -> Request {
    Request::get("/check/nginx").header("X-Original-Method", "GET").header("X-Original-URI", "/").bearer(token)
}

/// The binary, with none of the machine's own `DOORWARD__…` in its environment.
pub fn program() -> Command {
    alone(Command::new(env!("CARGO_BIN_EXE_doorward")))
}

fn alone(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DOORWARD")) {
        command.env_remove(name);
    }
    command
}

/// Lays `over` on `under`, object by object.
pub fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}
