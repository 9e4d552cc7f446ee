//! Private PostgreSQL and MariaDB servers for tests, on a free loopback port and in a folder of their own. One of each serves
//! all tests of a binary, each test with its own database. They end with the process that started them, however that ends: a
//! guard waits for its input to close, then stops the server and removes its folder.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::{Connection, Executor, MySqlConnection, PgConnection};
use tokio::sync::OnceCell;

use super::ports;

/// Both refuse to run as root; Debian's account of nobody.
const NOBODY: u32 = 65534;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Postgres,
    MariaDb,
}

/// A running server.
#[derive(Debug)]
struct Running {
    port: u16,
    /// Its guard ends with this.
    _guard: (Child, ChildStdin),
}

static POSTGRES: OnceCell<Option<Running>> = OnceCell::const_new();
static MARIADB: OnceCell<Option<Running>> = OnceCell::const_new();
static DATABASES: AtomicUsize = AtomicUsize::new(0);

impl Server {
    pub(crate) const ALL: [Self; 2] = [Self::Postgres, Self::MariaDb];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        }
    }

    /// The URL of a new, empty database on this server. `None`, said aloud, where it is not installed; a failure where
    /// `./test` promised it.
    pub(crate) async fn database(self) -> Option<String> {
        let port = self.running().await?.port;
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        let server = self.url(port, "");
        match self {
            Self::Postgres => {
                let mut connection = PgConnection::connect(&server).await.expect("PostgreSQL answers");
                connection.execute(create).await.expect("a new database");
            }
            Self::MariaDb => {
                let mut connection = MySqlConnection::connect(&server).await.expect("MariaDB answers");
                connection.execute(create).await.expect("a new database");
            }
        }
        Some(self.url(port, &name))
    }

    fn url(self, port: u16, database: &str) -> String {
        match self {
            Self::Postgres if database.is_empty() => format!("postgres://doorward@127.0.0.1:{port}/postgres"),
            Self::Postgres => format!("postgres://doorward@127.0.0.1:{port}/{database}"),
            Self::MariaDb => format!("mysql://root@127.0.0.1:{port}/{database}"),
        }
    }

    async fn running(self) -> Option<&'static Running> {
        let cell = match self {
            Self::Postgres => &POSTGRES,
            Self::MariaDb => &MARIADB,
        };
        cell.get_or_init(|| async move {
            let bin = self.installed()?;
            let port = tokio::task::spawn_blocking(move || self.start(&bin)).await.expect("it starts");
            self.wait_until_it_answers(port.port).await;
            Some(port)
        })
        .await
        .as_ref()
    }

    /// The folder of its programs.
    fn installed(self) -> Option<PathBuf> {
        let found = match self {
            Self::Postgres => {
                let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
                versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max()
            }
            Self::MariaDb => {
                ["/usr/sbin", "/usr/bin"].map(PathBuf::from).into_iter().find(|bin| bin.join("mariadbd").exists())
            }
        };
        if found.is_none() {
            assert!(std::env::var_os("DOORWARD_TEST_TOOLS").is_none(), "{} is not installed", self.name());
            eprintln!("SKIPPED: {} is not installed; ./test installs it", self.name());
        }
        found
    }

    fn start(self, bin: &Path) -> Running {
        let dir =
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory").keep();
        if is_root() {
            chown(&dir, Some(NOBODY), Some(NOBODY)).expect("the folder is given away");
        }
        let (data, port) = (dir.join("data"), ports::free().port());
        let text = |path: &Path| path.display().to_string();
        let listen = port.to_string();
        match self {
            Self::Postgres => {
                let made = as_nobody(&bin.join("initdb"))
                    .args(["--pgdata", &text(&data), "--username=doorward", "--auth=trust", "--no-sync"])
                    .args(["--encoding=UTF8", "--locale=C.UTF-8"])
                    .stdout(Stdio::null())
                    .status();
                assert!(made.expect("initdb runs").success());
            }
            Self::MariaDb => {
                let made = as_nobody(Path::new("mariadb-install-db"))
                    .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                    .arg(format!("--datadir={}", text(&data)))
                    .stdout(Stdio::null())
                    .status();
                assert!(made.expect("mariadb-install-db runs").success());
            }
        }
        // Nothing here must outlive a power cut, so nothing waits for a disk.
        let server = match self {
            Self::Postgres => {
                let mut server = as_nobody(&bin.join("postgres"));
                server.args(["-D", &text(&data), "-p", &listen, "-k", &text(&dir), "-c", "listen_addresses=127.0.0.1"]);
                server.args(["-c", "fsync=off", "-c", "max_connections=400", "-c", "log_min_messages=fatal"]);
                server
            }
            Self::MariaDb => {
                let mut server = as_nobody(&bin.join("mariadbd"));
                server.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"]);
                server.args([
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-buffer-pool-size=64M",
                    "--max-connections=400",
                ]);
                server.arg(format!("--datadir={}", text(&data))).arg(format!("--socket={}", text(&dir.join("socket"))));
                server.arg(format!("--port={listen}")).arg(format!("--pid-file={}", text(&dir.join("pid"))));
                server
            }
        };
        let mut guard = Command::new("sh");
        guard.args(["-c", "\"$@\" & cat; kill -QUIT $!; wait $!; rm -rf \"$0\"", &text(&dir)]);
        guard.arg(server.get_program()).args(server.get_args());
        let mut child =
            guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts");
        let input = child.stdin.take().expect("a pipe");
        Running { port, _guard: (child, input) }
    }

    async fn wait_until_it_answers(self, port: u16) {
        let url = self.url(port, "");
        let begun = tokio::time::Instant::now();
        loop {
            let answered = match self {
                Self::Postgres => PgConnection::connect(&url).await.map(drop),
                Self::MariaDb => MySqlConnection::connect(&url).await.map(drop),
            };
            match answered {
                Ok(()) => return,
                Err(error) => {
                    assert!(begun.elapsed() < Duration::from_secs(60), "{} does not start: {error}", self.name())
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| {
        let id = Command::new("id").arg("-u").output().expect("id runs");
        id.stdout.trim_ascii() == b"0"
    })
}

/// The program, under an account that these servers accept.
fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let id = NOBODY.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}
