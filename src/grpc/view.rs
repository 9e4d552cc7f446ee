//! How tokens, users and sessions look in `proto/doorward/v1`.

use std::time::Duration;

use prost_types::Timestamp;
use serde_json::{Map, Value};

use crate::accounts::sessions::OwnSession;
use crate::check::identity::Identity;
use crate::clock::{self, Millis};
use crate::grpc::v1::{Session, Tokens, User, ValidateResponse};
use crate::issue::TokenPair;
use crate::users;

impl From<TokenPair> for Tokens {
    fn from(pair: TokenPair) -> Self {
        let span = |span: Duration| prost_types::Duration::try_from(Duration::from_secs(span.as_secs())).ok();
        Self {
            access_token: pair.access,
            token_type: "Bearer".into(),
            expires_in: span(pair.expires_in),
            refresh_token: pair.refresh,
            refresh_expires_in: span(pair.refresh_expires_in),
        }
    }
}

impl From<users::User> for User {
    fn from(user: users::User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email,
            confirmed: user.confirmed,
            disabled: user.disabled,
            roles: user.roles,
            created_at: moment(user.created),
            updated_at: moment(user.updated),
        }
    }
}

impl From<OwnSession> for Session {
    fn from(OwnSession { session, current }: OwnSession) -> Self {
        Self {
            id: session.sid.to_string(),
            created_at: moment(session.created),
            last_seen_at: moment(session.last_seen),
            expires_at: moment(session.ends),
            device: session.device.user_agent,
            ip: session.device.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            current,
        }
    }
}

impl ValidateResponse {
    /// Of a token that counts: the identity it has here, and what else stands in its claims.
    pub(super) fn active(identity: &Identity, claims: &Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let owned = |texts: &mut dyn Iterator<Item = &str>| texts.map(str::to_owned).collect();
        Self {
            active: true,
            subject: identity.subject().into(),
            session_id: identity.sid().map(|sid| sid.to_string()).unwrap_or_default(),
            token_id: text("jti"),
            issuer: text("iss"),
            client_id: text("client_id"),
            audience: one_or_many(claims.get("aud")),
            roles: owned(&mut identity.roles()),
            scopes: owned(&mut identity.scope()),
            authentication_methods: owned(&mut identity.amr()),
            authenticated_at: identity.auth_time().and_then(second),
            issued_at: claims.get("iat").and_then(Value::as_u64).map(clock::Timestamp).and_then(second),
            expires_at: second(identity.expires),
        }
    }
}

/// An `aud` is one text or a list of them (RFC 7519 section 4.1.3).
fn one_or_many(claim: Option<&Value>) -> Vec<String> {
    let listed = claim.and_then(Value::as_array).into_iter().flatten();
    claim.into_iter().chain(listed).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn second(at: clock::Timestamp) -> Option<Timestamp> {
    Some(Timestamp { seconds: i64::try_from(at.0).ok()?, nanos: 0 })
}

fn moment(at: Millis) -> Option<Timestamp> {
    let nanos = i32::try_from(at.0 % 1000).ok()? * 1_000_000;
    Some(Timestamp { seconds: i64::try_from(at.0 / 1000).ok()?, nanos })
}
