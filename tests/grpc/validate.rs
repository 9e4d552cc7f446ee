//! Introspection: one's own token, and for services that prove themselves any.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward::grpc::v1::{ValidateRequest, ValidateResponse};
use doorward::oauth::secret::SecretHash;
use serde_json::json;
use tonic::{Code, Status};

use crate::client::{Client, With, ask, refused};
use crate::service::{Service, Store};

const KEY: &str = "a-caller-key-of-32-characters-ok";
const SECRET: &str = "dwc_gateway-0123456789abcdefghijklmnopq";

fn own(client: &Client, bearer: &str) -> Result<ValidateResponse, Status> {
    client.validate(ask(ValidateRequest::default()).bearer(bearer))
}

fn about(client: &Client, token: &str, bearer: &str) -> Result<ValidateResponse, Status> {
    client.validate(ask(ValidateRequest { token: token.into() }).bearer(bearer))
}

#[test]
fn a_token_is_told_of_to_who_bears_it() {
    let service = Service::start(Store::Sqlite);
    let client = Client::of(&service);
    let tokens = client.account("alice@example.com");
    let told = own(&client, &tokens.access_token).unwrap();
    let session = client.sessions(&tokens.access_token).remove(0);
    assert!(told.active && !told.token_id.is_empty());
    assert_eq!((&told.session_id, &told.subject), (&session.id, &client.profile(&tokens.access_token).unwrap().id));
    assert_eq!(
        (told.issuer.as_str(), told.audience, told.authentication_methods),
        ("doorward", vec!["doorward".into()], vec!["pwd".into()])
    );
    let lives = told.expires_at.unwrap().seconds - told.issued_at.unwrap().seconds;
    assert_eq!(lives, tokens.expires_in.unwrap().seconds);
    assert!(told.authenticated_at.unwrap().seconds <= told.issued_at.unwrap().seconds);
    let root = service.administrator().access;
    assert_eq!(
        (own(&client, &root).unwrap().roles, client.profile(&root).unwrap().roles),
        (vec!["admin".into()], vec!["admin".into()])
    );
    client.end(&tokens.access_token).unwrap();
    for dead in [tokens.access_token.as_str(), &tokens.refresh_token, "x.y.z"] {
        refused(own(&client, dead), Code::Unauthenticated, "INVALID_TOKEN");
    }
    refused(client.validate(ask(ValidateRequest::default())), Code::Unauthenticated, "NO_TOKEN");
}

// SEC-T24
#[test]
fn services_that_prove_themselves_ask_of_any_token_and_hear_nothing_of_dead_ones() {
    let mut keys = tempfile::NamedTempFile::new().unwrap();
    writeln!(keys, "{KEY}").unwrap();
    let trusted = json!({"allow_from": [], "caller_keys_file": keys.path()});
    let clients = json!([{"id": "gateway", "secret_hash": SecretHash::of(SECRET).unwrap().to_string()}]);
    let config = json!({"auth": {"trusted_login": trusted}, "clients": clients, "limits": {"clients": "off"}});
    let service = Service::start_with(Store::Sqlite, config);
    let client = Client::of(&service);
    let tokens = client.account("alice@example.com");
    let told = about(&client, &tokens.access_token, KEY).unwrap();
    assert_eq!(told, own(&client, &tokens.access_token).unwrap());
    let as_client = |secret: &str| {
        let pair = STANDARD.encode(format!("gateway:{secret}"));
        let asked = ask(ValidateRequest { token: tokens.access_token.clone() });
        client.validate(asked.with("authorization", &format!("Basic {pair}")))
    };
    assert_eq!(told, as_client(SECRET).unwrap());
    refused(as_client("dwc_wrong"), Code::Unauthenticated, "INVALID_CLIENT");
    client.end(&tokens.access_token).unwrap();
    for dead in [tokens.access_token.as_str(), &tokens.refresh_token, "x.y.z", "dwr_forged", "\u{e9}\n", KEY] {
        assert_eq!(about(&client, dead, KEY).unwrap(), ValidateResponse::default(), "{dead}");
    }
    let other = client.sign_in("alice@example.com");
    let wrong = "a-caller-key-of-32-characters-oK";
    for bearer in [wrong, &other.access_token] {
        refused(about(&client, &other.access_token, bearer), Code::Unauthenticated, "INVALID_CLIENT");
    }
    let nobody = |client: &Client| client.validate(ask(ValidateRequest { token: other.access_token.clone() }));
    refused(nobody(&client), Code::Unauthenticated, "INVALID_CLIENT");
    // `/login` is open to this machine there, but an address is no proof.
    let keyless = Service::start(Store::Sqlite);
    refused(nobody(&Client::of(&keyless)), Code::Unauthenticated, "INVALID_CLIENT");
}
