//! What the types can't say: how values must fit together. Each check names the key, what is wrong and the fix; all run.

mod accounts;
mod clients;
mod store;

use std::time::Duration;

use crate::check::headers::HeaderPlan;
use crate::check::policy::Policy;
use crate::config::files::told_by_room;
use crate::config::finding::{Finding, Severity};
use crate::config::{Config, Inputs, Role};
use crate::listen::address::Address;
use crate::token::keys::Algorithm;

/// Whoever lets a logout go unseen for longer hardly means to.
const LONG_UNSEEN: Duration = Duration::from_secs(600);

/// Everything wrong with the configuration for what it is to do.
pub(super) fn all(config: &Config, inputs: &Inputs) -> Vec<Finding> {
    let (role, mut told) = (inputs.role, Told::default());
    if role != Role::Check {
        issuer_side(config, inputs.dev, &mut told);
    }
    if role != Role::Issuer {
        check_side(config, inputs, &mut told);
    }
    common(config, role, &mut told);
    told.0
}

#[derive(Default)]
struct Told(Vec<Finding>);

impl Told {
    fn error_if(&mut self, wrong: bool, key: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) {
        if wrong {
            self.0.push(Finding::error(key, what, fix));
        }
    }

    fn warn_if(&mut self, wrong: bool, key: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) {
        if wrong {
            self.0.push(Finding::new(Severity::Warning, key, what, fix));
        }
    }

    /// The finding just told is about these keys too.
    fn pair_if(&mut self, wrong: bool, key: &'static str, other: &'static str, what: String, fix: &str) {
        if wrong {
            self.0.push(Finding::error(key, what, fix).resting_on(&[other]));
        }
    }
}

fn common(config: &Config, role: Role, told: &mut Told) {
    let listen = &config.listen;
    let doors = [
        ("listen.public", &listen.public, role != Role::Check),
        ("listen.check", &listen.check, role != Role::Issuer),
        ("listen.ops", &listen.ops, true),
    ];
    for (at, (key, address, used)) in doors.iter().enumerate() {
        let fix = "write host:port, such as 127.0.0.1:9191, or unix:/run/doorward/check.sock";
        told.error_if(
            *used && address.parse::<Address>().is_err(),
            *key,
            format!("`{address}` is not an address to listen on"),
            fix,
        );
        let taken = doors[..at].iter().find(|(_, other, other_used)| *used && *other_used && other == address);
        if let Some((other, ..)) = taken.filter(|_| !address.ends_with(":0")) {
            told.0.push(Finding::error(*key, format!("`{address}` is `{other}` already"), "give each plane its own"));
        }
    }
    told.warn_if(
        listen.trusted_proxies.iter().any(|network| network.prefix_len() == 0),
        "listen.trusted_proxies",
        "everyone counts as a proxy, so any client may say what it likes about itself and its request",
        "name the addresses of your proxies",
    );
    told.error_if(config.workers > 1024, "workers", "more than 1024 threads", "write 0: one a core");
    let otlp = &config.logging.otlp_endpoint;
    let fix = "write it as http://127.0.0.1:4317";
    told.error_if(
        !otlp.is_empty() && web_url(otlp).is_none(),
        "logging.otlp_endpoint",
        "this is not an http or https URL",
        fix,
    );
    store::judge(config, role, told);
    told.error_if(
        config.shutdown.finish.0.is_zero(),
        "shutdown.finish",
        "0 would cut off requests in flight",
        "write 25s",
    );
}

