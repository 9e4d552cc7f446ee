//! What a rule asks of a token's holder: roles, scopes, authentication methods, a recent sign-in. Called by `checker`
//! on every hit, since only identities are remembered, never verdicts (SEC-T18).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Denial;
use crate::check::identity::Identity;
use crate::clock::Timestamp;
use crate::token::jwt::claims::LEEWAY;
use crate::units::Span;

/// What a token's holder must have. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Require {
    /// One of these roles.
    pub roles: Vec<String>,
    /// Every one of these scopes.
    pub scopes: Vec<String>,
    /// Every one of these authentication methods (RFC 8176).
    pub amr: Vec<String>,
    /// At most this long since the subject signed in (`auth_time`).
    pub max_auth_age: Option<Span>,
    /// The session was last refreshed on the device that signed in, as far as `auth.device_binding` looks at it.
    pub same_device: bool,
}

/// A checked [`Require`]. All that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    roles: Box<[String]>,
    scopes: Box<[String]>,
    amr: Box<[String]>,
    max_auth_age: Option<Duration>,
    same_device: bool,
}

impl Requirement {
    /// # Errors
    /// What is wrong with it and what to write, for whoever wrote the rule.
    pub fn new(from: &Require) -> Result<Self, String> {
        if *from == Require::default() {
            return Err("`require` asks for nothing; write `allow: authenticated`".into());
        }
        for (name, list) in [("roles", &from.roles), ("scopes", &from.scopes), ("amr", &from.amr)] {
            if list.iter().any(|text| text.is_empty() || (name == "scopes" && text.contains(char::is_whitespace))) {
                return Err(format!("`require.{name}` holds an empty or divided name; write one name an item"));
            }
        }
        if from.max_auth_age.is_some_and(|age| age.0 < Duration::from_secs(1)) {
            return Err("`require.max_auth_age` is under a second, so nobody could pass; write such as `5m`".into());
        }
        Ok(Self {
            roles: from.roles.clone().into(),
            scopes: from.scopes.clone().into(),
            amr: from.amr.clone().into(),
            max_auth_age: from.max_auth_age.map(|age| age.0),
            same_device: from.same_device,
        })
    }

    /// # Errors
    /// [`Denial::Forbidden`] where a role or scope is missing: signing in again would not help.
    /// [`Denial::InsufficientAuthentication`] where it would (RFC 9470).
    pub fn weigh(&self, of: &Identity, now: Timestamp) -> Result<(), Denial> {
        let roles = self.roles.is_empty() || of.roles().any(|role| self.roles.iter().any(|asked| asked == role));
        if !roles || !self.scopes.iter().all(|asked| of.scope().any(|scope| scope == asked)) {
            return Err(Denial::Forbidden);
        }
        // A sign-in yet to come (milliseconds for seconds, or a wrong clock) would stay recent for ever.
        let recent = |at: Timestamp, age| at <= now.plus(LEEWAY) && now.since(at) <= age;
        let recent = self.max_auth_age.is_none_or(|age| of.auth_time().is_some_and(|at| recent(at, age)));
        let moved = self.same_device && of.device_changed;
        if moved || !recent || !self.amr.iter().all(|asked| of.amr().any(|method| method == asked)) {
            return Err(Denial::InsufficientAuthentication);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::check::identity::HeaderNames;
    use crate::check::testing;
    use crate::token::Claims;
    use crate::units::Span;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    fn weigh(require: &Require, claims: &Claims) -> Result<(), Denial> {
        let identity = Identity::new(claims, Arc::default(), HeaderNames::default(), &[]);
        Requirement::new(require).expect("a requirement").weigh(&identity, Timestamp(1000))
    }

    #[test]
    fn one_of_the_roles_and_every_scope_must_be_there() {
        let mut claims = testing::claims("alice");
        claims.roles = names(&["editor"]);
        claims.scope = names(&["read", "write"]);
        let roles = |list: &[&str]| Require { roles: names(list), ..Require::default() };
        assert_eq!(weigh(&roles(&["admin", "editor"]), &claims), Ok(()));
        assert_eq!(weigh(&roles(&["admin"]), &claims), Err(Denial::Forbidden));
        assert_eq!(weigh(&roles(&["edit"]), &claims), Err(Denial::Forbidden));
        let scopes = |list: &[&str]| Require { scopes: names(list), ..Require::default() };
        assert_eq!(weigh(&scopes(&["read", "write"]), &claims), Ok(()));
        assert_eq!(weigh(&scopes(&["read", "delete"]), &claims), Err(Denial::Forbidden));
    }

    #[test]
    fn an_old_or_weak_sign_in_is_told_apart_from_a_missing_role() {
        let mut claims = testing::claims("alice");
        claims.amr = names(&["pwd"]);
        claims.auth_time = Some(Timestamp(900));
        let amr = Require { amr: names(&["pwd", "otp"]), ..Require::default() };
        assert_eq!(weigh(&amr, &claims), Err(Denial::InsufficientAuthentication));
        let age = |span| Require { max_auth_age: Some(span), ..Require::default() };
        assert_eq!(weigh(&age(Span::secs(100)), &claims), Ok(()));
        assert_eq!(weigh(&age(Span::secs(99)), &claims), Err(Denial::InsufficientAuthentication));
        claims.auth_time = Some(Timestamp(1005));
        assert_eq!(weigh(&age(Span::secs(1)), &claims), Ok(()), "the issuer's clock may be a little ahead");
        for later in [1006, 1_000_000] {
            claims.auth_time = Some(Timestamp(later));
            assert_eq!(weigh(&age(Span::days(1)), &claims), Err(Denial::InsufficientAuthentication), "{later}");
        }
        claims.auth_time = None;
        assert_eq!(weigh(&age(Span::days(1)), &claims), Err(Denial::InsufficientAuthentication));
        let both = Require { roles: names(&["admin"]), ..age(Span::secs(1)) };
        assert_eq!(weigh(&both, &claims), Err(Denial::Forbidden), "signing in again brings no role");
    }

    #[test]
    fn a_requirement_of_nothing_is_refused() {
        for require in [
            Require::default(),
            Require { roles: names(&[""]), ..Require::default() },
            Require { scopes: names(&["read write"]), ..Require::default() },
            Require { max_auth_age: Some(Span::secs(0)), ..Require::default() },
        ] {
            assert!(Requirement::new(&require).is_err(), "{require:?}");
        }
    }
}
