//! How users and sessions look from outside; moments are RFC 3339 in UTC.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use crate::clock::Millis;
use crate::state::Session;
use crate::users::User;
use crate::users::history::PastSession;

#[derive(Serialize, ToSchema)]
pub(super) struct UserView {
    id: String,
    email: String,
    /// Whether its owner was seen to receive mail there.
    confirmed: bool,
    disabled: bool,
    roles: Vec<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionView {
    id: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// Written now and then, so it may lag.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// When it ends, however often it is refreshed.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The `User-Agent` that signed in.
    device: String,
    ip: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

/// A session as it is remembered, also beyond its end.
#[derive(Serialize, ToSchema)]
pub(super) struct PastSessionView {
    id: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// As of the last login, refresh or end.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// When it ends at the latest.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it was ended; null for one that lives, or died of age.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Why: `logout`, `logout_all`, `reuse`, `admin` or `limit`.
    cause: Option<String>,
    /// The `User-Agent` that signed in.
    device: String,
    ip: Option<String>,
}

impl PastSessionView {
    pub(super) fn of(past: &PastSession) -> Self {
        let (ended_at, cause) = past.ended.as_ref().map(|(at, cause)| (moment(*at), cause.clone())).unzip();
        Self {
            id: past.sid.to_string(),
            created_at: moment(past.created),
            last_seen_at: moment(past.last_seen),
            expires_at: moment(past.ends),
            ended_at,
            cause,
            device: past.user_agent.clone(),
            ip: past.ip.map(|ip| ip.to_string()),
        }
    }
}

impl UserView {
    pub(super) fn of(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.clone(),
            confirmed: user.confirmed,
            disabled: user.disabled,
            roles: user.roles.clone(),
            created_at: moment(user.created),
            updated_at: moment(user.updated),
        }
    }
}

impl SessionView {
    pub(super) fn of(session: &Session, current: bool) -> Self {
        Self {
            id: session.sid.to_string(),
            created_at: moment(session.created),
            last_seen_at: moment(session.last_seen),
            expires_at: moment(session.ends),
            device: session.device.user_agent.clone(),
            ip: session.device.ip.map(|ip| ip.to_string()),
            current,
        }
    }
}

/// `2026-11-22T19:30:00Z`.
pub(super) fn moment(at: Millis) -> String {
    let date = i64::try_from(at.0 / 1000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_default()
}
