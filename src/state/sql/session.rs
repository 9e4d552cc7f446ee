//! Session rows. A row counts only while `expires_at` (the idle limit, never past the absolute end) lies ahead; what died of
//! age is removed now and then.

use std::time::Duration;

use sqlx::FromRow;

use super::super::family::{Verdict, judge};
use super::super::record::{kind_from, kind_name, list, words};
use super::super::{AtLimit, Device, Entry, NewSession, Opened, Rotation, Session, SessionRules, Standing, StateError};
use super::{Change, Step, log, signed, subject, unsigned};
use crate::clock::Millis;
use crate::database::Pool;
use crate::secret::{Digest, constant_time_eq};
use crate::token::{Generation, Holder, SessionId, SubjectTag, TokenId};

/// A session that died of age is kept this long, for whoever asks after it to be told once what became of it.
const EXPIRED_KEPT: Duration = Duration::from_secs(24 * 3600);

/// A session with its subject's epoch; the order of columns is of no concern, their names are.
#[derive(FromRow)]
struct Row {
    sid: String,
    generation: i64,
    created_at: i64,
    seen_at: i64,
    ends_at: i64,
    subject: String,
    kind: String,
    roles: String,
    scope: String,
    amr: String,
    user_agent: String,
    ip: String,
    epoch: i64,
}

/// The beginning of every query for whole sessions.
macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT s.sid, s.generation, s.created_at, s.seen_at, s.ends_at, s.subject, s.kind, s.roles, s.scope, s.amr, ",
            "s.user_agent, s.ip, COALESCE(e.epoch, 0) AS epoch ",
            "FROM state_session s LEFT JOIN state_subject e ON e.tag = s.tag ",
            $rest
        )
    };
}

