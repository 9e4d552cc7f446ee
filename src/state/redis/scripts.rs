//! The Lua scripts: each is one atomic step and one round trip. Sent by digest; by text where the server does not know it.

use std::time::Duration;

use fred::types::Value;
use fred::util::sha1_hash;

use super::super::StateError;
use super::attempts::REMEMBERED;
use super::codec::Reply;
use super::keys::{self, LOG, LOG_LENGTH, MARK};
use super::link::Link;
use crate::clock::Millis;
use crate::token::SubjectTag;

/// One script and its digest.
#[derive(Debug)]
pub(super) struct Script {
    text: String,
    sha: String,
}

impl Script {
    fn new(text: String) -> Self {
        Self { sha: sha1_hash(&text), text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn sha(&self) -> &str {
        &self.sha
    }
}

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) open: Script,
    pub(super) rotate: Script,
    pub(super) end: Script,
    pub(super) end_subject: Script,
    pub(super) mark: Script,
    pub(super) outdate: Script,
    pub(super) deny: Script,
    pub(super) gcra: Script,
    pub(super) list: Script,
    /// Whether the log shares the subjects' server, so that a script can write it.
    log_in_reach: bool,
}

/// What a step works on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Home {
    Subject(SubjectTag),
    /// The not-before mark.
    Everyone,
}

impl From<SubjectTag> for Home {
    fn from(tag: SubjectTag) -> Self {
        Self::Subject(tag)
    }
}

impl Home {
    /// The subject, where it is one's.
    pub(super) const fn subject(self) -> Option<SubjectTag> {
        match self {
            Self::Subject(tag) => Some(tag),
            Self::Everyone => None,
        }
    }
}

/// What a script answered, and whether the log still has to be told (on a cluster).
pub(super) struct Answer {
    pub(super) owed: bool,
    /// The store's own time.
    pub(super) now: Millis,
    pub(super) status: String,
    pub(super) rest: Reply,
}

impl Scripts {
    pub(super) fn new(log_in_reach: bool) -> Self {
        let script = |body: &str| {
            let text = format!(
                "local LOG_LENGTH, REMEMBER_MS = {LOG_LENGTH}, {}\n{}{body}",
                REMEMBERED.as_millis(),
                include_str!("common.lua")
            );
            Script::new(text)
        };
        Self {
            open: script(include_str!("open.lua")),
            rotate: script(include_str!("rotate.lua")),
            end: script(include_str!("end.lua")),
            end_subject: script(include_str!("end_subject.lua")),
            mark: script(include_str!("mark.lua")),
            outdate: script(include_str!("outdate.lua")),
            deny: script(include_str!("deny.lua")),
            // Counts no subject's: it shares nothing with the others.
            gcra: Script::new(include_str!("gcra.lua").to_owned()),
            list: script(include_str!("list.lua")),
            log_in_reach,
        }
    }

    pub(super) async fn run(
        &self,
        link: &Link,
        budget: Duration,
        script: &Script,
        home: Home,
        mut args: Vec<Value>,
    ) -> Result<Answer, StateError> {
        let mut keys = vec![home.subject().map_or_else(|| MARK.to_owned(), keys::index)];
        let log_in_reach = self.log_in_reach || home.subject().is_none();
        if log_in_reach {
            keys.extend([LOG, MARK].map(str::to_owned));
        }
        let value = link
            .run(budget, |wire| async move {
                if !log_in_reach {
                    // Read before the step, so a session may be opened under a mark that has just been raised: it is then
                    // one of those that end. What is minted for it carries the mark, so no check lets it pass.
                    args.insert(0, wire.mark().await?.into());
                }
                wire.script(script.sha(), script.text(), keys, args).await
            })
            .await?;
        let mut reply = Reply::new(value)?;
        Ok(Answer { owed: reply.int()? == 1, now: Millis(reply.unsigned()?), status: reply.text()?, rest: reply })
    }
}
