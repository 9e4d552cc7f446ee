//! The users' database is away while the token store is not: `docs/reliability.md`, F9.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::databases::Server;
use crate::harness::relay::{Relay, Who};
use crate::harness::wait::{answered, wait_for};
use crate::service::{PASSWORD, Service, Store, Tokens, refused};

/// The URL of a new database, by way of a relay.
fn behind_a_relay(server: Server) -> (Relay, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(server.database()).expect("./test installs the database");
    let address = url.split('@').next_back().and_then(|rest| rest.split('/').next()).unwrap();
    let relay = Relay::to(address.replace("localhost", "127.0.0.1").parse().unwrap());
    let by_relay = url.replace(address, &relay.address.to_string());
    (relay, by_relay)
}

// SEC-F9
#[test]
fn without_the_users_database_checks_and_logouts_go_on_and_nothing_is_decided_about_users() {
    for server in Server::ALL {
        let (relay, url) = behind_a_relay(server);
        let users = json!({"users": {"url": url, "pool": 4}, "auth": {"refresh_grace": "0s"}});
        let service = Service::start_with(Store::SqliteAndRedis, users);
        service.register("alice@example.com");
        let [known, unseen, ends] = [(); 3].map(|()| service.login("alice@example.com"));
        assert_eq!(service.check(&known.access), 200);

        relay.cut();
        assert_eq!(service.check(&known.access), 200, "{}", server.name());
        assert_eq!(service.check(&unseen.access), 200, "{}", server.name());
        refused(&service.try_login("alice@example.com", PASSWORD), 503, "unavailable");
        refused(&service.try_register("bob@example.com", PASSWORD), 503, "unavailable");
        refused(&service.refresh(&known.refresh), 503, "unavailable");
        refused(&service.post("/refresh", &json!({"refresh": known.refresh})), 503, "unavailable");
        refused(&service.get("/profile", &known.access), 503, "unavailable");
        assert_eq!(service.get("/health", "").status, 503);
        assert_eq!(service.ask("POST", "/auth/logout", &ends.access).status, 200, "{}", server.name());
        assert_eq!(service.check(&ends.access), 401);

        // The same where nothing comes back at all, in bounded time (SEC-F10).
        relay.mend();
        wait_for("a login", || service.try_login("alice@example.com", PASSWORD).status == 200);
        relay.hold(Who::Everyone);
        let asked = Instant::now();
        refused(&service.try_login("alice@example.com", PASSWORD), 503, "unavailable");
        refused(&service.refresh(&known.refresh), 503, "unavailable");
        assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
        assert_eq!(service.check(&known.access), 200);

        relay.mend();
        wait_for("a login", || service.try_login("alice@example.com", PASSWORD).status == 200);
        let next = Tokens::of(&answered(|| service.refresh(&known.refresh)));
        assert_eq!(service.check(&next.access), 200, "the refresh token had stayed good");
        let ended = answered(|| service.ask("POST", "/auth/logout-all", &next.access));
        assert_eq!(ended.status, 200);
        for token in [&next, &unseen] {
            assert_eq!(service.check(&token.access), 401);
        }
    }
}
