//! Session rows. A row counts only while `expires_at` (the idle limit, never past the absolute end) lies ahead; what died of
//! age is removed now and then.

use std::time::Duration;

use sqlx::FromRow;

use super::super::family::{Verdict, judge, judge_in_place};
use super::super::record::{kind_from, kind_name, list, words};
use super::super::{AtLimit, Device, Entry, NewSession, Opened, Rotation, Session, SessionRules, Standing, StateError};
use super::step::Step;
use super::{subject, unsigned};
use crate::clock::Millis;
use crate::database::{Database, On, query, signed};
use crate::secret::{Digest, constant_time_eq};
use crate::token::refresh::Manner;
use crate::token::{Epoch, Generation, Holder, SessionId, SubjectTag, TokenId};

/// A session that died of age is kept this long, for whoever asks after it to be told once what became of it.
const EXPIRED_KEPT: Duration = Duration::from_secs(24 * 3600);

/// What a session is made of; the order of columns is of no concern, their names are.
#[derive(FromRow)]
struct Row {
    sid: String,
    generation: i64,
    created_at: i64,
    seen_at: i64,
    ends_at: i64,
    mark: i64,
    subject: String,
    kind: String,
    roles: String,
    scope: String,
    amr: String,
    user_agent: String,
    ip: String,
}

/// A session with its subject's epoch.
#[derive(FromRow)]
struct Whole {
    #[sqlx(flatten)]
    row: Row,
    epoch: i64,
}

/// A session with what judges a refresh token of its.
#[derive(FromRow)]
struct Family {
    #[sqlx(flatten)]
    row: Row,
    salt: String,
    rotated_at: i64,
    expires_at: i64,
}

/// The beginning of every query for whole sessions: of those that live.
macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT s.sid, s.generation, s.created_at, s.seen_at, s.ends_at, s.mark, s.subject, s.kind, s.roles, s.scope, s.amr, ",
            "s.user_agent, s.ip, COALESCE(e.epoch, 0) AS epoch ",
            "FROM state_session s LEFT JOIN state_subject e ON e.tag = s.tag ",
            "WHERE s.mark >= (SELECT mark FROM state_store) AND s.expires_at > {now} ",
            $rest
        )
    };
}

