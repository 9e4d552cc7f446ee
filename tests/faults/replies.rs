//! Replies that get lost or come late: the node repeats its own step, and is never taken for a thief. R4.

use std::time::Duration;

use crate::harness::redis::RedisServer;
use crate::harness::relay::{Flow, Relay, Way, Who};
use crate::scene::{Scene, TERMS, goes_on, redis};

struct Behind {
    scene: Scene,
    relay: Relay,
    _redis: RedisServer,
}

/// Two nodes behind a relay.
fn behind_a_relay() -> Option<Behind> {
    let redis = redis()?;
    let relay = Relay::to(redis.address());
    let url = redis.url_by(relay.address);
    Some(Behind { scene: Scene::of(&[&url, &url]), relay, _redis: redis })
}

/// Users who go on while the relay does this.
fn users_stay_through(flow: Flow, way: Way) {
    let Some(Behind { scene, relay, _redis }) = behind_a_relay() else { return };
    let users = scene.users(TERMS);
    relay.set(Who::Everyone, way, flow);
    for _ in 0..3 {
        goes_on(&users);
    }
    relay.mend();
    goes_on(&users);
    users.judge();
}

// SEC-R4: what Redis did and could not say any more.
#[test]
fn where_answers_of_redis_get_lost_with_their_connections_no_honest_user_is_logged_out() {
    users_stay_through(Flow::ResetEvery(15), Way::ToClient);
}

// SEC-R4
#[test]
fn where_questions_to_redis_get_lost_with_their_connections_no_honest_user_is_logged_out() {
    users_stay_through(Flow::ResetEvery(15), Way::ToServer);
}

// SEC-R4, SEC-F2: beyond a try's 250 ms, so a step is sent again before the answer to the first try comes.
#[test]
fn where_answers_of_redis_come_later_than_a_try_now_and_then_no_honest_user_is_logged_out() {
    let Some(Behind { scene, relay, _redis }) = behind_a_relay() else { return };
    let users = scene.users(TERMS);
    for late in [260, 300, 400, 260, 600] {
        relay.set(Who::Everyone, Way::ToClient, Flow::Late(Duration::from_millis(late)));
        std::thread::sleep(Duration::from_millis(late * 3 / 2)); // the fault's own length
        relay.mend();
        goes_on(&users);
    }
    users.judge();
}
