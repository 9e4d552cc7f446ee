//! The scanner against prost: what prost reads, it reads the same, however oddly it is written.

use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap as Pairs, HeaderValue as Pair, Pipe, SocketAddress, address, socket_address,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer as EnvoyPeer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use proptest::prelude::*;
use prost::Message;

use super::*;

/// All that is read of a message, in words. Headers of one name are sorted: a map has no order.
fn words(said: Option<&Said<'_>>) -> String {
    let Some(said) = said else { return "nothing".into() };
    let mut headers: Vec<_> = said.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    let Some(asked) = said.asked() else { return format!("no request, {headers:?}") };
    format!(
        "{} {} {} {:?} {:?} {:?} {headers:?}",
        asked.method,
        asked.host,
        asked.target,
        asked.route,
        asked.scheme(),
        said.source()
    )
}

/// The same by prost.
fn by_prost(check: &CheckRequest) -> String {
    let attributes = check.attributes.clone().unwrap_or_default();
    let http = attributes.request.and_then(|request| request.http);
    let mut said = Said { http: http.is_some(), ..Said::default() };
    let http = http.unwrap_or_default();
    let pairs = http.header_map.iter().flat_map(|map| &map.headers);
    let listed =
        pairs.map(|pair| (&pair.key, if pair.raw_value.is_empty() { pair.value.as_bytes() } else { &pair.raw_value }));
    for (name, value) in http.headers.iter().map(|(name, value)| (name, value.as_bytes())).chain(listed) {
        if let Some(name) = READ.iter().find(|known| known.as_str().eq_ignore_ascii_case(name)) {
            let Ok(value) = HeaderValue::from_bytes(value) else { return "nothing".into() };
            said.headers.append(name, value);
        }
    }
    (said.method, said.host, said.path, said.scheme) = (&http.method, &http.host, &http.path, &http.scheme);
    said.route = attributes.context_extensions.get(ROUTE).map_or("", String::as_str);
    if let Some(address::Address::SocketAddress(socket)) =
        attributes.source.as_ref().and_then(|source| source.address.as_ref()?.address.as_ref())
    {
        let named_port = matches!(socket.port_specifier, Some(socket_address::PortSpecifier::NamedPort(_)));
        said.source = Source::Socket { address: &socket.address, named_port };
    }
    words(Some(&said))
}

fn by_scanner(message: Vec<u8>) -> String {
    let message = Bytes::from(message);
    words(Said::by(&message).ok().as_ref())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/.:]{0,6}", "\\PC{0,4}", Just("http".to_owned()), Just("10.0.0.1".to_owned())]
}

fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(READ.iter().map(ToString::to_string).collect::<Vec<_>>());
    prop_oneof![3 => known.clone(), 1 => known.prop_map(|name| name.to_ascii_uppercase()), 1 => text()]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["Bearer [a-z]{0,4}", text(), Just("a\nb".to_owned())]
}

fn message() -> impl Strategy<Value = CheckRequest> {
    let header_map = prop::option::of(prop::collection::vec((name(), value(), "[a-z]{0,2}"), 0..4));
    let http = (text(), text(), "/?[a-z?]{0,4}", text(), prop::collection::hash_map(name(), value(), 0..5), header_map);
    let http = http.prop_map(|(method, host, path, scheme, headers, header_map)| {
        let pair = |(key, value, raw): (String, String, String)| Pair { key, value, raw_value: raw.into() };
        let header_map = header_map.map(|pairs| Pairs { headers: pairs.into_iter().map(pair).collect() });
        HttpRequest {
            method,
            host,
            path,
            scheme,
            headers,
            header_map,
            body: "body".into(),
            size: -1,
            ..Default::default()
        }
    });
    let request = prop::option::of(prop::option::of(http).prop_map(|http| Request { http, ..Default::default() }));
    let port = prop::option::of(prop_oneof![
        any::<u32>().prop_map(socket_address::PortSpecifier::PortValue),
        text().prop_map(socket_address::PortSpecifier::NamedPort),
    ]);
    let socket = (text(), port).prop_map(|(address, port_specifier)| {
        address::Address::SocketAddress(SocketAddress { address, port_specifier, ..Default::default() })
    });
    let pipe = text().prop_map(|path| address::Address::Pipe(Pipe { path, ..Default::default() }));
    let source = prop::option::of(prop_oneof![3 => socket, 1 => pipe].prop_map(|address| EnvoyPeer {
        address: Some(Address { address: Some(address) }),
        service: "service".into(),
        ..Default::default()
    }));
    let route = prop_oneof![Just(ROUTE.to_owned()), text()];
    let extensions = prop::collection::hash_map(route, text(), 0..3);
    let attributes = (source, request, extensions).prop_map(|(source, request, context_extensions)| AttributeContext {
        source: source.clone(),
        destination: source,
        request,
        context_extensions,
        ..Default::default()
    });
    prop::option::of(attributes).prop_map(|attributes| CheckRequest { attributes })
}

/// Fields that nobody knows, of each wire type.
const UNKNOWN: [&[u8]; 5] = [
    &[0xf8, 0x07, 5],
    &[0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8],
    &[0xfa, 0x07, 2, b'x', b'y'],
    &[0xfb, 0x07, 0x08, 1, 0xfc, 0x07],
    &[0xfd, 0x07, 1, 2, 3, 4],
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_envoy_writes_is_read_as_prost_reads_it(check in message()) {
        prop_assert_eq!(by_scanner(check.encode_to_vec()), by_prost(&check));
    }

    // Two messages one after another are one, in which everything may stand twice.
    #[test]
    fn messages_written_over_one_another_are_merged_as_prost_merges_them(
        parts in prop::collection::vec(message(), 2..4), unknown in prop::sample::select(UNKNOWN.to_vec()),
    ) {
        let mut bytes = Vec::new();
        for part in &parts {
            bytes.extend(unknown);
            bytes.extend(part.encode_to_vec());
            // The attributes again, with unknown fields at each end of them.
            if let Some(attributes) = &part.attributes {
                let inner = [unknown, &attributes.encode_to_vec(), unknown].concat();
                bytes.push(0x0a);
                prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
                bytes.extend(inner);
            }
        }
        let merged = CheckRequest::decode(bytes.as_slice()).expect("prost merges them");
        prop_assert_eq!(by_scanner(bytes), by_prost(&merged));
    }

    #[test]
    fn what_was_tampered_with_is_read_as_prost_reads_it_if_it_reads_it_at_all(
        check in message(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = check.encode_to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
        }
        if let Ok(read) = CheckRequest::decode(bytes.as_slice()) {
            prop_assert_eq!(by_scanner(bytes), by_prost(&read));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        by_scanner(bytes);
    }
}
