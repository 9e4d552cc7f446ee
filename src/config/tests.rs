//! How a configuration behaves as a whole.

use super::*;
use crate::config::load::Inputs;
use crate::units::Span;

struct Case {
    dir: tempfile::TempDir,
    inputs: Inputs,
}

impl Case {
    fn new(file: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("doorward.yaml");
        std::fs::write(&path, file).expect("written");
        Self { dir, inputs: Inputs { path: Some(path), ..Inputs::default() } }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.inputs.env.push((name.into(), value.into()));
        self
    }

    fn set(mut self, set: &str) -> Self {
        self.inputs.sets.push(set.into());
        self
    }

    fn role(mut self, role: Role) -> Self {
        self.inputs.role = role;
        self
    }

    fn loaded(&self) -> Loaded {
        load(&self.inputs).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// What each error tells, without the folder's name.
    fn errors(&self) -> Vec<String> {
        let folder = format!("{}/", self.dir.path().display());
        let errors = load(&self.inputs).expect_err("an error");
        errors.0.iter().map(|error| error.to_string().replace(&folder, "")).collect()
    }
}

#[test]
fn no_file_an_empty_file_and_a_commented_out_heading_are_the_defaults() {
    let defaults = serde_json::to_value(Config::default()).expect("JSON");
    let nothing = load(&Inputs::default()).expect("no file is fine");
    assert_eq!(serde_json::to_value(nothing.config).expect("JSON"), defaults);
    for file in ["", "# nothing\n", "auth:\n#  issuer: x\nissuers:\n"] {
        let loaded = Case::new(file).loaded();
        assert_eq!(serde_json::to_value(loaded.config).expect("JSON"), defaults, "{file:?}");
        assert!(loaded.notices.is_empty(), "{:?}", loaded.notices);
    }
}

#[test]
fn a_flag_stands_over_the_environment_over_the_file_over_the_default() {
    let file = "auth: {access_lifetime: 1m, refresh_lifetime: 2h, auto_logout: 3h}\nissuers: []\n";
    let loaded = Case::new(file)
        .env("DOORWARD__AUTH__ACCESS_LIFETIME", "4m")
        .env("DOORWARD__AUTH__REFRESH_LIFETIME", "5h")
        .env("DOORWARD__AUTH__AUDIENCE", "[web, app]")
        .env("DOORWARD__CHECK__CACHE", "{max_staleness: 2s}")
        .env("DOORWARD__LISTEN__OPS", "")
        .env("DOORWARD_PORT", "tcp://10.0.0.1:80")
        .set("auth.access_lifetime=6m")
        .loaded();
    let auth = &loaded.config.auth;
    assert_eq!(auth.access_lifetime, Span::minutes(6));
    assert_eq!(auth.refresh_lifetime, Span::hours(5));
    assert_eq!(auth.auto_logout, Span::hours(3));
    assert_eq!(auth.refresh_grace, Span::secs(3));
    assert_eq!(auth.audience, ["web", "app"]);
    assert_eq!(loaded.config.check.cache.max_staleness, Span::secs(2));
    assert_eq!(loaded.config.listen.ops, "127.0.0.1:9192");
    let source = |key| loaded.sources.of(key).to_string();
    assert_eq!(source("auth.access_lifetime"), "--set auth.access_lifetime");
    assert_eq!(source("auth.refresh_lifetime"), "environment DOORWARD__AUTH__REFRESH_LIFETIME");
    assert!(source("auth.auto_logout").ends_with("doorward.yaml:1:64"), "{}", source("auth.auto_logout"));
    assert_eq!(source("auth.refresh_grace"), "default");
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place_and_the_fix() {
    let case = Case::new(
        "auth:\n  acess_lifetime: 1m\n  refresh_grace: 3 seconds\n  at_session_limit: evikt\nworkers: many\nworkers: 2\n\
         check:\n  rules:\n    - path: admin\n    - {require: {role: [x]}}\nlisten:\n  trusted_proxies: [10.0.0.0/8, nonsense]\n",
    )
    .env("DOORWARD__AUTH__ISUER", "x")
    .env("DOORWARD__SHUTDOWN__DELAY", "soon")
    .set("logging.level=loud");
    let errors = case.errors();
    let told = |start: &str, fix: &str| {
        assert!(errors.iter().any(|error| error.starts_with(start) && error.contains(fix)), "{start}\n{errors:#?}");
    };
    told("doorward.yaml:2:3: auth.acess_lifetime: there is no such key", "did you mean `access_lifetime`?");
    told("doorward.yaml:3:18: auth.refresh_grace: `3 seconds` is not a duration", "");
    told("doorward.yaml:4:21: auth.at_session_limit: `evikt` is not one of evict, refuse", "write evict");
    told("doorward.yaml:5:10: workers: here belongs a whole number, but this is a text", "");
    told("doorward.yaml:6:1: workers: this key is given twice", "doorward.yaml:5:1");
    told("doorward.yaml:9:13: check.rules[0]: path `admin` can never match", "");
    told("doorward.yaml:10:18: check.rules[1].require.role: there is no such key", "did you mean `roles`?");
    told("doorward.yaml:12:33: listen.trusted_proxies[1]: `nonsense` is not an address", "");
    told("environment DOORWARD__AUTH__ISUER: auth.isuer: there is no such key", "did you mean DOORWARD__AUTH__ISSUER?");
    told("environment DOORWARD__SHUTDOWN__DELAY: shutdown.delay: `soon` is not a duration", "");
    told("--set logging.level: `loud` is not one of", "");
    assert_eq!(errors.len(), 11, "{errors:#?}");
}

#[test]
fn values_that_do_not_fit_together_are_told_with_their_keys() {
    let case = Case::new(
        "auth: {access_lifetime: 2h, refresh_lifetime: 1h, audience: []}\npublic_url: auth.example.com\nstate: {url: mongo://x}\n\
         check:\n  cookie: a b\n  sign_in_url: /sign-in\n  headers: {X Y: sub}\nlisten: {check: '127.0.0.1:9192'}\n\
         issuers:\n  - {issuer: doorward, audience: [a], jwks_url: 'http://example.com/', jwks_file: x, algorithms: [HS256]}\n",
    );
    let errors = case.errors().join("\n");
    for key in [
        "doorward.yaml:1:25: auth.access_lifetime: 2h is not shorter",
        "auth.audience: an empty audience",
        "public_url: this is not an absolute",
        "state.url: `mongo` is no kind of token store",
        "check.cookie: ",
        "check.sign_in_url: ",
        "check.headers: `X Y`",
        "listen.ops: `127.0.0.1:9192` is `listen.check` already",
        "issuers[0].issuer: `doorward` is known already",
        "issuers[0]: more than one source of keys",
        "issuers[0].jwks_url: keys must come over https",
        "issuers[0].algorithms: ",
    ] {
        assert!(errors.contains(key), "{key}\n{errors}");
    }
}

#[test]
fn a_url_that_no_store_answers_to_is_told_before_the_start() {
    for (url, told) in [
        ("redis://h:6379/zero", "its path must be the number of a database"),
        ("redis://h:6379/0/1", "its path must be the number of a database"),
        ("redis://h:6379/999", "its path must be the number of a database"),
        ("redis-sentinel://a:26379,b:26379/mymaster", "&sentinelServiceName=mymaster"),
        ("redis-sentinel://a:26379/0?node=b:26379", "it does not name what the sentinels watch"),
        ("redis-cluster://a:6379,b:6379", "write redis-cluster://HOST:6379?node=HOST2:6379"),
    ] {
        let errors = Case::new(&format!("state: {{url: '{url}'}}")).errors().join("\n");
        assert!(errors.contains("state.url: this is no URL of a store: ") && errors.contains(told), "{url}\n{errors}");
    }
    for url in ["sqlite:", "sqlite://", "sqlite:?mode=rwc"] {
        let errors = Case::new(&format!("users: {{url: '{url}'}}")).errors().join("\n");
        assert!(errors.contains("users.url: it names no file"), "{url}\n{errors}");
    }
    for url in ["redis://h:6379/", "redis-sentinel://a:26379/0?node=b:26379&sentinelServiceName=main"] {
        Case::new(&format!("state: {{url: '{url}'}}")).loaded();
    }
}

// SEC-P2
#[test]
fn a_network_of_trusted_proxies_that_holds_everybody_is_warned_of() {
    let loaded = Case::new("listen: {trusted_proxies: ['10.0.0.0/8', '::/0']}").loaded();
    let told: Vec<_> = loaded.notices.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|one| one.contains("listen.trusted_proxies: everyone counts as a proxy")), "{told:?}");
}