fn issuer_side(config: &Config, dev: bool, told: &mut Told) {
    let auth = &config.auth;
    let public = web_url(&config.public_url);
    let bare = public.as_ref().is_some_and(|url| url.query().is_none() && url.fragment().is_none());
    let fix = "write it as https://auth.example.com";
    told.error_if(!bare, "public_url", "this is not an absolute http or https URL without query and fragment", fix);
    let second = Duration::from_secs(1);
    let spans = [
        ("auth.access_lifetime", auth.access_lifetime, "15m"),
        ("auth.refresh_lifetime", auth.refresh_lifetime, "168h"),
        ("auth.auto_logout", auth.auto_logout, "24h"),
    ];
    for (key, span, usual) in spans {
        told.error_if(span.0 < second, key, format!("{span} is under a second"), format!("write {usual}"));
    }
    let (access, refresh, grace) = (auth.access_lifetime, auth.refresh_lifetime, auth.refresh_grace);
    told.pair_if(
        access.0 >= second && refresh.0 >= second && access >= refresh,
        "auth.access_lifetime",
        "auth.refresh_lifetime",
        format!("{access} is not shorter than auth.refresh_lifetime, {refresh}: no token would ever be refreshed"),
        "make it shorter than auth.refresh_lifetime",
    );
    told.pair_if(
        grace.0 > Duration::from_secs(60) || grace >= refresh,
        "auth.refresh_grace",
        "auth.refresh_lifetime",
        format!("for {grace} a stolen refresh token would be answered beside its owner's"),
        "write a few seconds: 3s; at most 60s",
    );
    told.warn_if(
        access.0 > Duration::from_secs(24 * 3600),
        "auth.access_lifetime",
        format!("{access} is long for an access token"),
        "use minutes; refreshing is what carries a session on",
    );
    told.error_if(config.keys.dir.is_empty(), "keys.dir", "no folder is named", "write keys");
    accounts::judge(config, told);
    clients::judge(config, told);
    trusted_login(config, dev, told);
}

/// Who may log anyone in (SEC-K9).
fn trusted_login(config: &Config, dev: bool, told: &mut Told) {
    let (trusted, public) = (&config.auth.trusted_login, &config.listen.public);
    let wide = trusted.allow_from.iter().any(|network| network.prefix_len() == 0);
    let fix = "name the networks of your back ends, or use auth.trusted_login.caller_keys_file";
    let (key, what) = ("auth.trusted_login.allow_from", "everyone may log in as anyone");
    told.error_if(wide && !is_loopback(public), key, what, fix);
    told.warn_if(wide && is_loopback(public), key, what, fix);
    let guarded = !trusted.allow_from.is_empty() || !trusted.caller_keys_file.is_empty();
    let what = format!("--dev does not serve on {public}, which others can reach");
    let fix = "listen on 127.0.0.1, or set auth.trusted_login.caller_keys_file or auth.trusted_login.allow_from";
    told.error_if(dev && !guarded && !is_loopback(public), "listen.public", what, fix);
}

fn check_side(config: &Config, inputs: &Inputs, told: &mut Told) {
    let check = &config.check;
    if inputs.role == Role::Check {
        let any_key = !check.jwks.is_empty() || !check.hs256_secret_file.is_empty() || !config.issuers.is_empty();
        let fix = "set check.jwks to the issuer's /.well-known/jwks.json (https; http on loopback), or to a file";
        told.error_if(!any_key, "check.jwks", "role `check` has no key to verify tokens with", fix);
        if check.jwks.contains("://") {
            told.error_if(!is_safe_url(&check.jwks), "check.jwks", NOT_SAFE, SAFE_FIX);
        }
    }
    let cache = &check.cache;
    told.error_if(
        cache.max_entries == 0,
        "check.cache.max_entries",
        "0 would ask the store at every check",
        "write 1 or more",
    );
    told.error_if(
        cache.max_bytes.0 == 0,
        "check.cache.max_bytes",
        "0 would ask the store at every check",
        "write 128MiB",
    );
    let least = Duration::from_millis(100);
    let fix = "write 100ms or more; 5s is usual";
    told.error_if(cache.max_staleness.0 < least, "check.cache.max_staleness", "the log can't be read that often", fix);
    let outage = cache.max_staleness_on_error;
    let bounds = [
        ("check.cache.max_staleness", cache.max_staleness, "5s"),
        ("check.cache.max_staleness_on_error", outage, "30s"),
    ];
    for (key, bound, usual) in bounds {
        told.warn_if(
            bound.0 > LONG_UNSEEN,
            key,
            format!("for {bound} a checker that is cut off would let ended sessions pass"),
            format!("{usual} is usual"),
        );
    }
    told.pair_if(
        !outage.0.is_zero() && outage < cache.max_staleness,
        "check.cache.max_staleness_on_error",
        "check.cache.max_staleness",
        format!("{outage} is shorter than check.cache.max_staleness, {}", cache.max_staleness),
        "write 0 to answer 503 at once, or at least check.cache.max_staleness",
    );
    told.pair_if(
        cache.activity_interval.0 < least || cache.activity_interval.0 * 2 > config.auth.auto_logout.0,
        "check.cache.activity_interval",
        "auth.auto_logout",
        format!("{} does not fit auth.auto_logout, {}", cache.activity_interval, config.auth.auto_logout),
        "write at most half of auth.auto_logout, and 100ms or more",
    );
    // The rooms judge their own settings, in words that name the key.
    if let Err(error) = HeaderPlan::new(&check.headers) {
        told.0.push(told_by_room(&error.to_string(), "check.headers"));
    }
    if let Err(error) = Policy::compile(&check.rules, inputs.dev) {
        told.0.extend(error.0.iter().map(|fault| told_by_room(fault, "check.rules")));
    }
    let cookie = &check.cookie;
    let fix = "use letters, digits, hyphens and underscores: __Host-doorward";
    told.error_if(!cookie.is_empty() && !is_token(cookie), "check.cookie", "this is no name of a cookie", fix);
    let fix = "call it __Host-…: browsers then keep other hosts and paths from setting it";
    let unprefixed = !cookie.is_empty() && is_token(cookie) && !cookie.starts_with("__Host-");
    told.warn_if(unprefixed, "check.cookie", "the name is without the prefix `__Host-`", fix);
    let sign_in = &check.sign_in_url;
    let fix = "write it as https://auth.example.com/sign-in";
    let relative = !sign_in.is_empty() && web_url(sign_in).is_none();
    told.error_if(relative, "check.sign_in_url", "this is not an absolute http or https URL", fix);
    let no_audience =
        config.auth.audience.iter().all(String::is_empty) || config.auth.audience.contains(&String::new());
    told.error_if(
        no_audience,
        "auth.audience",
        "an empty audience would match other services' tokens",
        "name one: [doorward]",
    );
    let issuer = &config.auth.issuer;
    told.error_if(issuer.is_empty(), "auth.issuer", "the issuer has no name", "write doorward, or your public_url");
    issuers(config, told);
}

