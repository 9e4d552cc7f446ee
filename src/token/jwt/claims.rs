//! Reads the claims of a payload whose signature held (SEC-T12, T13, T14).
//!
//! A claim of the wrong JSON type is refused, never taken for absent: a lenient reader would skip a check there.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::token::jws::Header;
use crate::token::jwt::ACCESS_TYPE;
use crate::token::remote::{ClaimMapping, IssuerSettings};
use crate::token::{Claims, Epoch, TokenError, TokenId};

/// How far another machine's clock may be ahead of ours for `nbf` and `iat`. `exp` gets no such grace.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// Whether an expired token is of use: only for logging out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Checked,
    Ignored,
}

/// What a token that was verified must say to be taken, and what it then means.
#[derive(Debug)]
pub struct Expected {
    pub issuer: Arc<str>,
    pub audience: Vec<String>,
    pub shape: Shape,
}

#[derive(Debug)]
pub enum Shape {
    /// RFC 9068, as our own signer writes it.
    Own,
    Foreign {
        typ: String,
        claims: ClaimMapping,
    },
}

impl Expected {
    pub fn own(issuer: Arc<str>, audience: Vec<String>) -> Self {
        Self { issuer, audience, shape: Shape::Own }
    }

    pub fn foreign(settings: &IssuerSettings) -> Self {
        Self {
            issuer: settings.issuer.as_str().into(),
            audience: settings.audience.clone(),
            shape: Shape::Foreign { typ: settings.typ.clone(), claims: settings.claims.clone() },
        }
    }

    pub const fn is_own(&self) -> bool {
        matches!(self.shape, Shape::Own)
    }

    /// # Errors
    /// [`TokenError::Claim`], [`TokenError::Expired`], [`TokenError::NotYetValid`]. `Claim("iss")` comes before all others:
    /// then the token is not this issuer's, though the key is.
    pub fn read(
        &self,
        header: &Header,
        kid: Arc<str>,
        payload: Map<String, Value>,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<Claims, TokenError> {
        if Payload(&payload).text("iss")? != Some(&*self.issuer) {
            return Err(TokenError::Claim("iss"));
        }
        self.check_type(header)?;
        self.read_payload(kid, payload, now, expiry)
    }

    /// The same for a payload of this issuer's whose header is known to be right.
    pub(super) fn read_payload(
        &self,
        kid: Arc<str>,
        payload: Map<String, Value>,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<Claims, TokenError> {
        let of = Payload(&payload);
        self.check_audience(of)?;
        let times = Times::of(&payload)?;
        times.judge(now, expiry)?;
        let Times { expires, issued, .. } = times;
        let jti = of.text("jti")?.map(|text| TokenId::new(text).ok_or(TokenError::Claim("jti"))).transpose()?;
        let amr = of.list("amr", "amr", Text::Refused)?;
        let auth_time = of.time("auth_time", f64::floor)?;
        let mut claims = Claims {
            issuer: Arc::clone(&self.issuer),
            own: self.is_own(),
            subject: String::new(),
            expires,
            issued,
            jti,
            sid: None,
            epoch: Epoch::default(),
            roles: Vec::new(),
            scope: Vec::new(),
            amr,
            auth_time,
            kid,
            payload: Map::new(),
        };
        match &self.shape {
            Shape::Own => of.read_own(&mut claims)?,
            Shape::Foreign { claims: mapping, .. } => of.read_foreign(mapping, &mut claims)?,
        }
        claims.payload = payload;
        Ok(claims)
    }

    fn check_type(&self, header: &Header) -> Result<(), TokenError> {
        let fits = match &self.shape {
            Shape::Own => header.is_of_type(ACCESS_TYPE),
            Shape::Foreign { typ, .. } if typ.is_empty() => {
                header.typ.is_none() || header.is_of_type("JWT") || header.is_of_type(ACCESS_TYPE)
            }
            Shape::Foreign { typ, .. } => header.is_of_type(typ),
        };
        if fits { Ok(()) } else { Err(TokenError::Claim("typ")) }
    }

    /// `aud` is a string or an array of strings (RFC 7519 section 4.1.3). Only a foreign issuer may go without.
    fn check_audience(&self, of: Payload<'_>) -> Result<(), TokenError> {
        let audience = match of.0.get("aud") {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(_) => of.list("aud", "aud", Text::Refused)?,
        };
        let asked = self.is_own() || !self.audience.is_empty();
        if !asked || audience.iter().any(|named| self.audience.contains(named)) {
            Ok(())
        } else {
            Err(TokenError::Claim("aud"))
        }
    }
}

/// When a token counts.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub expires: Timestamp,
    pub issued: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
}

impl Times {
    /// # Errors
    /// [`TokenError::Claim`] where `exp` is missing, or one of them is no time.
    pub fn of(payload: &Map<String, Value>) -> Result<Self, TokenError> {
        let of = Payload(payload);
        Ok(Self {
            expires: of.time("exp", f64::floor)?.ok_or(TokenError::Claim("exp"))?,
            issued: of.time("iat", f64::ceil)?,
            not_before: of.time("nbf", f64::ceil)?,
        })
    }