pub(super) async fn open(step: &mut Step, new: &NewSession, rules: &SessionRules) -> Result<Opened, StateError> {
    let tag = new.sid.tag();
    let BySubject { alive, expired, ended } = of_subject_by_age(step, tag).await?;
    // A repeat of a call whose answer was lost: session ids are random, so this one can only be our own.
    if alive.contains(&new.sid) {
        let session = find(&mut step.change, &new.sid).await?;
        let session = session.ok_or_else(|| StateError::Corrupt("a session is there, and is not".into()))?;
        return Ok(Opened::Session {
            session: Box::new(session),
            evicted: Vec::new(),
            unconfirmed: false,
            expired: Vec::new(),
        });
    }
    let mut evicted = Vec::new();
    if rules.max_per_subject > 0 {
        let most = rules.max_per_subject as usize;
        if alive.len() >= most && rules.at_limit == AtLimit::Refuse {
            return Ok(Opened::LimitReached);
        }
        for sid in alive.iter().take((alive.len() + 1).saturating_sub(most)) {
            end(step, sid).await?;
            evicted.push(*sid);
        }
    }
    for sid in expired.iter().chain(&ended) {
        remove(step, sid).await?;
    }
    let ends = step.now.plus(rules.lifetime);
    subject::keep(step, tag, ends).await?;
    let NewSession { sid, holder, salt, device } = new;
    query(
        "INSERT INTO state_session (sid, tag, salt, generation, rotated_at, created_at, seen_at, expires_at, ends_at, \
         mark, subject, kind, roles, scope, amr, user_agent, ip) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(sid.to_string())
    .bind(tag.to_string())
    .bind(salt.to_string())
    .bind(step.now)
    .bind(step.now)
    .bind(step.now)
    .bind(step.now.plus(rules.idle).min(ends))
    .bind(ends)
    .bind(signed(step.mark.0))
    .bind(holder.subject.as_str())
    .bind(kind_name(holder.kind))
    .bind(list(&holder.roles))
    .bind(list(&holder.scope))
    .bind(list(&holder.amr))
    .bind(device.user_agent.as_str())
    .bind(device.ip.map(|ip| ip.to_string()).unwrap_or_default())
    .run(&mut step.change)
    .await?;
    let session = Session {
        sid: *sid,
        holder: holder.clone(),
        generation: Generation(0),
        epoch: Epoch { mark: step.mark.0, subject: step.epoch },
        created: step.now,
        last_seen: step.now,
        ends,
        device: device.clone(),
    };
    Ok(Opened::Session { session: Box::new(session), evicted, unconfirmed: false, expired })
}

/// What there is of a subject's sessions, oldest first.
#[derive(Default)]
struct BySubject {
    alive: Vec<SessionId>,
    /// Those that died of age.
    expired: Vec<SessionId>,
    /// Those that the mark has ended, which was told then.
    ended: Vec<SessionId>,
}

async fn of_subject_by_age(step: &mut Step, tag: SubjectTag) -> Result<BySubject, StateError> {
    let rows: Vec<(String, i64, i64)> =
        query("SELECT sid, expires_at, mark FROM state_session WHERE tag = ? ORDER BY created_at, sid")
            .bind(tag.to_string())
            .all(&mut step.change)
            .await?;
    let mut found = BySubject::default();
    for (sid, expires, mark) in rows {
        let side = if unsigned(mark)? < step.mark.0 {
            &mut found.ended
        } else if unsigned(expires)? <= step.now.0 {
            &mut found.expired
        } else {
            &mut found.alive
        };
        side.push(sid_from(&sid)?);
    }
    Ok(found)
}

async fn remove(step: &mut Step, sid: &SessionId) -> Result<(), StateError> {
    query("DELETE FROM state_session WHERE sid = ?").bind(sid.to_string()).run(&mut step.change).await?;
    Ok(())
}

pub(super) async fn refresh(
    step: &mut Step,
    sid: &SessionId,
    shown: Generation,
    salt: &Digest,
    manner: Manner,
    rules: &SessionRules,
) -> Result<Rotation, StateError> {
    let row: Option<Family> = query(
        "SELECT sid, salt, generation, rotated_at, created_at, seen_at, expires_at, ends_at, mark, subject, kind, roles, \
         scope, amr, user_agent, ip FROM state_session WHERE sid = ? {lock}",
    )
    .bind(sid.to_string())
    .maybe(&mut step.change)
    .await?;
    let Some(family) = row else { return Ok(Rotation::Unknown) };
    if !constant_time_eq(family.salt.as_bytes(), salt.to_string().as_bytes()) {
        return Ok(Rotation::Unknown);
    }
    if unsigned(family.row.mark)? < step.mark.0 {
        remove(step, sid).await?;
        return Ok(Rotation::Unknown);
    }
    if unsigned(family.expires_at)? <= step.now.0 {
        remove(step, sid).await?;
        return Ok(Rotation::Expired { subject: Some(family.row.subject) });
    }
    let rotated_at = Millis(unsigned(family.rotated_at)?);
    let mut session = family.row.session(step.epoch)?;
    let judge = match manner {
        Manner::Rotating => judge,
        Manner::InPlace => judge_in_place,
    };
    let verdict = judge(session.generation, rotated_at, shown, step.now, rules.grace);
    match verdict {
        Verdict::Rotate(next) | Verdict::CatchUp(next) => {
            query("UPDATE state_session SET generation = ?, rotated_at = ?, seen_at = ?, expires_at = ? WHERE sid = ?")
                .bind(i64::from(next.0))
                .bind(step.now)
                .bind(step.now)
                .bind(step.now.plus(rules.idle).min(session.ends))
                .bind(sid.to_string())
                .run(&mut step.change)
                .await?;
            (session.generation, session.last_seen) = (next, step.now);
        }
        Verdict::Keep => {
            query("UPDATE state_session SET seen_at = ?, expires_at = ? WHERE sid = ?")
                .bind(step.now)
                .bind(step.now.plus(rules.idle).min(session.ends))
                .bind(sid.to_string())
                .run(&mut step.change)
                .await?;
            session.last_seen = step.now;
        }
        Verdict::Repeat(_) => {}
        Verdict::Reuse => {
            end(step, sid).await?;
            return Ok(Rotation::Reused { subject: session.holder.subject, confirmed: true });
        }
        Verdict::Lost => return Ok(Rotation::Lost),
    }
    subject::keep(step, sid.tag(), session.ends).await?;
    Ok(match verdict {
        Verdict::Repeat(_) => Rotation::Repeated(session),
        Verdict::CatchUp(_) => Rotation::CaughtUp(session),
        Verdict::Keep => Rotation::Kept(session),
        _ => Rotation::Rotated(session),
    })
}

/// Ends a session and tells the log; false where none was live.
pub(super) async fn end(step: &mut Step, sid: &SessionId) -> Result<bool, StateError> {
    let ended = query("DELETE FROM state_session WHERE sid = ? AND expires_at > ? AND mark >= ?")
        .bind(sid.to_string())
        .bind(step.now)
        .bind(signed(step.mark.0))
        .run(&mut step.change)
        .await?;
    if ended > 0 {
        step.tell(Entry::Session(*sid));
    }
    Ok(ended > 0)
}

/// Whose session it is, if `salt` is its own.
pub(super) async fn subject_by_salt(
    step: &mut Step,
    sid: &SessionId,
    salt: &Digest,
) -> Result<Option<String>, StateError> {
    let row: Option<(String, String)> = query("SELECT salt, subject FROM state_session WHERE sid = ?")
        .bind(sid.to_string())
        .maybe(&mut step.change)
        .await?;
    let its_own = |kept: &str| constant_time_eq(kept.as_bytes(), salt.to_string().as_bytes());
    Ok(row.filter(|(kept, _)| its_own(kept)).map(|(_, subject)| subject))
}

/// Ends all sessions of a subject; how many were live. The caller tells the log.
pub(super) async fn end_all(step: &mut Step, tag: SubjectTag) -> Result<u64, StateError> {
    let ended = query("DELETE FROM state_session WHERE tag = ? AND expires_at > ? AND mark >= ?")
        .bind(tag.to_string())
        .bind(step.now)
        .bind(signed(step.mark.0))
        .run(&mut step.change)
        .await?;
    Ok(ended)
}

/// Lets a live session live on for `idle` from a moment of use, never past its end and never shorter than it has.
pub(super) async fn touch(step: &mut Step, sid: &SessionId, at: Millis, idle: Duration) -> Result<(), StateError> {
    let at = at.min(step.now);
    let until = at.plus(idle);
    query(
        "UPDATE state_session SET seen_at = CASE WHEN seen_at > ? THEN seen_at ELSE ? END, \
         expires_at = CASE WHEN expires_at > ? THEN expires_at WHEN ends_at < ? THEN ends_at ELSE ? END \
         WHERE sid = ? AND expires_at > ? AND mark >= (SELECT mark FROM state_store)",
    )
    .bind(at)
    .bind(at)
    .bind(until)
    .bind(until)
    .bind(until)
    .bind(sid.to_string())
    .bind(step.now)
    .run(&mut step.change)
    .await?;
    Ok(())
}

pub(super) async fn standing(
    database: &Database,
    sid: &SessionId,
    jti: &TokenId,
    epoch: Epoch,
) -> Result<Standing, StateError> {
    let row: Option<(i64, i64, i64)> = query(
        "SELECT s.expires_at, s.ends_at, {now} FROM state_session s JOIN state_subject e ON e.tag = s.tag \
         WHERE s.sid = ? AND s.expires_at > {now} AND e.epoch <= ? \
         AND (SELECT mark FROM state_store) <= ? AND NOT EXISTS \
         (SELECT 1 FROM state_denied_token d WHERE d.tag = s.tag AND d.jti = ? AND d.until > {now})",
    )
    .bind(sid.to_string())
    .bind(signed(epoch.subject))
    .bind(signed(epoch.mark))
    .bind(jti.as_str())
    .maybe(database)
    .await?;
    let Some((expires, ends, now)) = row else { return Ok(Standing::Dead) };
    let left = Millis(unsigned(expires)?).since(Millis(unsigned(now)?));
    Ok(Standing::Live { idle_left: Some(left), ends: Some(Millis(unsigned(ends)?)) })
}

pub(super) async fn find(on: impl Into<On<'_>>, sid: &SessionId) -> Result<Option<Session>, StateError> {
    let found = query(select_sessions!("AND s.sid = ?"));
    let whole: Option<Whole> = found.bind(sid.to_string()).maybe(on).await?;
    whole.map(Whole::session).transpose()
}

pub(super) async fn of_subject(database: &Database, tag: SubjectTag) -> Result<Vec<Session>, StateError> {
    let found = query(select_sessions!("AND s.tag = ? ORDER BY s.created_at, s.sid"));
    let all: Vec<Whole> = found.bind(tag.to_string()).all(database).await?;
    all.into_iter().map(Whole::session).collect()
}

pub(super) async fn all(database: &Database, limit: usize) -> Result<Vec<Session>, StateError> {
    let found = query(select_sessions!("ORDER BY s.created_at DESC LIMIT ?"));
    let all: Vec<Whole> = found.bind(signed(limit as u64)).all(database).await?;
    all.into_iter().map(Whole::session).collect()
}

pub(super) async fn purge(database: &Database, now: Millis) -> Result<(), StateError> {
    let before = Millis(now.0.saturating_sub(EXPIRED_KEPT.as_millis() as u64));
    query("DELETE FROM state_session WHERE expires_at <= ?").bind(before).run(database).await?;
    Ok(())
}

impl Whole {
    fn session(self) -> Result<Session, StateError> {
        let epoch = unsigned(self.epoch)?;
        self.row.session(epoch)
    }
}

impl Row {
    /// With its subject's epoch.
    fn session(self, epoch: u64) -> Result<Session, StateError> {
        Ok(Session {
            sid: sid_from(&self.sid)?,
            holder: Holder {
                subject: self.subject,
                kind: kind_from(&self.kind)?,
                roles: words(&self.roles)?,
                scope: words(&self.scope)?,
                amr: words(&self.amr)?,
            },
            generation: generation(self.generation)?,
            epoch: Epoch { mark: unsigned(self.mark)?, subject: epoch },
            created: Millis(unsigned(self.created_at)?),
            last_seen: Millis(unsigned(self.seen_at)?),
            ends: Millis(unsigned(self.ends_at)?),
            device: Device { user_agent: self.user_agent, ip: self.ip.parse().ok() },
        })
    }
}

fn sid_from(text: &str) -> Result<SessionId, StateError> {
    text.parse().map_err(|_| StateError::Corrupt("a session id is not one".into()))
}

fn generation(number: i64) -> Result<Generation, StateError> {
    number.try_into().map(Generation).map_err(|_| StateError::Corrupt("a generation out of range".into()))
}
