//! `doorward demo`: the whole of it in one process and in memory, played through once and then left running to try.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::{Doors, Running, ServeOptions};
use crate::config::{Config, Role};
use crate::listen::address::Address;
use crate::units::Span;

/// Short, so that the demo need not wait long to show what a replay after the window does; long enough for a busy machine.
const GRACE: Span = Span::secs(1);
/// How long to ask again where the answer is 503: on a machine that is busy building, the store may miss a check's time.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn run(once: bool) -> Result<ExitCode> {
    let keys = ScratchDir::make().context("making a folder for the demo's keys")?;
    let running = Running::start(&configuration(&keys), ServeOptions { role: Role::All, dev: true }).await?;
    let doors = Urls::of(running.doors());
    let app = toy_app(&doors.check).await?;

    say("Everything runs in this process and in memory. NOTHING IS KEPT when it ends.\n");
    let played = Visitor::new(&doors, app)?.play().await;
    if let Err(failure) = played {
        say(&format!("\nthe demo failed: {failure:#}"));
        running.stop(Duration::ZERO).await;
        return Ok(ExitCode::FAILURE);
    }
    if !once {
        invite(&doors, app);
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    }
    running.stop(Duration::ZERO).await;
    Ok(ExitCode::SUCCESS)
}

fn configuration(keys: &ScratchDir) -> Config {
    let mut config = Config::default();
    let free = || "127.0.0.1:0".to_owned();
    (config.listen.public, config.listen.check, config.listen.ops) = (free(), free(), free());
    config.users.url = "sqlite::memory:".into();
    config.keys.dir = keys.path();
    config.auth.refresh_grace = GRACE;
    config
}

/// Where the planes are.
struct Urls {
    public: String,
    check: String,
    ops: String,
}

impl Urls {
    fn of(doors: &Doors) -> Self {
        let url = |door: Option<&Address>| door.map(|address| format!("http://{address}")).unwrap_or_default();
        Self { public: url(doors.public.as_ref()), check: url(doors.check.as_ref()), ops: url(Some(&doors.ops)) }
    }
}

/// For plain HTTP only, so that it works where there are no certificates: in an empty image.
fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().tls_certs_only([]).no_proxy().build()?)
}

/// A protected application that asks the check plane about every request, as a proxy would for it.
async fn toy_app(check: &str) -> Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let state = Arc::new((client()?, format!("{check}/check/forward")));
    let app = Router::new().fallback(protected).with_state(state);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(addr)
}

