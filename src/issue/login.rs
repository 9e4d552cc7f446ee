//! Opening a session, and the plain `user_id` that trusted callers open one for.

use serde_json::Value;

use crate::audit::Event;
use crate::fault::{Fault, Kind};
use crate::issue::{Call, Issuer, TokenPair};
use crate::state::{AtLimit, Cause, Device, NewSession, Opened, SessionRules, StateError};
use crate::token::jwt::SignError;
use crate::token::refresh::{Manner, RefreshToken, Salt};
use crate::token::{CLIENT_PREFIX, Generation, Holder, HolderKind, SessionId};
use crate::turns::Overloaded;

/// Living tokens of one client; with one more the oldest ends. A client that keeps its token until it expires has one for each
/// process.
const MOST_CLIENT_TOKENS: u32 = 1000;

#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("the subject has as many sessions as it may")]
    LimitReached,
    #[error("the issuer is overloaded")]
    Overloaded(#[from] Overloaded),
    #[error("the session could not be opened")]
    State(#[from] StateError),
    #[error("the access token could not be signed")]
    Sign(#[from] SignError),
}

impl Fault for LoginError {
    fn kind(&self) -> Kind {
        match self {
            Self::LimitReached => Kind::Conflict,
            Self::Overloaded(_) | Self::State(_) | Self::Sign(_) => Kind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::LimitReached => "session_limit",
            Self::Overloaded(_) | Self::State(_) | Self::Sign(_) => "unavailable",
        }
    }
}

impl Issuer {
    /// Opens a new session for a holder that has proved itself, or that a trusted caller vouches for. Its id is always
    /// ours and new (SEC-L7).
    pub async fn open(&self, holder: Holder, device: Device, call: &Call) -> Result<TokenPair, LoginError> {
        self.open_refreshed(Manner::Rotating, holder, device, call).await
    }

    /// The same; its refresh tokens may be refreshed in this manner.
    pub async fn open_refreshed(
        &self,
        manner: Manner,
        holder: Holder,
        device: Device,
        call: &Call,
    ) -> Result<TokenPair, LoginError> {
        let method = match holder.kind {
            HolderKind::Account => "account",
            HolderKind::Client => "client",
            HolderKind::PlainNumber | HolderKind::PlainText => "trusted",
        };
        let subject = holder.subject.clone();
        let opened = self.open_and_mint(manner, holder, device, call).await;
        let result = match &opened {
            Ok(pair) => {
                self.record(call, Event::AuthnLoginSuccess, Some(&subject), Some(&pair.sid), method);
                self.record(call, Event::SessionCreated, Some(&subject), Some(&pair.sid), method);
                "success"
            }
            Err(error) => {
                self.record(call, Event::AuthnLoginFail, Some(&subject), None, error.code());
                if error.kind() == Kind::Unavailable { "unavailable" } else { "refused" }
            }
        };
        self.parts.metrics.login_attempts.with_label_values(&[method, result]).inc();
        opened
    }

    /// Notes an attempt that was refused before it came to opening a session.
    pub fn refused_login(&self, method: &'static str, subject: Option<&str>, call: &Call, why: &str) {
        self.parts.metrics.login_attempts.with_label_values(&[method, "refused"]).inc();
        self.record(call, Event::AuthnLoginFail, subject, None, why);
    }

    async fn open_and_mint(
        &self,
        manner: Manner,
        holder: Holder,
        device: Device,
        call: &Call,
    ) -> Result<TokenPair, LoginError> {
        // Without a key to sign with, an older session would be evicted for nothing.
        self.parts.signer.ready(self.parts.clock.now())?;
        let sid = SessionId::fresh(self.tag(&holder.subject));
        let (salt, of_account) = (Salt::fresh(), holder.kind == HolderKind::Account);
        let first = RefreshToken { sid, generation: Generation(0), salt, manner, of_account };
        let rules = if holder.kind == HolderKind::Client { self.client_rules() } else { self.rules };
        let new = NewSession { sid, holder, salt: first.salt.digest(), device };
        let _turn = self.turns.take().await?;
        let expected = self.expect(&sid);
        match self.parts.sessions.open(&new, &rules).await? {
            Opened::LimitReached => Err(LoginError::LimitReached),
            Opened::Session { session, evicted, unconfirmed, expired } => {
                let subject = Some(session.holder.subject.as_str());
                for sid in &evicted {
                    self.tell_end(sid, subject, Cause::Limit.into(), !unconfirmed, call);
                }
                for sid in &expired {
                    self.tell_expired(sid, subject, call);
                }
                let pair = self.mint(&session, first, &[], expected)?;
                self.parts.records.opened(&session);
                Ok(pair)
            }
        }
    }
}

impl Issuer {
    /// A client's session holds one access token and lives as long as that: it is never refreshed (RFC 6749 section 4.4.3).
    fn client_rules(&self) -> SessionRules {
        let lifetime = self.parts.settings.access_lifetime.0;
        SessionRules {
            idle: lifetime,
            lifetime,
            max_per_subject: MOST_CLIENT_TOKENS,
            at_limit: AtLimit::Evict,
            ..self.rules
        }
    }
}

/// The `user_id` of a plain login, as it came: a number stays a number in the token's `user_id` claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainId {
    Number(u64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`user_id` must be an unsigned 64-bit integer, or a string of 1 to 255 visible ASCII characters without comma that does \
     not begin with `client:`"
)]
pub struct NotAPlainId;

/// What can be a `user_id` can be an identity header too (SEC-P9): otherwise a login would succeed that no check lets pass.
impl TryFrom<&Value> for PlainId {
    type Error = NotAPlainId;

    fn try_from(value: &Value) -> Result<Self, NotAPlainId> {
        let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        let fits = |text: &str| (1..=255).contains(&text.len()) && visible(text) && !text.starts_with(CLIENT_PREFIX);
        match value {
            Value::Number(number) => number.as_u64().map(Self::Number).ok_or(NotAPlainId),
            Value::String(text) if fits(text) => Ok(Self::Text(text.clone())),
            _ => Err(NotAPlainId),
        }
    }
}

impl PlainId {
    /// The holder of a session that belongs to no account: no roles, no scope, and nothing known of how it signed in.
    pub fn holder(self) -> Holder {
        let (subject, kind) = match self {
            Self::Number(number) => (number.to_string(), HolderKind::PlainNumber),
            Self::Text(text) => (text, HolderKind::PlainText),
        };
        Holder { subject, kind, roles: Vec::new(), scope: Vec::new(), amr: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<PlainId> {
        PlainId::try_from(&serde_json::from_str::<Value>(json).expect("JSON")).ok()
    }

    #[test]
    fn a_plain_id_is_an_unsigned_integer_or_a_visible_string() {
        assert_eq!(read("0"), Some(PlainId::Number(0)));
        assert_eq!(read("18446744073709551615"), Some(PlainId::Number(u64::MAX)));
        assert_eq!(read("\"a@b.example\""), Some(PlainId::Text("a@b.example".into())));
        assert_eq!(read("\"\\u0061\""), Some(PlainId::Text("a".into())));
        let longest = "a".repeat(255);
        assert_eq!(read(&format!("\"{longest}\"")), Some(PlainId::Text(longest.clone())));
        for wrong in
            ["-1", "-0", "1.0", "1e3", "18446744073709551616", "1e400000", "null", "true", "[]", "{}", "[1]", "\"\""]
        {
            let value = serde_json::from_str::<Value>(wrong).ok();
            assert!(value.is_none_or(|value| PlainId::try_from(&value).is_err()), "{wrong}");
        }
        for wrong in ["client:a", "a b", "a\\tb", "a,b", "\\u0000", "é", "\\u202e", &format!("{longest}a")] {
            assert_eq!(read(&format!("\"{wrong}\"")), None, "{wrong}");
        }
    }

    #[test]
    fn the_holder_remembers_how_the_id_came() {
        let number = PlainId::Number(1).holder();
        let text = PlainId::Text("1".into()).holder();
        assert_eq!((number.subject.as_str(), number.kind), ("1", HolderKind::PlainNumber));
        assert_eq!((text.subject.as_str(), text.kind), ("1", HolderKind::PlainText));
    }
}