    /// # Errors
    /// [`TokenError::Expired`], [`TokenError::NotYetValid`].
    pub fn judge(&self, now: Timestamp, expiry: Expiry) -> Result<(), TokenError> {
        if expiry == Expiry::Checked && self.expires <= now {
            return Err(TokenError::Expired);
        }
        if self.issued.max(self.not_before).is_some_and(|from| from > now.plus(LEEWAY)) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

/// A string where a list is expected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    /// Is a list whose members stand between spaces.
    Split,
    Refused,
}

#[derive(Clone, Copy)]
struct Payload<'a>(&'a Map<String, Value>);

impl<'a> Payload<'a> {
    fn read_own(self, claims: &mut Claims) -> Result<(), TokenError> {
        let sid = self.text("sid")?.and_then(|text| text.parse().ok());
        claims.sid = Some(sid.ok_or(TokenError::Claim("sid"))?);
        claims.subject = self.subject("sub")?;
        if claims.jti.is_none() {
            return Err(TokenError::Claim("jti"));
        }
        if claims.issued.is_none() {
            return Err(TokenError::Claim("iat"));
        }
        claims.epoch = Epoch { mark: self.number("mark")?, subject: self.number("epoch")? };
        claims.roles = self.list("roles", "roles", Text::Refused)?;
        claims.scope = split(self.text("scope")?.unwrap_or_default());
        Ok(())
    }

    fn read_foreign(self, mapping: &ClaimMapping, claims: &mut Claims) -> Result<(), TokenError> {
        claims.subject = self.subject(&mapping.subject)?;
        claims.scope = self.list(&mapping.scope, "scope", Text::Split)?;
        claims.roles = self.list(&mapping.roles, "roles", Text::Split)?;
        if !mapping.role_names.is_empty() {
            // A role without a name of ours is dropped: their `admin` need not be ours.
            claims.roles = claims.roles.iter().filter_map(|role| mapping.role_names.get(role).cloned()).collect();
        }
        Ok(())
    }

    fn subject(self, path: &str) -> Result<String, TokenError> {
        match self.find(path, "sub")? {
            Some(Value::String(subject)) if !subject.is_empty() => Ok(subject.clone()),
            _ => Err(TokenError::Claim("sub")),
        }
    }

    /// 0 where there is none.
    fn number(self, name: &'static str) -> Result<u64, TokenError> {
        self.0.get(name).map_or(Ok(0), |value| value.as_u64().ok_or(TokenError::Claim(name)))
    }

    fn text(self, name: &'static str) -> Result<Option<&'a str>, TokenError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenError::Claim(name)),
        }
    }

    /// A `NumericDate` in [0, 2^53) (SEC-T14). Parts of a second are rounded to the stricter side.
    fn time(self, name: &'static str, round: fn(f64) -> f64) -> Result<Option<Timestamp>, TokenError> {
        const END: f64 = 9_007_199_254_740_992.0;
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..END).contains(seconds)).ok_or(TokenError::Claim(name))?;
        Ok(Some(Timestamp(round(seconds) as u64)))
    }

    /// The strings at `path`; none where there is nothing. `name` is what an error calls it.
    fn list(self, path: &str, name: &'static str, text: Text) -> Result<Vec<String>, TokenError> {
        match self.find(path, name)? {
            None => Ok(Vec::new()),
            Some(Value::String(words)) if text == Text::Split => Ok(split(words)),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(TokenError::Claim(name))).collect()
            }
            Some(_) => Err(TokenError::Claim(name)),
        }
    }

    /// A claim by its whole name (some providers use URLs, which have dots too), else by its dotted path into objects.
    fn find(self, path: &str, name: &'static str) -> Result<Option<&'a Value>, TokenError> {
        if let Some(value) = self.0.get(path) {
            return Ok(Some(value));
        }
        let mut steps = path.split('.');
        let mut found = steps.next().and_then(|first| self.0.get(first));
        for step in steps {
            found = match found {
                None => return Ok(None),
                Some(Value::Object(members)) => members.get(step),
                Some(_) => return Err(TokenError::Claim(name)),
            };
        }
        Ok(found)
    }
}

fn split(words: &str) -> Vec<String> {
    words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