#[test]
fn bounds_within_which_a_logout_may_go_unseen_for_long_are_warned_of() {
    let loaded = Case::new("check: {cache: {max_staleness: 1m, max_staleness_on_error: 1d}}").loaded();
    let told: Vec<_> = loaded.notices.iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && told[0].contains("check.cache.max_staleness_on_error: for 24h a checker"), "{told:?}");
}

#[test]
fn a_broken_value_brings_no_errors_about_its_default() {
    let errors = Case::new("auth: {refresh_lifetime: long, access_lifetime: 200h}\n").errors();
    assert_eq!(errors.len(), 1, "{errors:#?}");
}

#[test]
fn role_check_wants_a_key_source_and_a_shared_store() {
    let errors = Case::new("").role(Role::Check).errors().join("\n");
    assert!(errors.contains("check.jwks: role `check` has no key"), "{errors}");
    assert!(errors.contains("state.url: role `check` needs the token state in Redis"), "{errors}");
    let file =
        "check: {jwks: 'https://auth/.well-known/jwks.json'}\nstate: {url: 'rediss://redis:6379'}\nkeys: {dir: ''}\n";
    Case::new(file).role(Role::Check).loaded();
}

#[test]
fn keys_of_later_versions_are_checked_and_told_once() {
    let file = "auth: {device_binding: {ip: off}, registration: false}\nlimits: {auth: 5/min, plain: off, lockout: {after: 10, for: 15m}}\n\
                factors: {totp: false}\nproviders: {google: {client_id: x}}\ngraphql: {enabled: false}\n";
    let loaded = Case::new(file).loaded();
    let keys: Vec<_> = loaded.notices.iter().map(|notice| notice.key.as_str()).collect();
    assert_eq!(keys, ["factors", "providers"]);
    assert!(!loaded.reserved.factors.totp && !loaded.config.auth.registration && !loaded.config.graphql.enabled);
    let errors = Case::new("limits: {auth: often}\nfactors: {webauthn: {rpid: x}}\n").errors().join("\n");
    assert!(
        errors.contains("limits.auth: `often` is not a rate") && errors.contains("did you mean `rp_id`?"),
        "{errors}"
    );
}

