//! Sessions as they were: one row each.

use async_trait::async_trait;
use sqlx::FromRow;

use super::super::history::{History, OpenedSession, PastSession, Retention};
use super::super::{UserError, UserId};
use super::{FORGOTTEN_AT_ONCE, SqlUsers, WRITTEN_AT_ONCE, moment, user_id, within};
use crate::clock::Millis;
use crate::database::query;
use crate::state::Cause;
use crate::token::SessionId;

#[derive(FromRow)]
struct Row {
    sid: String,
    user_id: String,
    created_at: i64,
    seen_at: i64,
    ends_at: i64,
    user_agent: String,
    ip: String,
    ended_at: Option<i64>,
    cause: String,
}

#[async_trait]
impl History for SqlUsers {
    async fn opened(&self, session: &OpenedSession<'_>) -> Result<(), UserError> {
        let insert = query(
            "INSERT INTO session_history (sid, user_id, created_at, seen_at, ends_at, user_agent, ip, cause) \
             VALUES (?, ?, ?, ?, ?, ?, ?, '') {or_keep sid}",
        )
        .bind(session.sid.to_string())
        .bind(session.user.as_str())
        .bind(session.created)
        .bind(session.created)
        .bind(session.ends)
        .bind(session.device.user_agent.as_str())
        .bind(session.device.ip.map(|ip| ip.to_string()).unwrap_or_default());
        within(insert.run(&self.database)).await.map(drop)
    }

    async fn seen(&self, sid: &SessionId, at: Millis) -> Result<(), UserError> {
        let update = query("UPDATE session_history SET seen_at = ? WHERE sid = ? AND seen_at < ?");
        within(update.bind(at).bind(sid.to_string()).bind(at).run(&self.database)).await.map(drop)
    }

    async fn ended(&self, sids: &[SessionId], cause: Cause) -> Result<u64, UserError> {
        let mut news = 0;
        for some in sids.chunks(WRITTEN_AT_ONCE) {
            let mut update =
                query("UPDATE session_history SET ended_at = {now}, cause = ? WHERE ended_at IS NULL AND sid IN (")
                    .list("?", some.len())
                    .then(")")
                    .bind(cause.as_str());
            for sid in some {
                update = update.bind(sid.to_string());
            }
            news += within(update.run(&self.database)).await?;
        }
        Ok(news)
    }

    async fn all_ended(&self, user: &UserId, but: Option<&SessionId>, cause: Cause) -> Result<(), UserError> {
        let update = query(
            "UPDATE session_history SET ended_at = {now}, cause = ? \
             WHERE user_id = ? AND sid <> ? AND ended_at IS NULL AND ends_at > {now}",
        )
        .bind(cause.as_str())
        .bind(user.as_str())
        .bind(but.map(ToString::to_string).unwrap_or_default());
        within(update.run(&self.database)).await.map(drop)
    }

    async fn all_ended_before(&self, moment: Millis, cause: Cause) -> Result<(), UserError> {
        loop {
            let select = query(
                "SELECT sid FROM session_history WHERE ended_at IS NULL AND ends_at > ? AND created_at < ? LIMIT ?",
            );
            let select = select.bind(moment).bind(moment).bind(FORGOTTEN_AT_ONCE);
            let sids: Vec<(String,)> = within(select.all(&self.database)).await?;
            for (sid,) in &sids {
                let update =
                    query("UPDATE session_history SET ended_at = ?, cause = ? WHERE sid = ? AND ended_at IS NULL");
                within(update.bind(moment).bind(cause.as_str()).bind(sid.as_str()).run(&self.database)).await?;
            }
            if (sids.len() as i64) < FORGOTTEN_AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn of_user(&self, user: &UserId, limit: u32) -> Result<Vec<PastSession>, UserError> {
        let select = query(
            "SELECT sid, user_id, created_at, seen_at, ends_at, user_agent, ip, ended_at, cause FROM session_history \
             WHERE user_id = ? ORDER BY created_at DESC, sid LIMIT ?",
        );
        let rows: Vec<Row> = within(select.bind(user.as_str()).bind(i64::from(limit)).all(&self.database)).await?;
        rows.into_iter().map(PastSession::try_from).collect()
    }

    async fn forget(&self, retention: Retention) -> Result<u64, UserError> {
        let now = within(self.database.now()).await?;
        let before = |span| Millis(now.0.saturating_sub(std::time::Duration::as_millis(&span) as u64));
        let mut forgotten = 0;
        loop {
            let select = query(
                "SELECT sid FROM session_history \
                 WHERE ended_at < ? OR (ended_at IS NULL AND ends_at < ?) LIMIT ?",
            )
            .bind(before(retention.revoked))
            .bind(before(retention.expired))
            .bind(FORGOTTEN_AT_ONCE);
            let sids: Vec<(String,)> = within(select.all(&self.database)).await?;
            for (sid,) in &sids {
                let delete = query("DELETE FROM session_history WHERE sid = ?").bind(sid.as_str());
                forgotten += within(delete.run(&self.database)).await?;
            }
            if (sids.len() as i64) < FORGOTTEN_AT_ONCE {
                return Ok(forgotten);
            }
        }
    }
}

impl TryFrom<Row> for PastSession {
    type Error = UserError;

    fn try_from(row: Row) -> Result<Self, UserError> {
        let ended = row.ended_at.map(|at| Ok::<_, UserError>((moment(at)?, row.cause))).transpose()?;
        Ok(Self {
            sid: row.sid.parse().map_err(|_| UserError::Corrupt("a session id is not one".into()))?,
            user: user_id(&row.user_id)?,
            created: moment(row.created_at)?,
            last_seen: moment(row.seen_at)?,
            ends: moment(row.ends_at)?,
            user_agent: row.user_agent,
            ip: row.ip.parse().ok(),
            ended,
        })
    }
}