async fn protected(State(door): State<Arc<(reqwest::Client, String)>>, request: Request) -> Response {
    let (client, url) = &*door;
    let mut check = client
        .get(url)
        .header("x-forwarded-method", request.method().as_str())
        .header("x-forwarded-uri", request.uri().path())
        .header("x-forwarded-host", "demo");
    if let Some(credential) = request.headers().get("authorization") {
        check = check.header("authorization", credential);
    }
    match check.send().await {
        Ok(answer) if answer.status() == StatusCode::OK => {
            let subject =
                answer.headers().get("x-auth-subject").and_then(|name| name.to_str().ok()).unwrap_or("nobody");
            format!("hello, {subject}\n").into_response()
        }
        Ok(answer) => {
            let reason = answer.headers().get("x-doorward-reason").and_then(|why| why.to_str().ok()).unwrap_or("");
            (answer.status(), format!("refused: {reason}\n")).into_response()
        }
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The client of the play: signs in, visits, refreshes, and tries what a thief would.
struct Visitor {
    client: reqwest::Client,
    session_plane: String,
    app: String,
}

impl Visitor {
    fn new(doors: &Urls, app: SocketAddr) -> Result<Self> {
        Ok(Self { client: client()?, session_plane: doors.public.clone(), app: format!("http://{app}/") })
    }

    async fn play(&self) -> Result<()> {
        let first = self.step("log in", self.login(), |pair| pair["access"].is_string()).await?;
        self.visit("visit the protected app", &first, 200).await?;
        let second = self.step("refresh", self.refresh(&first), |pair| pair["refresh"].is_string()).await?;
        self.visit("visit with the new token", &second, 200).await?;
        let again = self.step("retry the same refresh at once", self.refresh(&first), |_| true).await?;
        ensure!(again["refresh"] == second["refresh"], "a retry must be answered with the same refresh token");

        tokio::time::sleep(GRACE.0 + Duration::from_millis(50)).await;
        self.expect_status("replay the spent refresh token", self.post_refresh(&first), 401).await?;
        self.visit("visit: the replay ended the whole session", &second, 401).await?;

        let third = self.step("log in again", self.login(), |pair| pair["access"].is_string()).await?;
        self.visit("visit", &third, 200).await?;
        self.expect_status("log out", self.post_logout(&third), 200).await?;
        self.visit("visit after the logout", &third, 401).await
    }

    async fn step(
        &self,
        what: &str,
        call: impl Future<Output = Result<Value>>,
        good: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let began = Instant::now();
        let answer = call.await.with_context(|| what.to_owned())?;
        ensure!(good(&answer), "{what}: unexpected answer");
        tell(what, 200, began.elapsed());
        Ok(answer)
    }

    async fn expect_status(&self, what: &str, call: reqwest::RequestBuilder, wanted: u16) -> Result<()> {
        let began = Instant::now();
        let status = send(call).await.with_context(|| what.to_owned())?.status().as_u16();
        ensure!(status == wanted, "{what}: answered {status}, expected {wanted}");
        tell(what, status, began.elapsed());
        Ok(())
    }

    async fn visit(&self, what: &str, pair: &Value, wanted: u16) -> Result<()> {
        let access = pair["access"].as_str().unwrap_or_default();
        self.expect_status(what, self.client.get(&self.app).bearer_auth(access), wanted).await
    }

    async fn login(&self) -> Result<Value> {
        pair(self.client.post(format!("{}/login", self.session_plane)).json(&json!({"user_id": 1}))).await
    }

    async fn refresh(&self, shown: &Value) -> Result<Value> {
        pair(self.post_refresh(shown)).await
    }

    fn post_refresh(&self, shown: &Value) -> reqwest::RequestBuilder {
        self.client.post(format!("{}/refresh", self.session_plane)).json(&json!({"refresh": shown["refresh"]}))
    }

    fn post_logout(&self, shown: &Value) -> reqwest::RequestBuilder {
        let access = shown["access"].as_str().unwrap_or_default();
        self.client.post(format!("{}/logout", self.session_plane)).bearer_auth(access)
    }
}

async fn pair(call: reqwest::RequestBuilder) -> Result<Value> {
    let answer = send(call).await?;
    if !answer.status().is_success() {
        bail!("answered {}", answer.status());
    }
    Ok(answer.json().await?)
}

/// Asks again after a 503, as its `Retry-After` tells clients to.
async fn send(call: reqwest::RequestBuilder) -> Result<reqwest::Response> {
    let began = Instant::now();
    loop {
        let answer = call.try_clone().context("a body that can be sent again")?.send().await?;
        if answer.status() != StatusCode::SERVICE_UNAVAILABLE || began.elapsed() > PATIENCE {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn tell(what: &str, status: u16, took: Duration) {
    say(&format!("  {what:<42} {status}  {:>8.2} ms", took.as_secs_f64() * 1000.0));
}

fn invite(doors: &Urls, app: SocketAddr) {
    say(&format!(
        r#"
It stays up until Ctrl-C. In another terminal:

  session plane  {public}     check plane  {check}     metrics  {ops}/metrics
  protected app  http://{app}/

  curl -i http://{app}/
  PAIR=$(curl -s {public}/login -H 'content-type: application/json' -d '{{"user_id":1}}'); echo "$PAIR"
  ACCESS=$(echo "$PAIR" | sed 's/.*"access":"\([^"]*\)".*/\1/')
  curl -i http://{app}/ -H "Authorization: Bearer $ACCESS"
  curl -i -X POST {public}/logout -H "Authorization: Bearer $ACCESS"
  curl -i http://{app}/ -H "Authorization: Bearer $ACCESS"
"#,
        public = doors.public,
        check = doors.check,
        ops = doors.ops,
    ));
}

#[expect(clippy::print_stdout, reason = "the demo talks to a person")]
fn say(line: &str) {
    println!("{line}");
}

/// A folder of the demo's own that goes when it ends.
struct ScratchDir(std::path::PathBuf);

impl ScratchDir {
    fn make() -> std::io::Result<Self> {
        let name = format!("doorward-demo-{}", crate::secret::base64url(&crate::secret::random_bytes::<9>()));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // Best effort: what stays is a key nobody trusts.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
