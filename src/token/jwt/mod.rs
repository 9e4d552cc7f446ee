//! Access tokens: JWTs of RFC 9068 shape, signed and verified (RFC 7519, RFC 8725). The words and the errors.
//!
//! `sign` makes our tokens; `profile` says whose tokens count and by which keys, `claims` reads verified payloads, and
//! `verify` decides.

pub mod claims;
pub mod profile;
pub mod sign;
pub mod verify;

use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::token::{Epoch, Holder, SessionId, TokenId};

pub use self::profile::{OwnKeys, OwnProfile, SetupError};
pub use self::sign::{Signer, sign_claims};
pub use self::verify::Verifier;

/// The media type of access tokens in `typ` (RFC 9068 section 2.1).
pub const ACCESS_TYPE: &str = "at+jwt";

/// What one of our access tokens will say.
#[derive(Clone, Copy, Debug)]
pub struct AccessToken<'a> {
    pub issuer: &'a str,
    pub audience: &'a [String],
    pub holder: &'a Holder,
    pub sid: SessionId,
    pub jti: &'a TokenId,
    pub epoch: Epoch,
    pub issued: Timestamp,
    pub expires: Timestamp,
    /// When the holder proved who they are (OpenID Connect Core section 2).
    pub auth_time: Option<Timestamp>,
    /// In what the device differs from the one that signed in: `user_agent`, `ip`. Rules can see it.
    pub device_changed: &'a [&'a str],
}

/// Why no token was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("no signing key is active; see: doorward key list")]
    NoActiveKey,
    #[error("the key could not sign")]
    Failed,
}

impl Fault for SignError {
    fn kind(&self) -> Kind {
        Kind::Unavailable
    }
    fn code(&self) -> &'static str {
        "unavailable"
    }
}