const NOT_SAFE: &str = "keys must come over https, or over http from this machine itself";
const SAFE_FIX: &str = "write an https URL (http only for 127.0.0.1, ::1 or localhost)";

fn issuers(config: &Config, told: &mut Told) {
    for (at, issuer) in config.issuers.iter().enumerate() {
        let key = |name: &str| format!("issuers[{at}]{}{name}", if name.is_empty() { "" } else { "." });
        told.error_if(
            issuer.issuer.is_empty(),
            key("issuer"),
            "the issuer has no name",
            "write its `iss` claim, byte for byte",
        );
        let same =
            issuer.issuer == config.auth.issuer || config.issuers[..at].iter().any(|one| one.issuer == issuer.issuer);
        let fix = "each issuer stands once, and none bears the name of auth.issuer";
        told.error_if(
            same && !issuer.issuer.is_empty(),
            key("issuer"),
            format!("`{}` is known already", issuer.issuer),
            fix,
        );
        let given =
            [&issuer.jwks_url, &issuer.jwks_file, &issuer.discovery].iter().filter(|one| !one.is_empty()).count();
        let what = if given == 0 { "no source of keys is given" } else { "more than one source of keys is given" };
        told.error_if(given != 1, key(""), what, "give exactly one of jwks_url, jwks_file and discovery");
        for (name, url) in [("jwks_url", &issuer.jwks_url), ("discovery", &issuer.discovery)] {
            told.error_if(!url.is_empty() && !is_safe_url(url), key(name), NOT_SAFE, SAFE_FIX);
        }
        let shared = issuer.algorithms.contains(&Algorithm::HS256);
        let what = "another issuer's tokens are verified by public keys; HS256 has none";
        told.error_if(shared, key("algorithms"), what, "name EdDSA, ES256, RS256 or PS256");
        let what = "without an audience, tokens the issuer made for other services pass here";
        told.warn_if(
            issuer.audience.is_empty(),
            key("audience"),
            what,
            "name the audience that stands for this service",
        );
    }
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    address.starts_with("unix:") || is_loopback_host(host)
}

fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn web_url(text: &str) -> Option<reqwest::Url> {
    let url = reqwest::Url::parse(text).ok()?;
    (["http", "https"].contains(&url.scheme()) && url.has_host()).then_some(url)
}

/// https, or http to this machine.
fn is_safe_url(text: &str) -> bool {
    web_url(text).is_some_and(|url| url.scheme() == "https" || url.host_str().is_some_and(is_loopback_host))
}

/// A token of RFC 9110 section 5.6.2, which is what a cookie may be called.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
