//! Two versions on one Redis, as in every rolling update: what an older one wrote is read, and what a newer one adds is no
//! obstacle. N4. There is no older release to run yet; its layout stands here, and a change that breaks it fails.

use std::collections::BTreeSet;

use crate::harness::doorward::Pair;
use crate::harness::wait::wait_for;
use crate::scene::{Scene, TERMS, goes_on, redis};

/// What a session has in the first version. To leave one out, or to mean something else by it, takes a release that reads
/// both before one that writes the new form.
const FIELDS: [&str; 13] = ["a", "b", "c", "d", "g", "i", "k", "m", "p", "r", "t", "u", "x"];

// SEC-N4
#[test]
fn what_the_first_version_keeps_of_a_session_is_still_kept_and_more_is_no_obstacle() {
    let Some(server) = redis() else { return };
    let scene = Scene::of(&[&server.url(), &server.url()]);
    let [one, other] = &scene.nodes[..] else { unreachable!() };
    let pair = one.login("alice");
    let key = server.cli(&["KEYS", "dw:{*}:s:*"]);
    let fields = server.cli(&["HKEYS", &key]);
    let fields: BTreeSet<&str> = fields.lines().collect();
    assert_eq!(fields, BTreeSet::from(FIELDS));

    // A newer version notes more about a session, and tells the log of things that this one does not know: then it asks anew.
    assert_eq!(other.knows(&pair.access), 200);
    server.cli(&["HSET", &key, "news", "of a later version"]);
    server.cli(&["XADD", "dw:{log}:r", "*", "news", "of a later version"]);
    let next = Pair::of(&other.refresh(&pair.refresh));
    // An older version has no `q` yet, which the refresh above has written.
    assert_eq!(server.cli(&["HDEL", &key, "q"]), "1");
    let after = Pair::of(&one.refresh(&next.refresh));
    for node in [one, other] {
        assert_eq!(node.knows(&after.access), 200);
    }
    assert!(server.cli(&["HEXISTS", &key, "news"]) == "1", "what is not understood is left alone");
    assert_eq!(one.logout(&after.access).status, 200);
    wait_for("the end everywhere", || other.check(&after.access).status == 401);
}

// SEC-N4: scripts go by the digest of their text, so versions can't take one another's.
#[test]
fn scripts_of_another_version_in_the_same_redis_are_never_run() {
    let Some(server) = redis() else { return };
    let scene = Scene::of(&[&server.url(), &server.url()]);
    let users = scene.users(TERMS);
    let wrong = server.cli(&["SCRIPT", "LOAD", "return {0, 0, 'open'}"]);
    for _ in 0..10 {
        server.cli(&["SCRIPT", "FLUSH"]);
        server.cli(&["EVALSHA", &wrong, "0"]);
        goes_on(&users);
    }
    users.judge();
}
