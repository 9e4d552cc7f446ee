//! Tokens as clients send them: access tokens (JWS compact), refresh tokens, ids. Each is read in one spelling only
//! (SEC-T7, R9), and strict JSON agrees with the usual reader on whatever it accepts (SEC-T8).

use doorward::clock::Timestamp;
use doorward::secret::{Secret, base64url};
use doorward::token::explain::explain;
use doorward::token::jws::{Compact, MAX_LENGTH};
use doorward::token::refresh::RefreshToken;
use doorward::token::{Generation, SessionId, SubjectTag, json};

pub fn token(data: &[u8]) {
    strict_json(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    access_token(text);
    refresh_token(text);
    if let Ok(sid) = text.parse::<SessionId>() {
        assert_eq!(sid.to_string(), text);
        assert!(text.starts_with(&sid.tag().to_string()));
    }
    if let Ok(tag) = text.parse::<SubjectTag>() {
        assert_eq!(tag.to_string(), text);
    }
}

fn access_token(text: &str) {
    let _ = explain(text, Timestamp(1_700_000_000));
    let Ok(token) = Compact::parse(text) else { return };
    assert!(text.len() <= MAX_LENGTH);
    let (header, payload) = token.signing_input.split_once('.').expect("two segments are signed");
    assert_eq!(payload, base64url(&token.payload));
    assert_eq!(text, format!("{header}.{payload}.{}", base64url(&token.signature)));
    let _ = token.claims();
    let _ = token.header.is_of_type("at+jwt");
}

/// Both as it came, and with the MAC made good, since no mutation would ever hit that.
fn refresh_token(text: &str) {
    let key = Secret::new(vec![7; 32]).derive("refresh");
    if let Ok(token) = RefreshToken::parse(text, &key) {
        assert_eq!(token.encode(&key), text);
        let next = token.at(token.generation.next()).encode(&key);
        assert_eq!(RefreshToken::parse(&next, &key).map(|next| next.sid), Ok(token.sid));
        assert!(token.generation < token.generation.next() || token.generation == Generation(u32::MAX));
        let other = Secret::new(vec![8; 32]).derive("refresh");
        assert!(RefreshToken::parse(text, &other).is_err());
    }
}

fn strict_json(data: &[u8]) {
    if let Some(members) = json::object(data) {
        let usual: serde_json::Value = serde_json::from_slice(data).expect("what is strictly right is right");
        assert_eq!(usual, serde_json::Value::Object(members));
    }
}
