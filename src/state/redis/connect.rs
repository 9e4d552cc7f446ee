//! From `state.url` to fred's settings: where Redis is, how to sign in, whom to trust, how to reconnect.

use std::fs;
use std::time::Duration;

use fred::types::RespVersion;
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectError, ReconnectPolicy, TcpConfig, TlsConfig, TlsConnector,
    TlsHostMapping,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::super::Settings;

/// Why the settings of the token store cannot be used. No variant shows the URL: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("state.url_file {path} cannot be read: {why}")]
    UrlFile { path: String, why: std::io::Error },
    #[error(
        "state.url names no store known here; write redis://, rediss://, redis-sentinel://, redis-cluster:// or unix://"
    )]
    Scheme,
    #[error("state.url cannot be understood: {0}")]
    Url(String),
    #[error("state.ca_file {path} cannot be used: {why}")]
    CaFile { path: String, why: String },
    #[error("the system's trusted certificates cannot be read: {0}; set state.ca_file")]
    SystemRoots(String),
}

const SCHEMES: [&str; 6] =
    ["redis://", "rediss://", "redis-sentinel://", "rediss-sentinel://", "redis-cluster://", "rediss-cluster://"];

/// Everything that a new connection needs.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) performance: PerformanceConfig,
    pub(super) connection: ConnectionConfig,
    pub(super) policy: ReconnectPolicy,
}

impl Plan {
    pub(super) fn new(settings: &Settings) -> Result<Self, ConnectError> {
        let url = read_url(settings)?;
        let mut config = parse(&url, &settings.ca_file)?;
        // A store that is away must not keep us from starting: we start without it and come in when it does.
        config.fail_fast = false;
        config.version = RespVersion::RESP2;
        // From 1 ms up to a second, so that the first attempt is made at once and recovery takes no longer than 5 s (SEC-F1).
        let mut policy = ReconnectPolicy::new_exponential(0, 1, 1000, 2);
        policy.set_jitter(20);
        Ok(Self {
            config,
            performance: PerformanceConfig {
                default_command_timeout: Duration::from_millis(500),
                ..PerformanceConfig::default()
            },
            connection: ConnectionConfig {
                connection_timeout: Duration::from_secs(1),
                internal_command_timeout: Duration::from_secs(1),
                // Each of our calls decides itself whether it may be sent again.
                max_command_attempts: 1,
                // A question that goes alone is two commands: four thousand of them at once.
                max_command_buffer_len: 2 * 4096,
                // A password may be changed, or an ACL file loaded, while we run.
                reconnect_on_auth_error: true,
                reconnect_errors: vec![
                    ReconnectError::ClusterDown,
                    ReconnectError::Loading,
                    ReconnectError::MasterDown,
                    // A demoted primary: ask anew who is primary now.
                    ReconnectError::ReadOnly,
                ],
                tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
                ..ConnectionConfig::default()
            },
            policy,
        })
    }
}

fn read_url(settings: &Settings) -> Result<String, ConnectError> {
    if settings.url_file.is_empty() {
        return Ok(settings.url.clone());
    }
    let text = fs::read_to_string(&settings.url_file)
        .map_err(|why| ConnectError::UrlFile { path: settings.url_file.clone(), why })?;
    Ok(text.trim().to_owned())
}

/// User and password are percent-decoded by fred.
fn parse(url: &str, ca_file: &str) -> Result<Config, ConnectError> {
    let understood = |text: &str| Config::from_url(text).map_err(|error| ConnectError::Url(error.details().to_owned()));
    if let Some(rest) = url.strip_prefix("unix://") {
        return understood(&format!("redis+unix://{rest}"));
    }
    if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(ConnectError::Scheme);
    }
    let Some(rest) = url.strip_prefix("rediss") else {
        return understood(url);
    };
    // fred would read the system's certificates even where a CA file replaces them, so it sees the plain scheme.
    let mut config = understood(&format!("redis{rest}"))?;
    let connector = if ca_file.is_empty() {
        TlsConnector::default_rustls().map_err(|error| ConnectError::SystemRoots(error.details().to_owned()))?
    } else {
        trusting(ca_file)?
    };
    // A cluster names its nodes by address: certificates are for the host name of the node that was asked.
    config.tls = Some(TlsConfig { connector, hostnames: TlsHostMapping::DefaultHost });
    Ok(config)
}

fn trusting(ca_file: &str) -> Result<TlsConnector, ConnectError> {
    let wrong = |why: String| ConnectError::CaFile { path: ca_file.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".into()));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth().into())
}

#[cfg(test)]
mod tests {
    use fred::types::config::ServerConfig;

    use super::*;

    fn plan(url: &str) -> Result<Plan, ConnectError> {
        Plan::new(&Settings { url: url.into(), ..Settings::default() })
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let config = plan("redis://door%40ward:p%2Fw%3A@redis.test:6380/2").unwrap().config;
        assert_eq!(config.username.as_deref(), Some("door@ward"));
        assert_eq!(config.password.as_deref(), Some("p/w:"));
        assert_eq!(config.database, Some(2));
        assert_eq!(config.server, ServerConfig::new_centralized("redis.test", 6380));
    }

    #[test]
    fn every_kind_of_deployment_has_its_url() {
        let sentinel = plan("redis-sentinel://a:26379/0?node=b:26379&sentinelServiceName=main").unwrap();
        assert!(sentinel.config.server.is_sentinel());
        assert!(plan("redis-cluster://a:7000?node=b:7000").unwrap().config.server.is_clustered());
        let unix = plan("unix:///run/redis.sock").unwrap().config.server;
        assert_eq!(unix, ServerConfig::new_unix_socket("/run/redis.sock"));
        assert!(plan("unix://u:p@localhost/run/redis.sock").unwrap().config.password.is_some());
    }

    // SEC-K6
    #[test]
    fn an_error_shows_no_password() {
        for url in
            ["redis://u:canary@", "postgres://u:canary@h/d", "redis://u:canary@h:99999", "redis://u:canary@h/x/y"]
        {
            let shown = format!("{0} {0:?}", plan(url).unwrap_err());
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
