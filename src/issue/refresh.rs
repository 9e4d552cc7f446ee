//! Refreshing: a refresh token for its successor and a fresh access token (RFC 6749 section 6, RFC 9700 section 4.14.2).
//!
//! The order matters. The MAC is verified before the store is asked, so a forged token costs no round trip and ends
//! nobody's session. All that can be refused is refused before the one step that can't be undone, the rotation.
//!
//! A session of an account is an account's as it is today: the user is read anew (SEC-R11).

use crate::audit::Event;
use crate::fault::{Fault, Kind};
use crate::issue::{Call, Issuer, TokenPair};
use crate::state::{Cause, Device, Rotation, Session, StateError};
use crate::token::jwt::SignError;
use crate::token::refresh::{Manner, RefreshToken};
use crate::token::{Epoch, HolderKind, TokenError};
use crate::turns::Overloaded;
use crate::users::{UserError, UserId};

/// Why there is no new pair, or token. Clients see 401 with one of five codes, or 503.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    #[error("not a refresh token of ours")]
    Forged(#[from] TokenError),
    #[error("its session is unknown or has ended")]
    Unknown,
    #[error("its account is disabled or gone")]
    NoAccount,
    #[error("it came from another device than its session's")]
    OtherDevice,
    #[error("its session is refreshed by rotation only")]
    MustRotate,
    #[error("its session is an account's, and none are kept here")]
    OfAccount,
    #[error("the refresh token was spent before; its session is ended")]
    Reused,
    #[error("the token store has lost the session's last rotations")]
    Lost,
    #[error("the issuer is overloaded")]
    Overloaded(#[from] Overloaded),
    #[error("the session could not be rotated")]
    State(#[from] StateError),
    #[error("the account could not be read")]
    Users(#[from] UserError),
    #[error("the access token could not be signed")]
    Sign(#[from] SignError),
}

impl Fault for RefreshError {
    fn kind(&self) -> Kind {
        match self {
            Self::Forged(_)
            | Self::Unknown
            | Self::NoAccount
            | Self::OtherDevice
            | Self::MustRotate
            | Self::OfAccount
            | Self::Reused
            | Self::Lost => Kind::Unauthenticated,
            Self::Overloaded(_) | Self::State(_) | Self::Users(_) | Self::Sign(_) => Kind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            // One word for all: guessing tells nothing of which sessions there are.
            Self::Forged(_) | Self::Unknown | Self::NoAccount | Self::OfAccount => "invalid_token",
            Self::OtherDevice => "device_changed",
            Self::MustRotate => "must_rotate",
            Self::Reused => "refresh_reused",
            Self::Lost => "session_lost",
            Self::Overloaded(_) | Self::State(_) | Self::Users(_) | Self::Sign(_) => "unavailable",
        }
    }
}

/// What was found out before the rotation.
#[derive(Default)]
struct Known {
    /// The account's roles, and the session's epoch when they were read: unchanged, they are today's.
    roles: Option<(Vec<String>, Epoch)>,
    /// In what the device is not that of the login.
    changed: Vec<&'static str>,
}

impl Issuer {
    /// Rotates the family of `shown`, in one round trip: for sessions of the plain surface, which no account is behind. Repeated
    /// within the grace window it gives the very same successor.
    pub async fn refresh(&self, shown: &str, call: &Call) -> Result<TokenPair, RefreshError> {
        let refreshed = async {
            let shown = self.parse(shown)?;
            if shown.of_account {
                return Err(RefreshError::OfAccount);
            }
            self.advance(shown, Manner::Rotating, Known::default(), call).await
        };
        self.counted(refreshed.await)
    }

    /// Whether the text is a refresh token of an account's session, which has to be refreshed as such.
    pub fn is_of_account(&self, shown: &str) -> bool {
        self.parse(shown).is_ok_and(|shown| shown.of_account)
    }

    /// The same for who may hold an account: the account and the device are looked at first.
    pub async fn refresh_on(
        &self,
        shown: RefreshToken,
        device: &Device,
        call: &Call,
    ) -> Result<TokenPair, RefreshError> {
        let refreshed = async {
            let known = self.look_first(&shown, device, call).await?;
            self.advance(shown, Manner::Rotating, known, call).await
        };
        self.counted(refreshed.await)
    }

    /// A fresh access token for who may hold an account and keeps the refresh token: only where the session was opened for
    /// that. Else whoever finds a refresh token could draw on it here, and the next rotation would not tell (SEC-R8).
    pub async fn refresh_in_place(
        &self,
        shown: RefreshToken,
        device: &Device,
        call: &Call,
    ) -> Result<String, RefreshError> {
        let refreshed = async {
            if shown.manner != Manner::InPlace {
                return Err(RefreshError::MustRotate);
            }
            let known = self.look_first(&shown, device, call).await?;
            self.advance(shown, Manner::InPlace, known, call).await
        };
        self.counted(refreshed.await).map(|pair| pair.access)
    }

    /// The refresh token that this text is, its MAC verified; no store is asked.
    pub fn parse(&self, shown: &str) -> Result<RefreshToken, RefreshError> {
        Ok(RefreshToken::parse(shown, &self.parts.refresh_key)?)
    }

    fn counted(&self, refreshed: Result<(TokenPair, &'static str), RefreshError>) -> Result<TokenPair, RefreshError> {
        let result = match &refreshed {
            Ok((_, how)) => how,
            Err(RefreshError::Reused) => "reused",
            Err(RefreshError::Lost) => "lost",
            Err(error) if error.kind() == Kind::Unavailable => "unavailable",
            Err(_) => "invalid",
        };
        self.parts.metrics.refresh.with_label_values(&[result]).inc();
        refreshed.map(|(pair, _)| pair)
    }

    async fn look_first(&self, shown: &RefreshToken, device: &Device, call: &Call) -> Result<Known, RefreshError> {
        // A session that is not there is the rotation's to explain.
        let session = self.parts.sessions.session(&shown.sid).await?;
        let Some(session) = session.filter(|session| session.holder.kind == HolderKind::Account) else {
            return Ok(Known::default());
        };
        let subject = Some(session.holder.subject.as_str());
        let roles = self.roles_today(&session, call).await?;
        let Ok(changed) = self.parts.settings.device_binding.judge(&session.device, device) else {
            self.record(call, Event::AuthzFail, subject, Some(&session.sid), "device_changed");
            return Err(RefreshError::OtherDevice);
        };
        Ok(Known { roles: Some((roles, session.epoch)), changed })
    }

    /// The roles of the session's account; refused where it may not sign in any more (SEC-L8).
    async fn roles_today(&self, session: &Session, call: &Call) -> Result<Vec<String>, RefreshError> {
        let users = self.parts.users.as_ref();
        let users = users.ok_or_else(|| UserError::Unreachable("no users' database is used here".into()))?;
        let user = match UserId::new(&session.holder.subject) {
            Some(id) => users.find(&id).await?,
            None => None,
        };
        match user {
            Some(user) if !user.disabled => Ok(user.roles),
            _ => {
                let subject = Some(session.holder.subject.as_str());
                self.record(call, Event::AuthzFail, subject, Some(&session.sid), "account_disabled");
                Err(RefreshError::NoAccount)
            }
        }
    }

    async fn advance(
        &self,
        shown: RefreshToken,
        manner: Manner,
        known: Known,
        call: &Call,
    ) -> Result<(TokenPair, &'static str), RefreshError> {
        self.parts.signer.ready(self.parts.clock.now())?;
        let RefreshToken { sid, generation, salt, .. } = &shown;
        let _turn = self.turns.take().await?;
        let mut expected = self.expect(sid);
        let step = self.parts.sessions.refresh(sid, *generation, &salt.digest(), manner, &self.rules).await;
        let (mut session, how) = match step? {
            Rotation::Rotated(session) => (session, "rotated"),
            Rotation::Kept(session) => (session, "kept"),
            Rotation::Repeated(session) => {
                // How long it may stay idle is not told: it was rotated a while ago.
                expected = None;
                (session, "repeated")
            }
            Rotation::CaughtUp(session) => (session, "caught_up"),
            Rotation::Unknown => return Err(RefreshError::Unknown),
            Rotation::Expired { subject } => {
                self.tell_expired(sid, subject.as_deref(), call);
                return Err(RefreshError::Unknown);
            }
            Rotation::Lost => {
                self.record(call, Event::AuthzFail, None, Some(sid), "session_lost");
                return Err(RefreshError::Lost);
            }
            Rotation::Reused { subject, confirmed } => {
                self.record(call, Event::AuthnTokenReuse, Some(&subject), Some(sid), "refresh_reused");
                self.tell_end(sid, Some(&subject), Cause::Reuse.into(), confirmed, call);
                return Err(RefreshError::Reused);
            }
        };
        if session.holder.kind == HolderKind::Account {
            session.holder.roles = match known.roles {
                Some((roles, epoch)) if epoch == session.epoch => roles,
                // Not read yet, or its roles were changed meanwhile: who changes them writes the user, then raises the epoch.
                // Should this fail, the client's next try is within the grace window.
                _ => self.roles_today(&session, call).await?,
            };
        }
        let pair = self.mint(&session, shown, &known.changed, expected)?;
        let subject = Some(session.holder.subject.as_str());
        self.record(call, Event::SessionRenewed, subject, Some(sid), how);
        if !known.changed.is_empty() {
            let outcome = format!("device_changed_{}", known.changed.join("_"));
            self.record(call, Event::SessionRenewed, subject, Some(sid), &outcome);
        }
        self.parts.records.seen(&session);
        Ok((pair, how))
    }
}
