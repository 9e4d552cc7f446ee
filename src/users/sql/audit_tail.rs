//! The last audit events: one row each, numbered by the database.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::FromRow;

use super::super::UserError;
use super::super::audit_tail::{AuditLine, AuditTail, NewLine};
use super::{FORGOTTEN_AT_ONCE, SqlUsers, WRITTEN_AT_ONCE, moment, within};
use crate::clock::Millis;
use crate::database::query;

/// More of a text would say no more.
const LONGEST: usize = 256;

#[derive(FromRow)]
struct Row {
    number: i64,
    at: i64,
    kind: String,
    user_id: String,
    sid: String,
    client: String,
    request_id: String,
    outcome: String,
}

#[async_trait]
impl AuditTail for SqlUsers {
    async fn note(&self, lines: &[NewLine]) -> Result<(), UserError> {
        let cut = |text: &str| text[..text.floor_char_boundary(LONGEST)].to_owned();
        let written = async {
            let mut change = self.database.begin().await?;
            for some in lines.chunks(WRITTEN_AT_ONCE) {
                let mut insert =
                    query("INSERT INTO audit_tail (at, kind, user_id, sid, client, request_id, outcome) VALUES ")
                        .list("({now}, ?, ?, ?, ?, ?, ?)", some.len());
                for line in some {
                    insert = insert
                        .bind(cut(&line.kind))
                        .bind(cut(&line.user))
                        .bind(cut(&line.sid))
                        .bind(line.client.map(|client| client.to_string()).unwrap_or_default())
                        .bind(cut(&line.request_id))
                        .bind(cut(&line.outcome));
                }
                insert.run(&mut change).await?;
            }
            change.commit().await
        };
        within(written).await
    }

    async fn tail(&self, user: Option<&str>, before: Option<u64>, limit: u32) -> Result<Vec<AuditLine>, UserError> {
        let before = crate::database::signed(before.unwrap_or(u64::MAX));
        let select = match user {
            Some(user) => query(
                "SELECT number, at, kind, user_id, sid, client, request_id, outcome FROM audit_tail \
                 WHERE user_id = ? AND number < ? ORDER BY number DESC LIMIT ?",
            )
            .bind(user),
            None => query(
                "SELECT number, at, kind, user_id, sid, client, request_id, outcome FROM audit_tail \
                 WHERE number < ? ORDER BY number DESC LIMIT ?",
            ),
        };
        let rows: Vec<Row> = within(select.bind(before).bind(i64::from(limit)).all(&self.database)).await?;
        rows.into_iter().map(AuditLine::try_from).collect()
    }

    async fn forget_lines(&self, older_than: Duration) -> Result<u64, UserError> {
        let now = within(self.database.now()).await?;
        let before = Millis(now.0.saturating_sub(older_than.as_millis() as u64));
        let mut forgotten = 0;
        loop {
            let select = query("SELECT number FROM audit_tail WHERE at < ? ORDER BY at LIMIT ?");
            let numbers: Vec<(i64,)> = within(select.bind(before).bind(FORGOTTEN_AT_ONCE).all(&self.database)).await?;
            for (number,) in &numbers {
                let delete = query("DELETE FROM audit_tail WHERE number = ?").bind(*number);
                forgotten += within(delete.run(&self.database)).await?;
            }
            if (numbers.len() as i64) < FORGOTTEN_AT_ONCE {
                return Ok(forgotten);
            }
        }
    }
}

impl TryFrom<Row> for AuditLine {
    type Error = UserError;

    fn try_from(row: Row) -> Result<Self, UserError> {
        Ok(Self {
            number: row.number.try_into().map_err(|_| UserError::Corrupt("a number below zero".into()))?,
            at: moment(row.at)?,
            event: NewLine {
                kind: row.kind,
                user: row.user_id,
                sid: row.sid,
                client: row.client.parse().ok(),
                request_id: row.request_id,
                outcome: row.outcome,
            },
        })
    }
}
