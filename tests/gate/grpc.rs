//! Envoy's `Check` over gRPC, with tonic's client and, where that is too polite, with bare HTTP/2.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, SocketAddress, address, socket_address::PortSpecifier,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::door::{Door, Setup};

async fn channel(door: &Door) -> Channel {
    Endpoint::from_shared(format!("http://{}", door.at)).unwrap().connect().await.unwrap()
}

fn about(http: HttpRequest) -> CheckRequest {
    let request = Some(Request { http: Some(http), ..Default::default() });
    CheckRequest { attributes: Some(AttributeContext { request, ..Default::default() }) }
}

fn http(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
    HttpRequest {
        method: "GET".into(),
        host: "app.example".into(),
        path: path.into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        ..Default::default()
    }
}

async fn check(door: &Door, request: CheckRequest) -> CheckResponse {
    AuthorizationClient::new(channel(door).await).check(request).await.expect("an RPC status OK").into_inner()
}

/// The denial's code, HTTP status and reason.
fn denial(response: &CheckResponse) -> (i32, i32, String) {
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else { panic!("no denial: {response:?}") };
    let reason = denied.headers.iter().filter_map(|option| option.header.as_ref());
    let mut reason = reason.filter(|header| header.key == "x-doorward-reason").map(|header| header.value.clone());
    let code = response.status.as_ref().expect("a status").code;
    (code, denied.status.as_ref().expect("an HTTP status").code, reason.next_back().unwrap_or_default())
}

// Contract rules 4 and 11, SEC-P8
#[tokio::test]
async fn a_yes_sets_the_identity_removes_the_rest_and_tells_metadata() {
    let door = Door::open().await;
    let response = check(&door, about(http("/a?b", &[("authorization", "Bearer roleless")]))).await;
    assert_eq!(door.book.last().unwrap(), "GET app.example /a?b - - -");
    assert_eq!(response.status.as_ref().expect("set on every path").code, 0);
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("not ok") };
    let headers: Vec<_> = ok.headers.iter().map(|option| (option.header.clone().unwrap(), option.clone())).collect();
    assert_eq!(headers.len(), 1);
    assert_eq!((headers[0].0.key.as_str(), headers[0].0.value.as_str()), ("x-auth-subject", "alice"));
    assert!(headers[0].0.raw_value.is_empty(), "Envoy would send an empty header");
    #[allow(deprecated)]
    let append = headers[0].1.append;
    assert_eq!(append, None, "with it the client's value would stay");
    assert!(
        ok.headers_to_remove.contains(&"x-auth-roles".into())
            && ok.headers_to_remove.contains(&"x_auth_subject".into())
    );
    assert!(!ok.headers_to_remove.contains(&"x-auth-subject".into()), "set and removed is gone");
    let fields = response.dynamic_metadata.unwrap().fields;
    assert_eq!(fields["sub"].kind, Some(Kind::StringValue("alice".into())));
    assert_eq!(fields["scope"].kind, Some(Kind::StringValue("read write".into())));
    assert!(matches!(&fields["roles"].kind, Some(Kind::ListValue(list)) if list.values.len() == 2));

    let response = check(&door, about(http("/open", &[]))).await;
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("not ok") };
    assert!(ok.headers.is_empty() && ok.headers_to_remove.contains(&"x-auth-subject".into()));
}

// Contract rules 5 to 7
#[tokio::test]
async fn a_denial_is_a_whole_http_answer_under_an_rpc_that_worked() {
    let door = Door::open().await;
    for (token, code, status, reason) in [
        ("", 16, 401, "no_token"),
        ("Bearer bad", 16, 401, "invalid_token"),
        ("Bearer good,Bearer good", 16, 401, "invalid_token"),
        ("Bearer small", 7, 403, "forbidden"),
        ("Bearer unknown", 14, 503, "unavailable"),
    ] {
        let headers: &[_] = if token.is_empty() { &[] } else { &[("authorization", token)] };
        let response = check(&door, about(http("/a", headers))).await;
        assert_eq!(denial(&response), (code, status, reason.into()), "{token}");
    }
}

