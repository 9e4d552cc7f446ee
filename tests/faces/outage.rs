//! A token store that is away: the face says so, and nobody loses what he has by it.

use serde_json::json;

use crate::at_every_face;
use crate::face::refused;
use crate::scene::{At, Of, Scene};
use crate::service::{PASSWORD, Store};

// Redis alone can be frozen and thawed; how a database that is away is met is shown in `accounts`.
at_every_face!(once: an_outage_is_told_and_no_token_is_lost_by_it);

// SEC-F1, SEC-S4
fn an_outage_is_told_and_no_token_is_lost_by_it(of: Of) {
    let at = At { face: of, store: Store::SqliteAndRedis };
    let Scene { face, service } = at.start_with(json!({"auth": {"refresh_grace": "60s"}}));
    service.register("alice@example.com");
    let alice = face.sign_in("alice@example.com");
    let redis = service.redis.as_ref().unwrap();
    redis.freeze();
    refused(face.refresh(&alice.refresh), "unavailable");
    refused(face.logout(&alice.refresh), "unavailable");
    refused(face.login("alice@example.com", PASSWORD), "unavailable");
    redis.thaw();
    service.doorward.process.eventually("it answers again", || face.refresh(&alice.refresh).is_ok());
    face.logout(&alice.refresh).unwrap();
    refused(face.refresh(&alice.refresh), "invalid_token");
}
