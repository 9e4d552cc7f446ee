//! What is kept of a subject beside its sessions: its epoch, and denials of foreign tokens.

use std::time::Duration;

use super::super::mark::ISSUER_AHEAD;
use super::super::{Mark, Standing, StateError};
use super::step::Step;
use super::unsigned;
use crate::clock::{Millis, Timestamp};
use crate::database::{Database, query, signed};
use crate::token::{SubjectTag, TokenId};

/// An epoch outlives the last session that could carry it.
const LONGER: Duration = Duration::from_secs(24 * 3600);

/// A denied token is remembered a little longer than it lives, for clocks that differ.
const DENIED_LONGER: Duration = Duration::from_secs(120);

/// Keeps the subject's epoch until after `ends`; longer than that, so that few steps have to.
pub(super) async fn keep(step: &mut Step, tag: SubjectTag, ends: Millis) -> Result<(), StateError> {
    if step.kept_until <= ends {
        step.kept_until = ends.plus(LONGER);
        query("UPDATE state_subject SET keep_until = ? WHERE tag = ?")
            .bind(step.kept_until)
            .bind(tag.to_string())
            .run(&mut step.change)
            .await?;
    }
    Ok(())
}

/// Raises the epoch above all that was handed out; for a foreign subject also denies what was issued until now. The step has
/// the subject's row.
pub(super) async fn raise_epoch(step: &mut Step, tag: SubjectTag, remember: Duration) -> Result<(), StateError> {
    // One more than before at least: it rises even where the clock went back.
    let epoch = step.now.0.max(step.epoch + 1);
    query("UPDATE state_subject SET epoch = ? WHERE tag = ?")
        .bind(signed(epoch))
        .bind(tag.to_string())
        .run(&mut step.change)
        .await?;
    keep(step, tag, step.now.plus(remember)).await?;
    if !remember.is_zero() {
        query("UPDATE state_subject SET denied_seconds = ?, denied_until = ? WHERE tag = ?")
            // With the time that an issuer's clock may be ahead: a token given just before must not look younger than this.
            .bind(signed(step.now.seconds().plus(ISSUER_AHEAD).0))
            .bind(step.now.plus(remember))
            .bind(tag.to_string())
            .run(&mut step.change)
            .await?;
    }
    Ok(())
}

pub(super) async fn deny_token(
    step: &mut Step,
    tag: SubjectTag,
    jti: &TokenId,
    until: Timestamp,
) -> Result<(), StateError> {
    query("DELETE FROM state_denied_token WHERE tag = ? AND jti = ?")
        .bind(tag.to_string())
        .bind(jti.as_str())
        .run(&mut step.change)
        .await?;
    query("INSERT INTO state_denied_token (tag, jti, until) VALUES (?, ?, ?)")
        .bind(tag.to_string())
        .bind(jti.as_str())
        .bind(Millis::from(until).plus(DENIED_LONGER))
        .run(&mut step.change)
        .await?;
    Ok(())
}

/// How a foreign token stands. One that does not say when it was issued falls under any denial of its subject.
pub(super) async fn standing(
    database: &Database,
    tag: SubjectTag,
    jti: Option<&TokenId>,
    issued: Option<Timestamp>,
) -> Result<Standing, StateError> {
    let (denials, mark, now): (i64, i64, i64) = query(
        "SELECT (SELECT count(*) FROM state_subject WHERE tag = ? AND denied_until > {now} AND denied_seconds >= ?) \
         + (SELECT count(*) FROM state_denied_token WHERE tag = ? AND jti = ? AND until > {now}), \
         (SELECT mark FROM state_store), {now}",
    )
    .bind(tag.to_string())
    .bind(issued.map_or(0, |issued| signed(issued.0)))
    .bind(tag.to_string())
    .bind(jti.map_or("", TokenId::as_str))
    .one(database)
    .await?;
    let dead = denials > 0 || Mark(unsigned(mark)?).is_after(issued, Millis(unsigned(now)?));
    Ok(if dead { Standing::Dead } else { Standing::Live { idle_left: None, ends: None } })
}

pub(super) async fn purge(database: &Database, now: Millis) -> Result<(), StateError> {
    query("DELETE FROM state_subject WHERE keep_until < ? AND denied_until < ?")
        .bind(now)
        .bind(now)
        .run(database)
        .await?;
    query("DELETE FROM state_denied_token WHERE until < ?").bind(now).run(database).await?;
    Ok(())
}