pub(super) async fn open(step: &mut Step<'_>, new: &NewSession, rules: &SessionRules) -> Result<Opened, StateError> {
    let tag = new.sid.tag();
    // A repeat of a call whose answer was lost: session ids are random, so this one can only be our own.
    if let Some(session) = find(&mut *step.change, &new.sid, step.now).await? {
        return Ok(Opened::Session {
            session: Box::new(session),
            evicted: Vec::new(),
            unconfirmed: false,
            expired: Vec::new(),
        });
    }
    let expired = take_expired(step, tag).await?;
    let mut evicted = Vec::new();
    if rules.max_per_subject > 0 {
        let most = rules.max_per_subject as usize;
        let alive: Vec<String> = sqlx::query_scalar(
            "SELECT sid FROM state_session WHERE tag = ? AND expires_at > ? ORDER BY created_at, sid",
        )
        .bind(tag.to_string())
        .bind(signed(step.now.0))
        .fetch_all(&mut *step.change)
        .await?;
        if alive.len() >= most && rules.at_limit == AtLimit::Refuse {
            return Ok(Opened::LimitReached);
        }
        for sid in alive.iter().take((alive.len() + 1).saturating_sub(most)) {
            let sid = sid_from(sid)?;
            end(step, &sid).await?;
            evicted.push(sid);
        }
    }
    let ends = step.now.plus(rules.lifetime);
    let epoch = subject::epoch(step, tag, ends).await?;
    let NewSession { sid, holder, salt, device } = new;
    sqlx::query(
        "INSERT INTO state_session (sid, tag, salt, generation, rotated_at, created_at, seen_at, expires_at, ends_at, \
         subject, kind, roles, scope, amr, user_agent, ip) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(sid.to_string())
    .bind(tag.to_string())
    .bind(salt.to_string())
    .bind(signed(step.now.0))
    .bind(signed(step.now.0))
    .bind(signed(step.now.0))
    .bind(signed(step.now.plus(rules.idle).min(ends).0))
    .bind(signed(ends.0))
    .bind(&holder.subject)
    .bind(kind_name(holder.kind))
    .bind(list(&holder.roles))
    .bind(list(&holder.scope))
    .bind(list(&holder.amr))
    .bind(&device.user_agent)
    .bind(device.ip.map(|ip| ip.to_string()).unwrap_or_default())
    .execute(&mut *step.change)
    .await?;
    let session = Session {
        sid: *sid,
        holder: holder.clone(),
        generation: Generation(0),
        epoch,
        created: step.now,
        last_seen: step.now,
        ends,
        device: device.clone(),
    };
    Ok(Opened::Session { session: Box::new(session), evicted, unconfirmed: false, expired })
}

/// Removes the subject's sessions that died of age.
async fn take_expired(step: &mut Step<'_>, tag: SubjectTag) -> Result<Vec<SessionId>, StateError> {
    let expired: Vec<String> = sqlx::query_scalar("SELECT sid FROM state_session WHERE tag = ? AND expires_at <= ?")
        .bind(tag.to_string())
        .bind(signed(step.now.0))
        .fetch_all(&mut *step.change)
        .await?;
    for sid in &expired {
        remove(step, sid).await?;
    }
    expired.iter().map(|sid| sid_from(sid)).collect()
}

async fn remove(step: &mut Step<'_>, sid: &str) -> Result<(), StateError> {
    sqlx::query("DELETE FROM state_session WHERE sid = ?").bind(sid).execute(&mut *step.change).await?;
    Ok(())
}

pub(super) async fn rotate(
    step: &mut Step<'_>,
    sid: &SessionId,
    shown: Generation,
    salt: &Digest,
    rules: &SessionRules,
) -> Result<Rotation, StateError> {
    let row: Option<(String, i64, i64, i64, String, bool)> = sqlx::query_as(
        "SELECT salt, generation, rotated_at, ends_at, subject, expires_at <= ? FROM state_session WHERE sid = ?",
    )
    .bind(signed(step.now.0))
    .bind(sid.to_string())
    .fetch_optional(&mut *step.change)
    .await?;
    let Some((kept, current, rotated_at, ends, whose, expired)) = row else { return Ok(Rotation::Unknown) };
    if !constant_time_eq(kept.as_bytes(), salt.to_string().as_bytes()) {
        return Ok(Rotation::Unknown);
    }
    if expired {
        remove(step, &sid.to_string()).await?;
        return Ok(Rotation::Expired { subject: Some(whose) });
    }
    let (current, ends) = (generation(current)?, Millis(unsigned(ends)?));
    let verdict = judge(current, Millis(unsigned(rotated_at)?), shown, step.now, rules.grace);
    match verdict {
        Verdict::Rotate(next) | Verdict::CatchUp(next) => {
            sqlx::query(
                "UPDATE state_session SET generation = ?, rotated_at = ?, seen_at = ?, expires_at = ? WHERE sid = ?",
            )
            .bind(i64::from(next.0))
            .bind(signed(step.now.0))
            .bind(signed(step.now.0))
            .bind(signed(step.now.plus(rules.idle).min(ends).0))
            .bind(sid.to_string())
            .execute(&mut *step.change)
            .await?;
        }
        Verdict::Repeat(_) => {}
        Verdict::Reuse => {
            end(step, sid).await?;
            return Ok(Rotation::Reused { subject: whose, confirmed: true });
        }
        Verdict::Lost => return Ok(Rotation::Lost),
    }
    subject::epoch(step, sid.tag(), ends).await?;
    let session = find(&mut *step.change, sid, step.now).await?;
    let session = session.ok_or_else(|| StateError::Corrupt("a rotated session is gone".into()))?;
    Ok(match verdict {
        Verdict::Repeat(_) => Rotation::Repeated(session),
        Verdict::CatchUp(_) => Rotation::CaughtUp(session),
        _ => Rotation::Rotated(session),
    })
}

/// Ends a session and tells the log; false where none was live.
pub(super) async fn end(step: &mut Step<'_>, sid: &SessionId) -> Result<bool, StateError> {
    let ended = sqlx::query("DELETE FROM state_session WHERE sid = ? AND expires_at > ?")
        .bind(sid.to_string())
        .bind(signed(step.now.0))
        .execute(&mut *step.change)
        .await?
        .rows_affected();
    if ended == 0 {
        return Ok(false);
    }
    log::write(step, &Entry::Session(*sid)).await?;
    Ok(true)
}

/// Whose session it is, if `salt` is its own.
pub(super) async fn subject_by_salt(
    step: &mut Step<'_>,
    sid: &SessionId,
    salt: &Digest,
) -> Result<Option<String>, StateError> {
    let row: Option<(String, String)> = sqlx::query_as("SELECT salt, subject FROM state_session WHERE sid = ?")
        .bind(sid.to_string())
        .fetch_optional(&mut *step.change)
        .await?;
    let its_own = |kept: &str| constant_time_eq(kept.as_bytes(), salt.to_string().as_bytes());
    Ok(row.filter(|(kept, _)| its_own(kept)).map(|(_, subject)| subject))
}

/// Ends all sessions of a subject; how many were live. The caller tells the log.
pub(super) async fn end_all(step: &mut Step<'_>, tag: SubjectTag) -> Result<u64, StateError> {
    let ended = sqlx::query("DELETE FROM state_session WHERE tag = ? AND expires_at > ?")
        .bind(tag.to_string())
        .bind(signed(step.now.0))
        .execute(&mut *step.change)
        .await?;
    Ok(ended.rows_affected())
}

/// Lets a live session live on for `idle` from a moment of use, never past its end and never shorter than it has.
pub(super) async fn touch(step: &mut Step<'_>, sid: &SessionId, at: Millis, idle: Duration) -> Result<(), StateError> {
    let at = at.min(step.now);
    let until = signed(at.plus(idle).0);
    sqlx::query(
        "UPDATE state_session SET seen_at = ?, expires_at = CASE WHEN expires_at > ? THEN expires_at \
         WHEN ends_at < ? THEN ends_at ELSE ? END WHERE sid = ? AND expires_at > ? AND seen_at <= ?",
    )
    .bind(signed(at.0))
    .bind(until)
    .bind(until)
    .bind(until)
    .bind(sid.to_string())
    .bind(signed(step.now.0))
    .bind(signed(at.0))
    .execute(&mut *step.change)
    .await?;
    Ok(())
}

pub(super) async fn standing(
    pool: &Pool,
    sid: &SessionId,
    jti: &TokenId,
    epoch: u64,
    now: Millis,
) -> Result<Standing, StateError> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT s.expires_at, s.ends_at FROM state_session s JOIN state_subject e ON e.tag = s.tag \
         WHERE s.sid = ? AND s.expires_at > ? AND e.epoch <= ? AND NOT EXISTS \
         (SELECT 1 FROM state_denied_token d WHERE d.tag = s.tag AND d.jti = ? AND d.until > ?)",
    )
    .bind(sid.to_string())
    .bind(signed(now.0))
    .bind(signed(epoch))
    .bind(jti.as_str())
    .bind(signed(now.0))
    .fetch_optional(pool)
    .await?;
    let Some((expires, ends)) = row else { return Ok(Standing::Dead) };
    Ok(Standing::Live { idle_left: Some(Millis(unsigned(expires)?).since(now)), ends: Some(Millis(unsigned(ends)?)) })
}

