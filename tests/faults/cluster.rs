//! A Redis Cluster whose slots move, and which loses a primary. F5, F6.

use std::time::Duration;

use crate::harness::doorward::Pair;
use crate::harness::history::Terms;
use crate::harness::redis::available;
use crate::harness::redis_cluster::RedisCluster;
use crate::harness::wait::wait_for;
use crate::scene::{Scene, TERMS, goes_on};

const LOG: &str = "dw:{log}:r";

// SEC-F5, SEC-F6
#[test]
fn slots_that_move_disturb_nobody_and_a_lost_primary_is_an_outage_of_its_slots() {
    if !available() {
        return;
    }
    let mut cluster = RedisCluster::start();
    let url = cluster.url();
    let scene = Scene::of(&[&url, &url]);
    let [one, other] = &scene.nodes[..] else { unreachable!() };
    let [stays, ends] = ["stays", "ends"].map(|user| one.login(user));
    let users = scene.users(TERMS);

    // MOVED and ASK: of sessions in use, and of the log that everybody follows.
    let mut subjects: Vec<String> = cluster.keys().into_iter().filter(|key| key.ends_with("}:i")).collect();
    assert!(subjects.len() > 2, "{subjects:?}");
    subjects.push(LOG.into());
    for key in &subjects {
        cluster.move_away(key);
    }
    // What meets a slot on its way may be 503, and is as good when it is asked again.
    let mut refreshed = None;
    wait_for("a refresh", || {
        let reply = other.refresh(&stays.refresh);
        refreshed = (reply.status != 503).then(|| Pair::of(&reply));
        refreshed.is_some()
    });
    let next = refreshed.expect("waited for");
    wait_for("a check", || one.check(&next.access).status == 200);
    wait_for("a logout", || one.logout(&ends.access).status == 200);
    wait_for("the end everywhere", || other.check(&ends.access).status == 401);
    goes_on(&users);
    users.judge();

    // The primary that has the log now; its replica takes over without the last moments.
    let users = scene.users(Terms { bound: Duration::from_secs(15), forgets: true, ..TERMS });
    let lost = (cluster.home(LOG) + 1) % 3;
    cluster.servers[lost].kill();
    let heir = &cluster.servers[lost + 3];
    wait_for("its replica to take over", || heir.cli(&["ROLE"]).starts_with("master"));
    for node in [one, other] {
        wait_for("logins of all slots", || {
            (0..6).all(|user| {
                let login = serde_json::json!({"user_id": user});
                let reply = crate::harness::http::Request::post("/login", &login).send(node.public);
                reply.status == 200 && node.check(&Pair::of(&reply).access).status == 200
            })
        });
    }
    goes_on(&users);
    users.judge();
}
