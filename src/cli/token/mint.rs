//! `token mint`: a real session's token pair, or a token of another issuer signed with any key; both for tests and scripts.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::super::{ConfigArgs, Outcome, block_on, parts, terminal};
use crate::clock::{Clock, SystemClock};
use crate::config::Role;
use crate::state::Device;
use crate::token::jwt::sign_claims;
use crate::token::keys::Algorithm;
use crate::token::keys::files::read_private;
use crate::token::keys::signing::SigningKey;
use crate::token::{CLIENT_PREFIX, Holder, HolderKind, TokenId};
use crate::units::Span;

/// Opens a session and prints its tokens; with --key, signs a token of another issuer instead
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  doorward token mint --user alice --role admin --scope read
  doorward token mint --key foreign.pem --issuer https://i.example --audience api --sub alice --claim roles='[\"admin\"]'")]
pub(in crate::cli) struct Mint {
    #[command(flatten)]
    config: ConfigArgs,
    /// Whom the session is for
    #[arg(long, value_name = "SUBJECT", required_unless_present = "key", conflicts_with = "key")]
    user: Option<String>,
    /// A role of the holder; may be repeated
    #[arg(long = "role", value_name = "ROLE", requires = "user")]
    roles: Vec<String>,
    /// A scope of the holder; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", requires = "user")]
    scopes: Vec<String>,
    /// How the holder proved itself, in names of RFC 8176; may be repeated
    #[arg(long = "amr", value_name = "METHOD", requires = "user")]
    amr: Vec<String>,
    /// How long the access token is valid, at most as long as the session
    #[arg(long, value_name = "DURATION")]
    lifetime: Option<Span>,
    #[command(flatten)]
    foreign: Foreign,
}

#[derive(Debug, Args)]
struct Foreign {
    /// Sign with this private key (PEM, or FILE.hs256) instead of opening a session
    #[arg(long, value_name = "FILE", requires = "issuer", requires = "sub")]
    key: Option<PathBuf>,
    /// What an RSA key is used for
    #[arg(long, value_enum, requires = "key", default_value_t = Rsa::Rs256)]
    rsa: Rsa,
    /// The `iss` claim
    #[arg(long, value_name = "ISS", requires = "key")]
    issuer: Option<String>,
    /// An audience; may be repeated
    #[arg(long = "audience", value_name = "AUD", requires = "key")]
    audience: Vec<String>,
    /// The subject
    #[arg(long, requires = "key")]
    sub: Option<String>,
    /// One more claim, its value in JSON; may be repeated
    #[arg(long = "claim", value_name = "NAME=JSON", requires = "key")]
    claims: Vec<String>,
    /// The header's `typ`
    #[arg(long, default_value = "at+jwt", requires = "key")]
    typ: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rsa {
    Rs256,
    Ps256,
}

impl Mint {
    pub(in crate::cli) fn run(self) -> Outcome {
        match &self.user {
            Some(user) => self.session(user)?,
            None => terminal::print(&self.foreign.sign(self.lifetime.unwrap_or(Span::minutes(15)))?)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn session(&self, user: &str) -> anyhow::Result<()> {
        if user.starts_with(CLIENT_PREFIX) {
            bail!("`{CLIENT_PREFIX}…` stands for OAuth clients; their tokens come from /oauth2/token");
        }
        let mut config = self.config.load(Role::All)?.config;
        config.auth.access_lifetime = self.lifetime.unwrap_or(config.auth.access_lifetime);
        let _log = parts::log_audit(&config)?;
        let holder = Holder {
            subject: user.to_owned(),
            kind: HolderKind::PlainText,
            roles: self.roles.clone(),
            scope: self.scopes.clone(),
            amr: self.amr.clone(),
        };
        let device = Device { user_agent: "doorward token mint".into(), ip: None };
        let pair = block_on(async {
            let issuer = parts::issuer(&config, parts::store(&config).await?).await?;
            Ok(issuer.open(holder, device, &parts::call()).await?)
        })?;
        terminal::print(&json!({ "access": pair.access, "refresh": pair.refresh }).to_string())
    }
}

impl Foreign {
    fn sign(&self, lifetime: Span) -> anyhow::Result<String> {
        let (Some(file), Some(issuer), Some(subject)) = (&self.key, &self.issuer, &self.sub) else {
            bail!("--key needs --issuer and --sub");
        };
        let bytes = read_private(file)?;
        let rsa = match self.rsa {
            Rsa::Rs256 => Algorithm::RS256,
            Rsa::Ps256 => Algorithm::PS256,
        };
        let key = if file.extension().is_some_and(|ending| ending == "hs256") {
            let kid = file.file_stem().and_then(|stem| stem.to_str()).context("the file's name is its `kid`")?;
            SigningKey::from_secret_text(kid, &bytes)
        } else {
            SigningKey::from_pem(&bytes, |_| Some(rsa))
        };
        let key = key.with_context(|| file.display().to_string())?;
        let now = SystemClock.now();
        let mut claims = Map::from_iter([
            ("iss".to_owned(), Value::from(issuer.as_str())),
            ("sub".to_owned(), subject.as_str().into()),
            ("iat".to_owned(), now.0.into()),
            ("exp".to_owned(), now.plus(lifetime.0).0.into()),
            ("jti".to_owned(), TokenId::fresh().as_str().into()),
        ]);
        match self.audience.as_slice() {
            [] => {}
            [one] => drop(claims.insert("aud".into(), one.as_str().into())),
            several => drop(claims.insert("aud".into(), several.into())),
        }
        for claim in &self.claims {
            let (name, value) = claim.split_once('=').with_context(|| format!("--claim {claim}: write NAME=JSON"))?;
            let value = serde_json::from_str(value)
                .with_context(|| format!("--claim {name}: the value is not JSON; a text is '\"text\"'"))?;
            claims.insert(name.to_owned(), value);
        }
        Ok(sign_claims(&key, &self.typ, &claims)?)
    }
}