pub(super) async fn find<'c>(
    from: impl sqlx::Executor<'c, Database = crate::database::Engine>,
    sid: &SessionId,
    now: Millis,
) -> Result<Option<Session>, StateError> {
    let row: Option<Row> = sqlx::query_as(select_sessions!("WHERE s.sid = ? AND s.expires_at > ?"))
        .bind(sid.to_string())
        .bind(signed(now.0))
        .fetch_optional(from)
        .await?;
    row.map(Session::try_from).transpose()
}

pub(super) async fn of_subject(pool: &Pool, tag: SubjectTag, now: Millis) -> Result<Vec<Session>, StateError> {
    let rows: Vec<Row> =
        sqlx::query_as(select_sessions!("WHERE s.tag = ? AND s.expires_at > ? ORDER BY s.created_at, s.sid"))
            .bind(tag.to_string())
            .bind(signed(now.0))
            .fetch_all(pool)
            .await?;
    rows.into_iter().map(Session::try_from).collect()
}

pub(super) async fn all(pool: &Pool, limit: usize, now: Millis) -> Result<Vec<Session>, StateError> {
    let rows: Vec<Row> = sqlx::query_as(select_sessions!("WHERE s.expires_at > ? ORDER BY s.created_at DESC LIMIT ?"))
        .bind(signed(now.0))
        .bind(signed(limit as u64))
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(Session::try_from).collect()
}

pub(super) async fn purge(change: &mut Change, now: Millis) -> Result<(), sqlx::Error> {
    let before = now.0.saturating_sub(EXPIRED_KEPT.as_millis() as u64);
    sqlx::query("DELETE FROM state_session WHERE expires_at <= ?").bind(signed(before)).execute(&mut **change).await?;
    Ok(())
}

impl TryFrom<Row> for Session {
    type Error = StateError;

    fn try_from(row: Row) -> Result<Self, StateError> {
        Ok(Self {
            sid: sid_from(&row.sid)?,
            holder: Holder {
                subject: row.subject,
                kind: kind_from(&row.kind)?,
                roles: words(&row.roles)?,
                scope: words(&row.scope)?,
                amr: words(&row.amr)?,
            },
            generation: generation(row.generation)?,
            epoch: unsigned(row.epoch)?,
            created: Millis(unsigned(row.created_at)?),
            last_seen: Millis(unsigned(row.seen_at)?),
            ends: Millis(unsigned(row.ends_at)?),
            device: Device { user_agent: row.user_agent, ip: row.ip.parse().ok() },
        })
    }
}

fn sid_from(text: &str) -> Result<SessionId, StateError> {
    text.parse().map_err(|_| StateError::Corrupt("a session id is not one".into()))
}

fn generation(number: i64) -> Result<Generation, StateError> {
    number.try_into().map(Generation).map_err(|_| StateError::Corrupt("a generation out of range".into()))
}