/// The keys and values that `experience` promises, all in one file.
#[test]
fn the_whole_contract_is_understood() {
    let contract = r#"
listen: {public: "127.0.0.1:8080", check: "127.0.0.1:9191", ops: "127.0.0.1:9192", trusted_proxies: ["127.0.0.0/8", "::1/128"]}
public_url: "http://127.0.0.1:8080"
workers: 0
logging: {mode: auto, level: info}
state: {url: "sql", wait_replicas: 0}
users: {url: "sqlite:doorward.db", pool: 10, migrate: true}
auth:
  issuer: "doorward"
  audience: ["doorward"]
  access_lifetime: 15m
  refresh_lifetime: 168h
  auto_logout: 24h
  refresh_grace: 3s
  max_sessions_per_user: 10
  at_session_limit: evict
  device_binding: {user_agent: "off", ip: "off"}
  trusted_login: {allow_from: [], caller_keys_file: ""}
  passwords: {min_length: 8, argon2: {memory: 19MiB, passes: 2}, concurrency: 2}
  registration: true
keys: {dir: "keys", algorithm: EdDSA, secret_file: ""}
issuers: []
check:
  jwks: ""
  hs256_secret_file: ""
  cache: {max_entries: 100000, max_staleness: 5s, max_staleness_on_error: 0}
  headers: {preset: doorward}
  rules: []
limits: {auth: 5/min, refresh: 10/min, sessions: 60/min, profile: 100/min, plain: "off", lockout: {after: 10, for: 15m}}
retention: {expired: 30d, revoked: 90d}
factors: {totp: true, webauthn: {rp_id: "", origin: ""}}
clients: []
providers: {}
graphql: {enabled: true}
shutdown: {delay: 5s, finish: 25s}
"#;
    let loaded = Case::new(contract).loaded();
    assert!(loaded.notices.iter().all(|notice| notice.severity == Severity::Notice), "{:?}", loaded.notices);
}

// SEC-K6
#[test]
fn a_secret_comes_from_a_file_and_is_never_shown() {
    let case = Case::new("users: {url: 'sqlite:x.db'}\n");
    let file = case.dir.path().join("redis_url");
    std::fs::write(&file, "redis://:canary@redis:6379\n").expect("written");
    let case = case.env("DOORWARD__STATE__URL_FILE", file.to_str().expect("text"));
    let loaded = case.loaded();
    assert_eq!(loaded.config.state.url, "redis://:canary@redis:6379");
    let shown = show::yaml(&loaded);
    assert!(shown.contains("redis://:(hidden)@redis:6379") && !shown.contains("canary"), "{shown}");
    assert!(!show::json(&loaded).to_string().contains("canary"));

    let errors = case.env("DOORWARD__STATE__URL", "redis://x").errors().join("\n");
    assert!(errors.contains("state.url_file: `state.url` is given too"), "{errors}");
    let errors = Case::new("state: {url_file: /nowhere/redis_url}\n").errors();
    assert!(errors.len() == 1 && errors[0].contains("/nowhere/redis_url"), "{errors:?}");
    let errors = Case::new("").set("state.url=redis://:canary@h").errors().join("\n");
    assert!(errors.contains("a secret in the arguments") && !errors.contains("canary"), "{errors}");
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let file = "check: {headers: {X-User: sub, X-On: 'on'}, rules: [{path: /a, allow: anyone}, {require: {roles: [a, b]}}]}\n\
                issuers: [{issuer: 'https://i', audience: ['1'], jwks_file: keys.json}]\nlimits: {plain: off}\nfactors: {totp: false}\n";
    let first = Case::new(file).loaded();
    let second = Case::new(&show::yaml(&first)).loaded();
    let json = |loaded: &Loaded| serde_json::to_value(&loaded.config).expect("JSON");
    assert_eq!(json(&first), json(&second));
    assert_eq!(second.notices.len(), 1, "only what was set is shown: {:?}", second.notices);
}

