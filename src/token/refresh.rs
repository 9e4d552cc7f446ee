//! Refresh tokens: `dwr_` + base64url(sid, generation, salt, MAC).
//!
//! The token is opaque to clients. Its MAC lets a forged one be refused before the store is asked; its salt, of which the
//! store keeps only the digest, makes the server's secret alone useless (SEC-R9). The successor of a token is derived,
//! not drawn, so a retry inside the grace window is answered with the very same token.
//!
//! Its MAC also says whether an account is behind it and in which manner it may be refreshed, so that nobody gains by showing it
//! where less is asked: what an account's refresh needs is known before the store is.

use crate::secret::{Digest, MacKey, Secret, base64url, from_base64url, random_bytes};
use crate::token::{Generation, SessionId, TokenError};

const PREFIX: &str = "dwr_";
const SALT: usize = 16;
const MAC: usize = 16;
/// What the MACs' key is derived under; changing it voids every refresh token there is.
const LABEL: &str = "refresh token";
const BODY: usize = SessionId::BYTES + 4 + SALT;
/// What the MACs of accounts' tokens cover beside their bytes; that of others covers nothing more.
const OF_ACCOUNT: &[u8] = b"of an account";
const IN_PLACE: &[u8] = b"in place";

/// The session's own random bytes, the same in every generation of its refresh tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; SALT]);

impl Salt {
    pub fn fresh() -> Self {
        Self(random_bytes())
    }

    /// What the store keeps of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// How the tokens of a family may be refreshed: settled when its session is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each is good for one refresh, which gives its successor (RFC 9700 section 4.14.2).
    Rotating,
    /// Each may also give access tokens and stay what it is: for clients that cannot take a successor.
    InPlace,
}

/// A refresh token whose MAC held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub sid: SessionId,
    pub generation: Generation,
    pub salt: Salt,
    pub manner: Manner,
    /// Whether its session is an account's.
    pub of_account: bool,
}

impl RefreshToken {
    pub const LENGTH: usize = PREFIX.len() + (BODY + MAC) / 3 * 4;

    /// What refresh tokens are authenticated with.
    pub fn key(secret: &Secret) -> MacKey {
        secret.derive(LABEL)
    }

    /// Whether the text claims to be a refresh token; says nothing about its being genuine.
    pub fn looks_like_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// # Errors
    /// [`TokenError::Malformed`] or [`TokenError::Signature`] unless the text is byte for byte what [`Self::encode`] gives.
    pub fn parse(text: &str, key: &MacKey) -> Result<Self, TokenError> {
        let malformed = TokenError::Malformed("not a refresh token");
        if text.len() != Self::LENGTH {
            return Err(malformed);
        }
        let bytes = text.strip_prefix(PREFIX).and_then(from_base64url).ok_or(malformed)?;
        let (body, mac) = bytes.split_at(BODY);
        let kinds = [(Manner::Rotating, false), (Manner::Rotating, true), (Manner::InPlace, true)];
        let kind = kinds.into_iter().find(|(manner, account)| key.verify(&authenticated(body, *manner, *account), mac));
        let (manner, of_account) = kind.ok_or(TokenError::Signature)?;
        let (sid, rest) = body.split_first_chunk().expect("the length was compared above");
        let (generation, salt) = rest.split_first_chunk().expect("the length was compared above");
        let salt = *salt.first_chunk().expect("the length was compared above");
        Ok(Self {
            sid: SessionId::from_bytes(*sid),
            generation: Generation(u32::from_be_bytes(*generation)),
            salt: Salt(salt),
            manner,
            of_account,
        })
    }

    pub fn encode(&self, key: &MacKey) -> String {
        let mut bytes = Vec::with_capacity(BODY + MAC);
        bytes.extend_from_slice(self.sid.as_bytes());
        bytes.extend_from_slice(&self.generation.0.to_be_bytes());
        bytes.extend_from_slice(&self.salt.0);
        bytes.extend_from_slice(&key.mac(&authenticated(&bytes, self.manner, self.of_account)));
        format!("{PREFIX}{}", base64url(&bytes))
    }

    /// The same family's token of another generation.
    pub const fn at(self, generation: Generation) -> Self {
        Self { generation, ..self }
    }
}

fn authenticated(body: &[u8], manner: Manner, of_account: bool) -> Vec<u8> {
    let kind = match (manner, of_account) {
        (Manner::Rotating, false) => &[],
        (Manner::Rotating, true) => OF_ACCOUNT,
        (Manner::InPlace, _) => IN_PLACE,
    };
    [PREFIX.as_bytes(), body, kind].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::SubjectTag;

    fn key(byte: u8) -> MacKey {
        RefreshToken::key(&Secret::new(vec![byte; 32]))
    }

    fn token() -> RefreshToken {
        let sid = SessionId::fresh(SubjectTag::of("doorward", "alice"));
        let salt = Salt::fresh();
        RefreshToken { sid, generation: Generation(7), salt, manner: Manner::Rotating, of_account: false }
    }

    #[test]
    fn a_token_is_read_back_as_it_was_written() {
        let token = token();
        let text = token.encode(&key(1));
        assert_eq!(text.len(), RefreshToken::LENGTH);
        assert_eq!(RefreshToken::parse(&text, &key(1)), Ok(token));
        let accounts = RefreshToken { of_account: true, ..token };
        let stays = RefreshToken { manner: Manner::InPlace, ..accounts };
        for other in [accounts, stays] {
            assert_ne!(other.encode(&key(1)), text);
            assert_eq!(RefreshToken::parse(&other.encode(&key(1)), &key(1)), Ok(other));
        }
    }

    #[test]
    fn successors_are_refreshed_in_the_manner_of_their_family() {
        let stays = RefreshToken { manner: Manner::InPlace, ..token() };
        assert_eq!(stays.at(Generation(8)).manner, Manner::InPlace);
    }

    // SEC-R9
    #[test]
    fn no_changed_byte_and_no_other_key_is_accepted() {
        let text = token().encode(&key(1));
        assert_eq!(RefreshToken::parse(&text, &key(2)), Err(TokenError::Signature));
        for at in 0..text.len() {
            for with in ["A", "b", "=", " ", "."] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, with);
                assert!(changed == text || RefreshToken::parse(&changed, &key(1)).is_err(), "{changed}");
            }
        }
        for cut in 0..text.len() {
            assert!(RefreshToken::parse(&text[..cut], &key(1)).is_err());
        }
        assert!(RefreshToken::parse(&format!("{text}A"), &key(1)).is_err());
    }

    #[test]
    fn the_successor_is_derived_and_the_same_each_time() {
        let token = token();
        let next = token.at(token.generation.next());
        assert_eq!(next.encode(&key(1)), token.at(Generation(8)).encode(&key(1)));
    }
}
