//! How the face ends with the process.

use doorward::grpc::v1;
use serde_json::json;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::client::{Client, With, ask, refused};
use crate::service::{Service, Store};

// SEC-N1, SEC-N2
#[test]
fn who_watches_health_hears_of_the_end_and_does_not_hold_it_up() {
    let mut service = Service::start_with(Store::Sqlite, json!({"shutdown": {"delay": "5s", "finish": "60s"}}));
    let client = Client::of(&service);
    let mut watch = client.wait_for(async |channel| {
        let asked = HealthCheckRequest { service: "doorward.v1.Auth".into() };
        HealthClient::new(channel).watch(asked).await.unwrap().into_inner()
    });
    let mut next = || client.wait_for(async |_| watch.message().await.unwrap().map(|told| told.status));
    assert_eq!(next(), Some(1), "SERVING");
    service.doorward.process.signal("TERM");
    assert_eq!(next(), Some(2), "NOT_SERVING");
    refused(client.get_profile(ask(v1::GetProfileRequest {}).bearer("x.y.z")), Code::Unauthenticated, "INVALID_TOKEN");
    assert_eq!(next(), None);
    // Had it waited for the watcher it would have gone on for a minute, longer than is waited here.
    assert!(service.doorward.process.wait_end().success());
}