#[test]
fn the_starter_file_is_a_good_configuration_and_says_the_defaults() {
    let loaded = Case::new(starter::STARTER).loaded();
    assert!(loaded.notices.is_empty(), "{:?}", loaded.notices);
    let json = |config: &Config| serde_json::to_value(config).expect("JSON");
    assert_eq!(json(&loaded.config), json(&Config::default()));
    let uncommented: String = starter::STARTER
        .lines()
        .skip(4)
        .map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let body = bare.trim_start();
            let indent = &bare[..bare.len() - body.len()];
            format!("{indent}{}\n", body.strip_prefix("# ").unwrap_or(body))
        })
        .filter(|line| !line.contains("url_file") && !line.contains("wait_replicas"))
        .collect();
    let loaded = Case::new(&uncommented).loaded();
    assert_eq!((loaded.config.check.rules.len(), loaded.config.issuers.len()), (3, 1), "{uncommented}");
    assert!(loaded.notices.iter().all(|notice| !notice.key.starts_with("clients")), "{:?}", loaded.notices);
    let (kept, usual) = (json(&loaded.config), json(&Config::default()));
    for section in ["limits", "retention", "graphql"] {
        assert_eq!(kept[section], usual[section], "what stands there is the default");
    }
    assert_eq!(kept["auth"]["device_binding"], usual["auth"]["device_binding"]);
}

#[test]
fn the_reference_in_the_docs_is_the_one_that_the_code_makes() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let made = reference::markdown();
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == made, "write it anew: cargo run -- config reference > docs/configuration.md");
}

#[test]
fn every_key_has_a_meaning_or_a_name_that_says_it() {
    let reference = reference::markdown();
    for key in
        ["auth.access_lifetime", "state.url", "check.rules[].path", "issuers[].discovery", "check.rules[].require.amr"]
    {
        assert!(reference.contains(&format!("`{key}`\n")), "{key}");
    }
}

#[test]
fn a_reload_takes_the_new_file_and_refuses_a_broken_one() {
    let case = Case::new("workers: 1\n");
    let loaded = case.loaded();
    let path = loaded.path.clone().expect("a path");
    std::fs::write(&path, "workers: 2\n").expect("written");
    let second = reload(&loaded).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(second.config.workers, 2);
    assert_ne!(second.watched.digest(), loaded.watched.digest());
    std::fs::write(&path, "workers: two\n").expect("written");
    assert!(reload(&loaded).is_err());
    // Without its rules every valid token would pass.
    for nothing in ["", "# workers: 2\n"] {
        std::fs::write(&path, nothing).expect("written");
        let error = reload(&loaded).expect_err("a file cut short");
        assert!(error.to_string().contains("is empty now"), "{error}");
    }
    std::fs::write(&path, "{}\n").expect("written");
    assert!(reload(&loaded).is_ok(), "all defaults, in so many words");
}

#[test]
fn a_bare_address_is_a_network_of_one() {
    let file =
        "listen: {trusted_proxies: [10.0.0.7, '::1']}\nauth: {trusted_login: {allow_from: [10.1.0.0/16, 10.0.0.8]}}\n";
    let config = Case::new(file).loaded().config;
    let texts = |all: &[ipnet::IpNet]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&config.listen.trusted_proxies), ["10.0.0.7/32", "::1/128"]);
    assert_eq!(texts(&config.auth.trusted_login.allow_from), ["10.1.0.0/16", "10.0.0.8/32"]);
}

// SEC-K9
#[test]
fn dev_is_refused_where_others_can_reach_it() {
    let dev = |file: &str| {
        let mut case = Case::new(file);
        case.inputs.dev = true;
        load(&case.inputs).map_err(|errors| errors.to_string())
    };
    assert!(dev("").is_ok());
    let refused = dev("listen: {public: '0.0.0.0:8080'}").expect_err("others can reach it");
    assert!(refused.contains("listen.public: --dev does not serve on 0.0.0.0:8080"), "{refused}");
    assert!(dev("listen: {public: '0.0.0.0:8080'}\nauth: {trusted_login: {caller_keys_file: keys.txt}}").is_ok());
    let everyone = "listen: {public: '0.0.0.0:8080'}\nauth: {trusted_login: {allow_from: [0.0.0.0/0]}}";
    assert!(Case::new(everyone).errors()[0].contains("everyone may log in as anyone"));
}
