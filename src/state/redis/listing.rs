//! Reading sessions: one, a subject's, or all of them for the command line.

use std::time::Duration;

use fred::types::Value;
use fred::types::config::Server;
use tokio::time::Instant;

use super::super::{Session, StateError};
use super::RedisState;
use super::codec::Reply;
use super::keys;
use super::steps::{TRY, deadline};
use crate::token::{SessionId, SubjectTag};

/// A listing of all sessions walks the whole key space, in pages; it ends after this long with what it has.
const WALK: Duration = Duration::from_secs(5);

impl RedisState {
    /// The named session, or all of the subject, oldest first.
    pub(super) async fn list(&self, tag: SubjectTag, sid: Option<&SessionId>) -> Result<Vec<Session>, StateError> {
        let args = sid.map(|sid| Value::from(sid.to_string())).into_iter().collect();
        let mut answer = self.step(&self.scripts.list, tag, args, deadline()).await?;
        let mut views = answer.rest.array()?;
        let mut sessions = Vec::new();
        while !views.is_empty() {
            sessions.push(views.session()?);
        }
        Ok(sessions)
    }

    /// One page of the key space of one server: where to go on, and the subjects found.
    async fn page(&self, node: Option<Server>, cursor: &str) -> Result<(String, Vec<SubjectTag>), StateError> {
        let args = [cursor, "MATCH", "dw:{*}:i", "COUNT", "500", "TYPE", "zset"].map(Value::from).into();
        let page = self.sessions.run(TRY, |wire| async move { wire.send_to(node, "SCAN", args).await }).await?;
        let mut page = Reply::new(page)?;
        let next = page.text()?;
        let tags = page.array()?.texts()?.iter().filter_map(|key| keys::tag_of_index(key)).collect();
        Ok((next, tags))
    }

    /// Up to `limit` sessions of all subjects.
    pub(super) async fn walk(&self, limit: usize) -> Result<Vec<Session>, StateError> {
        let deadline = Instant::now() + WALK;
        let nodes = if self.clustered {
            self.sessions.run(TRY, |wire| async move { Ok(wire.nodes()) }).await?.into_iter().map(Some).collect()
        } else {
            vec![None]
        };
        let mut found = Vec::new();
        for node in nodes {
            let mut cursor = "0".to_owned();
            loop {
                let (next, tags) = self.page(node.clone(), &cursor).await?;
                for tag in tags {
                    found.extend(self.list(tag, None).await?);
                    if found.len() >= limit || Instant::now() >= deadline {
                        found.truncate(limit);
                        return Ok(found);
                    }
                }
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(found)
    }
}
