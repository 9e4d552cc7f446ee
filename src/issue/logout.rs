//! Ending: one session by one of its tokens, and what its owner or an administrator ends by name. Whatever is answered `Ok` is written
//! in the store and known to the check plane of this process (SEC-S1, S4).

use std::borrow::Cow;

use crate::audit::{Event, outcome};
use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::issue::{Call, Issuer};
use crate::state::{Cause, Entry, Mark, StateError, Written};
use crate::token::refresh::RefreshToken;
use crate::token::{SessionId, SubjectTag, TokenError, TokenId};
use crate::turns::Overloaded;

#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    #[error("not a token of ours")]
    Invalid(#[from] TokenError),
    #[error("the issuer is overloaded")]
    Overloaded(#[from] Overloaded),
    #[error("the end could not be written")]
    State(#[from] StateError),
}

impl Fault for LogoutError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Unauthenticated,
            Self::Overloaded(_) | Self::State(_) => Kind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_token",
            Self::Overloaded(_) | Self::State(_) => "unavailable",
        }
    }
}

/// Why something ends; and who wants it, for the audit log, where that is not its owner.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a> {
    cause: Cause,
    by: Option<&'a str>,
}

impl<'a> Why<'a> {
    /// An administrator, or the command line.
    pub const fn admin(by: &'a str) -> Self {
        Self { cause: Cause::Admin, by: Some(by) }
    }

    pub(super) const fn cause(self) -> Cause {
        self.cause
    }

    /// `logout`, or `admin by` somebody.
    pub fn outcome(self, confirmed: bool) -> Cow<'static, str> {
        let cause = self.cause.as_str();
        match self.by {
            None => outcome(cause, confirmed),
            Some(by) => outcome(&format!("{cause} by {by}"), confirmed).into_owned().into(),
        }
    }
}

impl From<Cause> for Why<'_> {
    fn from(cause: Cause) -> Self {
        Self { cause, by: None }
    }
}

impl Issuer {
    /// Ends the session that `bearer` belongs to: an access token of ours, also an expired one, or a refresh token, also
    /// a spent one. A session that had ended before is fine.
    pub async fn logout(&self, bearer: &str, call: &Call) -> Result<(), LogoutError> {
        if RefreshToken::looks_like_one(bearer) {
            let shown = RefreshToken::parse(bearer, &self.parts.refresh_key)?;
            let _turn = self.turns.take().await?;
            let end = self.parts.sessions.end_with_salt(&shown.sid, &shown.salt.digest(), Cause::Logout).await?;
            let Written { done: whose, confirmed } = end;
            self.ended(&shown.sid, whose.as_deref(), whose.is_some(), Cause::Logout.into(), &confirmed, call);
            confirmed?;
        } else {
            let claims = self.parts.verifier.verify_even_if_expired(bearer, self.parts.clock.now())?;
            let sid = claims.sid.ok_or(TokenError::Claim("sid"))?;
            let _turn = self.turns.take().await?;
            let Written { done: was_live, confirmed } = self.parts.sessions.end(&sid, Cause::Logout).await?;
            self.ended(&sid, Some(&claims.subject), was_live, Cause::Logout.into(), &confirmed, call);
            confirmed?;
        }
        Ok(())
    }

    /// The session that a token of ours names, though the token be expired or spent and the session over: proof that whoever
    /// shows it has had that session.
    pub fn session_named_by(&self, bearer: &str) -> Option<SessionId> {
        if RefreshToken::looks_like_one(bearer) {
            return RefreshToken::parse(bearer, &self.parts.refresh_key).ok().map(|shown| shown.sid);
        }
        self.parts.verifier.verify_even_if_expired(bearer, self.parts.clock.now()).ok()?.sid
    }

    /// Ends one session, of this subject where it is known; `false` where none was live.
    pub async fn end_session(
        &self,
        sid: &SessionId,
        subject: Option<&str>,
        why: impl Into<Why<'_>>,
        call: &Call,
    ) -> Result<bool, StateError> {
        let why = why.into();
        let Written { done: was_live, confirmed } = self.parts.sessions.end(sid, why.cause).await?;
        self.ended(sid, subject, was_live, why, &confirmed, call);
        confirmed.map(|()| was_live)
    }

    /// Ends all sessions of one of our own subjects and refuses every access token it holds; how many were live.
    pub async fn end_subject(&self, subject: &str, why: impl Into<Why<'_>>, call: &Call) -> Result<u64, StateError> {
        let (why, tag) = (why.into(), self.tag(subject));
        // Own tokens are refused by their epoch, for good; there is nothing to remember for longer than they live.
        let remember = self.parts.settings.access_lifetime.0;
        let ended = self.parts.sessions.end_subject(tag, why.cause, remember).await?;
        self.hear(&Entry::Subject(tag));
        self.parts.metrics.sessions_revoked.with_label_values(&[why.cause.as_str()]).inc_by(ended.done);
        self.parts.records.all_ended(subject, why.cause);
        let outcome = why.outcome(ended.confirmed.is_ok());
        self.record(call, Event::AuthnTokenRevoked, Some(subject), None, &outcome);
        ended.sure()
    }

    /// Ends everyone's sessions, however many there are, and refuses every token issued until now, other issuers' too (SEC-S8).
    /// `by`: who wants it.
    pub async fn end_everyone(&self, by: &str, call: &Call) -> Result<Mark, StateError> {
        let raised = self.parts.sessions.end_everyone().await?;
        self.hear(&Entry::Everyone(raised.done));
        self.parts.metrics.everyone_revoked.inc();
        let what = format!("everyone by {by}");
        self.record(call, Event::AuthnTokenRevoked, None, None, &outcome(&what, raised.confirmed.is_ok()));
        raised.sure()
    }

    /// Refuses every access token that one of our own subjects holds; its sessions live on, and a refresh gives it new ones:
    /// how a change of its roles reaches every checker within the bound.
    pub async fn outdate(&self, subject: &str, call: &Call) -> Result<(), StateError> {
        let tag = self.tag(subject);
        let outdated = self.parts.sessions.outdate(tag).await?;
        self.hear(&Entry::Subject(tag));
        let outcome = outcome("outdated", outdated.confirmed.is_ok());
        self.record(call, Event::AuthnTokenRevoked, Some(subject), None, &outcome);
        outdated.sure()
    }

    /// Refuses one token, own or foreign, until it expires.
    pub async fn deny(
        &self,
        issuer: &str,
        subject: &str,
        jti: &TokenId,
        until: Timestamp,
        call: &Call,
    ) -> Result<(), StateError> {
        let tag = SubjectTag::of(issuer, subject);
        let denied = self.parts.sessions.deny_token(tag, jti, until).await?;
        self.hear(&Entry::Subject(tag));
        let outcome = outcome("denied", denied.confirmed.is_ok());
        self.record(call, Event::AuthnTokenRevoked, Some(subject), None, &outcome);
        denied.sure()
    }

    /// A session that was not live is heard of all the same: an earlier try may have ended it, its answer lost.
    /// One whose replicas did not confirm it is told now, though it is answered 503: its repeat finds nothing to end.
    fn ended(
        &self,
        sid: &SessionId,
        subject: Option<&str>,
        was_live: bool,
        why: Why<'_>,
        confirmed: &Result<(), StateError>,
        call: &Call,
    ) {
        if was_live {
            self.tell_end(sid, subject, why, confirmed.is_ok(), call);
        } else {
            self.hear(&Entry::Session(*sid));
        }
    }
}
