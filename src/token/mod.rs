//! The words of tokens: subject, session, token id, claims. What a token *is*, apart from how it is signed or stored.

pub mod bearer;
pub mod explain;
pub mod json;
pub mod jws;
pub mod jwt;
pub mod keys;
pub mod refresh;
pub mod remote;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::secret::{Digest, base64url, from_base64url, random_bytes};

/// Declares a fixed number of bytes whose text form is canonical base64url.
macro_rules! id_of_bytes {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            pub const BYTES: usize = $bytes;

            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base64url(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                from_base64url(text).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(NotAnId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// The text is not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not such an id; copy it whole, as a token or `doorward session list` shows it")]
pub struct NotAnId;

id_of_bytes!(
    /// A short hash of issuer and subject: what all state of one subject is filed under. In Redis it is the hash tag,
    /// so one subject's keys share a slot and every rotation is a single-slot step.
    SubjectTag, 9
);

impl SubjectTag {
    pub fn of(issuer: &str, subject: &str) -> Self {
        let digest = Digest::of_parts(&[issuer.as_bytes(), &[0], subject.as_bytes()]);
        let mut tag = [0; 9];
        tag.copy_from_slice(&digest.as_bytes()[..9]);
        Self(tag)
    }
}

id_of_bytes!(
    /// Names one session, and so one refresh token family: the `sid` claim. Its first 9 bytes are the subject's tag,
    /// the other 15 are random.
    SessionId, 24
);

impl SessionId {
    pub fn fresh(tag: SubjectTag) -> Self {
        let mut id = [0; 24];
        id[..9].copy_from_slice(&tag.0);
        id[9..].copy_from_slice(&random_bytes::<15>());
        Self(id)
    }

    pub fn tag(&self) -> SubjectTag {
        let mut tag = [0; 9];
        tag.copy_from_slice(&self.0[..9]);
        SubjectTag(tag)
    }
}

/// Identifies one access token: the `jti` claim, RFC 7519 section 4.1.7. Unique per issuer. At most 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct TokenId(Box<str>);

impl TokenId {
    pub fn fresh() -> Self {
        Self(base64url(&random_bytes::<16>()).into())
    }

    /// `None` for the empty string, for more than 256 bytes, and for one with a NUL, which PostgreSQL takes for no text.
    pub fn new(text: &str) -> Option<Self> {
        ((1..=256).contains(&text.len()) && !text.contains('\0')).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a refresh token family was rotated. The first refresh token of a session has generation 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

impl Generation {
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Who a session belongs to, as given at login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The `sub` claim.
    pub subject: String,
    /// A plain session remembers whether its `user_id` came as a number, to give it back as it came.
    pub kind: HolderKind,
    pub roles: Vec<String>,
    /// The `scope` claim's members, RFC 6749 section 3.3.
    pub scope: Vec<String>,
    /// How the subject proved itself: RFC 8176 names.
    pub amr: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderKind {
    /// Opened by a trusted caller that sent `{"user_id": 1}`.
    PlainNumber,
    /// Opened by a trusted caller that sent `{"user_id": "a"}`, or by the command line.
    PlainText,
    /// Belongs to an account of the user store.
    Account,
    /// Is an OAuth 2 client's own (RFC 6749 section 4.4): no person is behind it, and its subject is [`client_subject`].
    Client,
}

/// What stands before a client's id in `sub`, so that no client passes for a user (RFC 9068 section 5).
pub const CLIENT_PREFIX: &str = "client:";

/// The subject of a client's own tokens.
pub fn client_subject(id: &str) -> String {
    format!("{CLIENT_PREFIX}{id}")
}

/// What refuses older tokens where many end at once. A token carries what held when it was minted, the state knows today's.
/// Numbers that rise, not moments: of two within one millisecond, too, the later one is the higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch {
    /// The not-before mark that the session was opened under: "everyone out" raises it. 0 where nobody ever has.
    pub mark: u64,
    /// The subject's: "log out everywhere" and a change of its roles raise it.
    pub subject: u64,
}

/// The verified claims of a token, own or foreign. Only `token::jwt` makes these, after the signature held (SEC-T16).
#[derive(Clone, Debug)]
pub struct Claims {
    pub issuer: Arc<str>,
    /// Whether this doorward's own issuer minted it; then `sid` and `jti` are present.
    pub own: bool,
    pub subject: String,
    pub expires: Timestamp,
    pub issued: Option<Timestamp>,
    pub jti: Option<TokenId>,
    pub sid: Option<SessionId>,
    /// Of own tokens only.
    pub epoch: Epoch,
    pub roles: Vec<String>,
    pub scope: Vec<String>,
    pub amr: Vec<String>,
    pub auth_time: Option<Timestamp>,
    /// The `kid` of the key that verified it.
    pub kid: Arc<str>,
    /// The whole payload, for claims that become headers and for `/authenticate`.
    pub payload: Map<String, Value>,
}

impl Claims {
    /// What all state of this token's subject is filed under.
    pub fn tag(&self) -> SubjectTag {
        self.sid.as_ref().map_or_else(|| SubjectTag::of(&self.issuer, &self.subject), SessionId::tag)
    }
}

/// Why a token does not count. Clients see one word for all of them (SEC-T16); logs at debug level see which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("not a well-formed token: {0}")]
    Malformed(&'static str),
    #[error("no key is known for it")]
    UnknownKey,
    #[error("the signature does not hold")]
    Signature,
    #[error("the claim `{0}` is missing, of the wrong type or of the wrong value")]
    Claim(&'static str),
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
}

impl Fault for TokenError {
    fn kind(&self) -> Kind {
        Kind::Unauthenticated
    }
    fn code(&self) -> &'static str {
        "invalid_token"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_carries_its_subjects_tag() {
        let tag = SubjectTag::of("doorward", "alice");
        let sid = SessionId::fresh(tag);
        assert_eq!(sid.tag(), tag);
        assert!(sid.to_string().starts_with(&tag.to_string()));
        assert_eq!(sid.to_string().parse(), Ok(sid));
        assert_eq!("x".parse::<SessionId>(), Err(NotAnId));
    }

    #[test]
    fn issuer_and_subject_are_kept_apart_in_the_tag() {
        assert_ne!(SubjectTag::of("ab", "c"), SubjectTag::of("a", "bc"));
    }
}
