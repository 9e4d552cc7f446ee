//! Proxies as shipped, on free ports, that answer by themselves what they let through: no app takes part.

use serde_json::{Value, json};

use crate::harness::envoy::Envoy;
use crate::harness::nginx::Nginx;
use crate::harness::shipped::{self, Places};
use crate::harness::{ports, tools};
use crate::load::Address;

/// How NGINX reaches the server that it asks.
#[derive(Clone, Copy, Debug)]
pub enum Upstream {
    /// As shipped.
    Kept,
    /// As NGINX does by itself, up to 1.29.6: HTTP/1.0, a connection for each check.
    Default,
}

/// NGINX with `nginx/api.conf`, which asks this server; an empty file stands for the app.
pub fn nginx(asks: &Address, upstream: Upstream) -> Option<(Address, Nginx)> {
    let program = tools::find("nginx")?;
    let places = places();
    let keepalive = if matches!(upstream, Upstream::Kept) { "keepalive 32;" } else { "" };
    let server = match asks {
        Address::Tcp(at) => at.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let mut snippet = shipped::read("nginx/doorward/server.conf");
    if matches!(upstream, Upstream::Default) {
        snippet = snippet.replace("proxy_http_version 1.1", "proxy_http_version 1.0");
        snippet = snippet.replace("Connection \"\"", "Connection close");
    }
    let text = shipped::read("nginx/api.conf")
        .replace(
            "include doorward/upstreams.conf;",
            &format!(
                "upstream doorward_check {{ server {server}; {keepalive} }}\n\
                 upstream doorward_session {{ server 127.0.0.1:8080; }}\n\
                 keepalive_requests 1000000000;"
            ),
        )
        .replace("include doorward/server.conf;", &snippet)
        .replace("proxy_pass http://app;", "root temp; try_files /app =404;");
    let nginx = Nginx::start_text(&program, &text, &places);
    std::fs::write(nginx.folder().join("temp/app"), "").expect("a writable folder");
    Some((Address::Tcp(places.edge), nginx))
}

/// Envoy with one of the shipped bootstraps, without its health checks; it answers itself what it lets through.
pub fn envoy(file: &str, asks: &Address) -> Option<(Address, Envoy)> {
    let Address::Tcp(check) = asks else { panic!("the shipped files name a port") };
    let mut bootstrap = Bootstrap::read(file);
    bootstrap.place(9191, check.port());
    bootstrap.start()
}

/// The same Envoy with `jwt_authn` in the place of `ext_authz`: it verifies by itself, and nothing is ever revoked.
pub fn jwt_authn(jwks: &str, cache: Option<usize>) -> Option<(Address, Envoy)> {
    let mut bootstrap = Bootstrap::read("envoy/grpc.yaml");
    let mut provider = json!({
        "issuer": "doorward",
        "audiences": ["doorward"],
        "forward": true,
        "claim_to_headers": [
            {"header_name": "x-auth-subject", "claim_name": "sub"},
            {"header_name": "x-auth-session", "claim_name": "sid"},
        ],
        "local_jwks": {"inline_string": jwks},
    });
    if let Some(size) = cache {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": size});
    }
    bootstrap.manager()["http_filters"][0] = json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"doorward": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "doorward"}}],
        },
    });
    bootstrap.route().as_object_mut().expect("an object").remove("typed_per_filter_config");
    bootstrap.start()
}

fn places() -> Places {
    Places { edge: ports::free(), app: ports::free(), check: ports::free(), session: ports::free() }
}

/// A shipped bootstrap as data. Envoy reads JSON too.
struct Bootstrap(Value);

impl Bootstrap {
    fn read(file: &str) -> Self {
        let mut bootstrap = Self(serde_saphyr::from_str(&shipped::read(file)).expect("YAML"));
        // The last route is the protected one.
        let routes = &mut bootstrap.manager()["route_config"]["virtual_hosts"][0]["routes"];
        let last = routes.as_array_mut().and_then(Vec::pop).expect("a route");
        *routes = json!([last]);
        let route = bootstrap.route().as_object_mut().expect("an object");
        route.remove("route");
        route.insert("direct_response".into(), json!({"status": 200}));
        for cluster in bootstrap.0["static_resources"]["clusters"].as_array_mut().into_iter().flatten() {
            cluster.as_object_mut().expect("an object").remove("health_checks");
        }
        bootstrap
    }

    fn manager(&mut self) -> &mut Value {
        &mut self.0["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    }

    fn route(&mut self) -> &mut Value {
        &mut self.manager()["route_config"]["virtual_hosts"][0]["routes"][0]
    }

    /// Puts a port in the place of a shipped one.
    fn place(&mut self, shipped: u16, port: u16) {
        put(&mut self.0, shipped, port);
    }

    fn start(mut self) -> Option<(Address, Envoy)> {
        let program = tools::find("envoy")?;
        let places = places();
        self.place(8000, places.edge.port());
        let envoy = Envoy::start_text(&program, &self.0.to_string(), &places);
        Some((Address::Tcp(places.edge), envoy))
    }
}

fn put(value: &mut Value, shipped: u16, port: u16) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "port_value" && *value == json!(shipped) {
                    *value = port.into();
                }
                put(value, shipped, port);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put(item, shipped, port)),
        _ => {}
    }
}
