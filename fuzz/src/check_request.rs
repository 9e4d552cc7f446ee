//! Envoy's `CheckRequest`: whatever bytes come, the RPC is answered OK with a denial in it (contract rules 4 to 7), and what
//! the checker is asked is what the message says to the usual protobuf reader.

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use doorward::listen::client::client_address;
use doorward::listen::peer::{Peer, TrustedProxies};
use envoy_types::pb::envoy::config::core::v3::{address, socket_address};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::Full;
use prost::Message;

use super::door::{self, Asked, COOKIE, Shown};

const READ: [&str; 7] =
    ["authorization", "cookie", "accept", "origin", "sec-fetch-site", "x-forwarded-for", "x-request-id"];

pub fn check_request(data: &[u8]) {
    let mut frame = BytesMut::with_capacity(5 + data.len());
    frame.put_u8(0);
    frame.put_u32(data.len() as u32);
    frame.extend_from_slice(data);
    let request = Request::post("http://doorward/envoy.service.auth.v3.Authorization/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(frame.freeze()))
        .expect("a request");
    let answer = door::ask(request);

    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.trailers.get("grpc-status").map(HeaderValue::as_bytes), Some(&b"0"[..]));
    let response = CheckResponse::decode(message(&answer.body)).expect("a CheckResponse");
    assert_ne!(response.status.expect("a status").code, 0);
    assert!(matches!(response.http_response, Some(HttpResponse::DeniedResponse(_))));

    // Of bytes that prost does not read, the parts that matter may still be whole.
    if let Ok(CheckRequest { attributes }) = CheckRequest::decode(data) {
        assert_eq!(answer.asked, attributes.and_then(|attributes| expected(&attributes)));
    }
}

fn message(body: &Bytes) -> &[u8] {
    &body[5..]
}

/// What the checker must be asked; `None` where the request is refused before.
fn expected(attributes: &AttributeContext) -> Option<Asked> {
    let http = attributes.request.as_ref()?.http.as_ref()?;
    let mut headers = HeaderMap::new();
    let listed = http.header_map.iter().flat_map(|map| &map.headers).map(|pair| {
        let raw = !pair.raw_value.is_empty();
        (pair.key.as_str(), if raw { pair.raw_value.as_slice() } else { pair.value.as_bytes() })
    });
    let joined = http.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    for (name, value) in joined.chain(listed) {
        let name = name.to_ascii_lowercase();
        if READ.contains(&name.as_str()) {
            let name: HeaderName = name.parse().ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
    }
    if http.method.is_empty() || http.host.is_empty() || !http.path.starts_with('/') {
        return None;
    }
    let socket = attributes.source.as_ref().and_then(|source| match source.address.as_ref()?.address.as_ref()? {
        address::Address::SocketAddress(socket) => Some(socket),
        _ => None,
    });
    let ip = socket.and_then(|socket| match &socket.port_specifier {
        None | Some(socket_address::PortSpecifier::PortValue(_)) => socket.address.parse().ok(),
        Some(_) => None,
    });
    let peer = ip.map_or(Peer::Unix, |ip: IpAddr| Peer::Tcp((ip, 0).into()));
    let trusted = TrustedProxies::new(&["127.0.0.0/8".parse().expect("a network")]);
    let route = attributes.context_extensions.get("doorward.route").filter(|route| !route.is_empty());
    Some(Asked {
        method: http.method.clone(),
        host: http.host.clone(),
        target: http.path.clone(),
        credential: credential(&headers),
        route: route.cloned(),
        client: client_address(&peer, &trusted, &headers),
    })
}

fn credential(headers: &HeaderMap) -> Shown {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    let token = |text: &str| {
        let good = !text.is_empty() && text.chars().all(fits);
        if good { Shown::Token(text.to_owned()) } else { Shown::Unusable }
    };
    let lines: Vec<_> = headers.get_all("authorization").iter().map(|line| latin(line.as_bytes())).collect();
    let header = match lines.as_slice() {
        [] => Shown::Nothing,
        [line] if line.is_empty() => Shown::Nothing,
        [line] if line.to_ascii_lowercase().starts_with("bearer ") => token(&line[7..]),
        _ => Shown::Unusable,
    };
    let pairs = headers.get_all("cookie").iter().flat_map(|line| {
        latin(line.as_bytes()).split(';').map(|pair| pair.trim_matches([' ', '\t']).to_owned()).collect::<Vec<_>>()
    });
    let ours: Vec<_> = pairs.filter_map(|pair| Some(token(pair.strip_prefix(COOKIE)?.strip_prefix('=')?))).collect();
    let cookie = match ours.as_slice() {
        [] => Shown::Nothing,
        [one] => one.clone(),
        _ => Shown::Unusable,
    };
    match (header, cookie) {
        (header, Shown::Nothing) => header,
        (Shown::Nothing, cookie) => cookie,
        (header, cookie) if header == cookie => header,
        _ => Shown::Unusable,
    }
}

/// Each byte as one character, so that nothing is lost.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
