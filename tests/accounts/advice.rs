//! What an answer's head advises where nothing can be answered now: the same on REST and over GraphQL.

use serde_json::json;

use crate::harness::http::Request;
use crate::service::{PASSWORD, Service, Store, login};

// SEC-F1
#[test]
fn while_the_store_is_away_rest_and_graphql_say_when_to_try_again() {
    let mut service = Service::start(Store::SqliteAndRedis);
    service.register("alice@example.com");
    let alice = service.login("alice@example.com");
    service.redis.take();
    let graphql = |query: &str| Request::post("/graphql", &json!({ "query": query })).bearer(&alice.refresh);
    let sign_in =
        format!("mutation {{ login(email: \"alice@example.com\", password: \"{PASSWORD}\") {{ errors {{ path }} }} }}");
    for (request, status) in
        [(login("alice@example.com", PASSWORD), 503), (graphql(&sign_in), 200), (graphql("mutation { logout }"), 200)]
    {
        let reply = service.send(&request);
        assert_eq!((reply.status, reply.header("retry-after")), (status, Some("1")), "{reply:?}");
    }
    let reply = service.send(&graphql("mutation { refresh }"));
    assert_eq!((reply.status, reply.header("retry-after")), (200, None), "refused for good: {reply:?}");
}
