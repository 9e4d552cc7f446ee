//! What is kept of a subject beside its sessions: its epoch, and denials of foreign tokens.

use std::time::Duration;

use super::super::{Standing, StateError};
use super::{Change, Step, signed, unsigned};
use crate::clock::{Millis, Timestamp};
use crate::database::Pool;
use crate::token::{SubjectTag, TokenId};

/// An epoch outlives the last session that could carry it.
const LONGER: Duration = Duration::from_secs(24 * 3600);

/// A denied token is remembered a little longer than it lives, for clocks that differ.
const DENIED_LONGER: Duration = Duration::from_secs(120);

/// An issuer's clock may be ahead of ours by this much: the leeway that `iat` has.
const ISSUER_AHEAD: Duration = Duration::from_secs(5);

/// The subject's epoch, begun where there is none, and kept until after `ends`.
pub(super) async fn epoch(step: &mut Step<'_>, tag: SubjectTag, ends: Millis) -> Result<u64, StateError> {
    let keep_until = signed(ends.plus(LONGER).0);
    let kept: Option<(i64, i64)> = sqlx::query_as("SELECT epoch, keep_until FROM state_subject WHERE tag = ?")
        .bind(tag.to_string())
        .fetch_optional(&mut *step.change)
        .await?;
    match kept {
        Some((epoch, until)) => {
            if until < keep_until {
                sqlx::query("UPDATE state_subject SET keep_until = ? WHERE tag = ?")
                    .bind(keep_until)
                    .bind(tag.to_string())
                    .execute(&mut *step.change)
                    .await?;
            }
            unsigned(epoch)
        }
        None => {
            insert(step, tag, step.now.0, keep_until).await?;
            Ok(step.now.0)
        }
    }
}

/// Raises the epoch above all that was handed out; for a foreign subject also denies what was issued until now.
pub(super) async fn raise_epoch(step: &mut Step<'_>, tag: SubjectTag, remember: Duration) -> Result<(), StateError> {
    let before: Option<i64> = sqlx::query_scalar("SELECT epoch FROM state_subject WHERE tag = ?")
        .bind(tag.to_string())
        .fetch_optional(&mut *step.change)
        .await?;
    let now = signed(step.now.0);
    let keep_until = signed(step.now.plus(remember.max(LONGER)).0);
    match before {
        // One more than before at least: it rises even where the clock went back.
        Some(before) => {
            sqlx::query(
                "UPDATE state_subject SET epoch = ?, \
                 keep_until = CASE WHEN keep_until < ? THEN ? ELSE keep_until END WHERE tag = ?",
            )
            .bind(now.max(before + 1))
            .bind(keep_until)
            .bind(keep_until)
            .bind(tag.to_string())
            .execute(&mut *step.change)
            .await?;
        }
        None => insert(step, tag, step.now.0, keep_until).await?,
    }
    if !remember.is_zero() {
        sqlx::query("UPDATE state_subject SET denied_seconds = ?, denied_until = ? WHERE tag = ?")
            // With the time that an issuer's clock may be ahead: a token given just before must not look younger than this.
            .bind(signed(step.now.seconds().plus(ISSUER_AHEAD).0))
            .bind(signed(step.now.plus(remember).0))
            .bind(tag.to_string())
            .execute(&mut *step.change)
            .await?;
    }
    Ok(())
}

async fn insert(step: &mut Step<'_>, tag: SubjectTag, epoch: u64, keep_until: i64) -> Result<(), StateError> {
    sqlx::query("INSERT INTO state_subject (tag, epoch, denied_until, keep_until) VALUES (?, ?, 0, ?)")
        .bind(tag.to_string())
        .bind(signed(epoch))
        .bind(keep_until)
        .execute(&mut *step.change)
        .await?;
    Ok(())
}

pub(super) async fn deny_token(
    step: &mut Step<'_>,
    tag: SubjectTag,
    jti: &TokenId,
    until: Timestamp,
) -> Result<(), StateError> {
    let (tag, jti) = (tag.to_string(), jti.as_str());
    sqlx::query("DELETE FROM state_denied_token WHERE tag = ? AND jti = ?")
        .bind(&tag)
        .bind(jti)
        .execute(&mut *step.change)
        .await?;
    sqlx::query("INSERT INTO state_denied_token (tag, jti, until) VALUES (?, ?, ?)")
        .bind(&tag)
        .bind(jti)
        .bind(signed(Millis::from(until).plus(DENIED_LONGER).0))
        .execute(&mut *step.change)
        .await?;
    Ok(())
}

/// How a foreign token stands. One that does not say when it was issued falls under any denial of its subject.
pub(super) async fn standing(
    pool: &Pool,
    tag: SubjectTag,
    jti: Option<&TokenId>,
    issued: Option<Timestamp>,
    now: Millis,
) -> Result<Standing, StateError> {
    let issued = issued.map_or(0, |issued| signed(issued.0));
    let denials: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM state_subject WHERE tag = ? AND denied_until > ? AND denied_seconds >= ?) \
         + (SELECT count(*) FROM state_denied_token WHERE tag = ? AND jti = ? AND until > ?)",
    )
    .bind(tag.to_string())
    .bind(signed(now.0))
    .bind(issued)
    .bind(tag.to_string())
    .bind(jti.map_or("", TokenId::as_str))
    .bind(signed(now.0))
    .fetch_one(pool)
    .await?;
    Ok(if denials > 0 { Standing::Dead } else { Standing::Live { idle_left: None, ends: None } })
}

pub(super) async fn purge(change: &mut Change, now: Millis) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM state_subject WHERE keep_until < ? AND denied_until < ?")
        .bind(signed(now.0))
        .bind(signed(now.0))
        .execute(&mut **change)
        .await?;
    sqlx::query("DELETE FROM state_denied_token WHERE until < ?").bind(signed(now.0)).execute(&mut **change).await?;
    Ok(())
}