// Contract section 3: `encode_raw_headers`
#[tokio::test]
async fn headers_are_read_in_both_encodings() {
    let door = Door::with(Setup { cookie: "door", ..Setup::default() }).await;
    let pair = |key: &str, raw: &[u8]| HeaderValue { key: key.into(), raw_value: raw.into(), ..Default::default() };
    let raw = |headers| HttpRequest { header_map: Some(HeaderMap { headers }), ..http("/a", &[]) };
    let allowed = async |request| check(&door, about(request)).await.status.unwrap().code == 0;
    assert!(allowed(raw(vec![pair("Authorization", b"Bearer good")])).await);
    assert!(allowed(raw(vec![pair("cookie", b"x=1"), pair("cookie", b"door=good")])).await);
    assert!(!allowed(raw(vec![pair("cookie", b"door=good"), pair("cookie", b"door=good")])).await);
    assert!(!allowed(raw(vec![pair("authorization", b"Bearer good"), pair("authorization", b"Bearer good")])).await);
    assert!(!allowed(raw(vec![pair("authorization", b"Bearer good\r\nx: y")])).await);
    let mut both = raw(vec![pair("authorization", b"Bearer good")]);
    both.headers = HashMap::from([("authorization".into(), "Bearer good".into())]);
    assert!(!allowed(both).await);
}

// SEC-P1, SEC-P5
#[tokio::test]
async fn a_request_that_is_not_told_whole_is_denied_and_never_an_rpc_error() {
    let door = Door::open().await;
    let token = [("authorization", "Bearer good")];
    let bad_path = (7, 403, "bad_path".to_owned());
    let mut requests = vec![
        CheckRequest::default(),
        CheckRequest { attributes: Some(AttributeContext::default()) },
        about(HttpRequest { method: String::new(), ..http("/a", &token) }),
        about(HttpRequest { host: String::new(), ..http("/a", &token) }),
    ];
    requests.extend(["", "*", "a", "app.example:443", "http://app.example/"].map(|path| about(http(path, &token))));
    for request in requests {
        assert_eq!(denial(&check(&door, request.clone()).await), bad_path, "{request:?}");
    }
    assert_eq!(door.book.questions(), 0);
}

// SEC-D1
#[tokio::test]
async fn what_is_too_long_or_does_not_decode_is_denied_and_never_an_rpc_error() {
    let door = Door::open().await;
    let long = "a".repeat(300 << 10);
    let response = check(&door, about(http("/a", &[("authorization", "Bearer good"), ("x", &long)]))).await;
    assert_eq!(denial(&response), (7, 403, "bad_path".into()));
    let fits = "a".repeat(200 << 10);
    let response = check(&door, about(http("/a", &[("authorization", "Bearer good"), ("x", &fits)]))).await;
    assert_eq!(response.status.unwrap().code, 0);

    let mut request = tonic::Request::new(about(http("/a", &[("authorization", "Bearer good")])));
    for _ in 0..101 {
        request.metadata_mut().append("x", "y".parse().unwrap());
    }
    let response = AuthorizationClient::new(channel(&door).await).check(request).await.expect("an RPC status OK");
    assert_eq!(denial(response.get_ref()), (7, 403, "bad_path".into()), "the call's own head");

    for body in
        [&b""[..], b"\0\0", b"\0\0\0\0\x02\xff\xff", b"\x01\0\0\0\x01a", b"\0\0\0\0\x09abc", b"\0\0\0\0\0\0\0\0\0\0"]
    {
        let (status, bytes, trailers) = bare(&door, "Check", body).await;
        assert_eq!((status, trailers.as_deref()), (200, Some("0")), "{body:?}");
        let response = CheckResponse::decode(&bytes[5..]).expect("a message");
        assert_eq!(denial(&response), (7, 403, "bad_path".into()), "{body:?}");
    }
    let (_, _, status) = bare(&door, "Other", b"\0\0\0\0\0").await;
    assert_eq!(status.as_deref(), Some("12"), "a method nobody has is unimplemented");
}

