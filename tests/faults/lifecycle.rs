//! How a process ends and comes back. N1, N2.

use serde_json::json;

use crate::harness::doorward::Doorward;
use crate::harness::http::Request;
use crate::harness::wait::wait_for;

// SEC-N2
#[test]
fn on_sigterm_readiness_goes_first_and_service_last() {
    let mut doorward = Doorward::start(json!({"shutdown": {"delay": "1s", "finish": "2s"}}));
    let pair = doorward.login(1);
    doorward.process.signal("TERM");
    wait_for("readiness to go", || {
        Request::get("/readyz").try_send(doorward.ops).is_ok_and(|reply| reply.status == 503)
    });
    assert_eq!(doorward.check(&pair.access).status, 200, "checks go on during the delay");
    assert_eq!(Request::get("/livez").send(doorward.ops).status, 200);
    assert!(doorward.process.wait_end().success());
}

#[test]
fn ctrl_c_skips_the_delay() {
    let mut doorward = Doorward::start(json!({"shutdown": {"delay": "10m", "finish": "1s"}}));
    doorward.process.signal("INT");
    assert!(doorward.process.wait_end().success());
}