/// One gRPC call with these body bytes: HTTP status, body, `grpc-status` of the trailers or, without any, of the head.
async fn bare(door: &Door, method: &str, body: &[u8]) -> (u16, Bytes, Option<String>) {
    let io = TokioIo::new(TcpStream::connect(door.address()).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}/envoy.service.auth.v3.Authorization/{method}", door.at))
        .header("content-type", "application/grpc")
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let status = collected.trailers().cloned().unwrap_or(head.headers).get("grpc-status").cloned();
    (head.status.as_u16(), collected.to_bytes(), status.map(|value| value.to_str().unwrap().to_owned()))
}

// SEC-P2
#[tokio::test]
async fn the_route_comes_from_envoy_and_the_client_from_trusted_hops() {
    let told = |source: &str| {
        let mut request = about(http(
            "/a",
            &[("authorization", "Bearer good"), ("x-doorward-route", "closed"), ("x-forwarded-for", "203.0.113.9")],
        ));
        let socket = SocketAddress {
            address: source.into(),
            port_specifier: Some(PortSpecifier::PortValue(1)),
            ..Default::default()
        };
        let attributes = request.attributes.as_mut().unwrap();
        let address = Some(Address { address: Some(address::Address::SocketAddress(socket)) });
        attributes.source = Some(Peer { address, ..Default::default() });
        request
    };
    let door = Door::open().await;
    check(&door, told("198.51.100.1")).await;
    assert_eq!(door.book.last().unwrap(), "GET app.example /a - 198.51.100.1 -", "a client's header names no route");
    check(&door, told("127.0.0.1")).await;
    assert_eq!(door.book.last().unwrap(), "GET app.example /a - 203.0.113.9 -");
    let mut routed = told("127.0.0.1");
    routed.attributes.as_mut().unwrap().context_extensions.insert("doorward.route".into(), "closed".into());
    assert_eq!(denial(&check(&door, routed).await).2, "forbidden");

    let door = Door::with(Setup { trusted: &[], ..Setup::default() }).await;
    assert_eq!(
        denial(&check(&door, told("198.51.100.1")).await).2,
        "bad_path",
        "the word of a peer that is not trusted"
    );
}

// Contract rule 7 and section 7
#[tokio::test]
async fn a_check_that_takes_too_long_is_denied_before_envoy_gives_up() {
    let door = Door::open().await;
    let mut request = tonic::Request::new(about(http("/a", &[("authorization", "Bearer slow")])));
    request.set_timeout(Duration::from_secs(5));
    let response = AuthorizationClient::new(channel(&door).await).check(request).await.expect("an answer in time");
    assert_eq!(denial(response.get_ref()), (14, 503, "unavailable".into()));
}

#[tokio::test]
async fn a_browser_behind_envoy_is_sent_to_sign_in() {
    let door = Door::with(Setup { sign_in_url: "https://login.example/", ..Setup::default() }).await;
    let request = HttpRequest { scheme: "https".into(), ..http("/a", &[("accept", "text/html")]) };
    let response = check(&door, about(request)).await;
    assert_eq!(denial(&response), (16, 302, "no_token".into()));
    assert!(format!("{response:?}").contains("https://login.example/?rd=https%3A%2F%2Fapp.example%2Fa"));
}

#[tokio::test]
async fn grpc_health_tells_readiness_and_ends_its_watchers_with_the_drain() {
    let door = Door::open().await;
    let mut client = HealthClient::new(channel(&door).await);
    let ask = |service: &str| HealthCheckRequest { service: service.into() };
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        assert_eq!(client.check(ask(service)).await.unwrap().into_inner().status, 1, "SERVING");
    }
    assert_eq!(client.check(ask("other")).await.unwrap_err().code(), Code::NotFound);
    let mut watch = client.watch(ask("")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    door.health.add("keys", Arc::new(|| Err("none yet".into())));
    assert_eq!(client.check(ask("")).await.unwrap().into_inner().status, 2, "NOT_SERVING");
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    door.health.set_draining();
    assert_eq!(watch.message().await.unwrap(), None);
}
