//! Replies of Redis as our words: an array read front to back, a session as the scripts' `view` shows it.

use std::collections::VecDeque;

use fred::types::Value;

use super::super::record::{kind_from, kind_name, list, words};
use super::super::{Device, NewSession, Session, StateError};
use crate::clock::Millis;
use crate::token::{Epoch, Generation, Holder, SessionId};

/// An array being read.
pub(super) struct Reply(VecDeque<Value>);

impl Reply {
    pub(super) fn new(value: Value) -> Result<Self, StateError> {
        match value {
            Value::Array(items) => Ok(Self(items.into())),
            other => Err(unexpected(&other, "an array")),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next(&mut self) -> Result<Value, StateError> {
        self.0.pop_front().ok_or_else(|| StateError::Corrupt("an answer is too short".into()))
    }

    pub(super) fn array(&mut self) -> Result<Self, StateError> {
        Self::new(self.next()?)
    }

    pub(super) fn int(&mut self) -> Result<i64, StateError> {
        let value = self.next()?;
        value.as_i64().ok_or_else(|| unexpected(&value, "a number"))
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, StateError> {
        self.int()?.try_into().map_err(|_| StateError::Corrupt("a number below zero".into()))
    }

    pub(super) fn text(&mut self) -> Result<String, StateError> {
        let value = self.next()?;
        value.as_string().ok_or_else(|| unexpected(&value, "text"))
    }

    pub(super) fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, StateError> {
        self.text()?.parse().map_err(|_| StateError::Corrupt("a field has a form not known here".into()))
    }

    /// All the rest, as texts.
    pub(super) fn texts(mut self) -> Result<Vec<String>, StateError> {
        let mut all = Vec::with_capacity(self.0.len());
        while !self.is_empty() {
            all.push(self.text()?);
        }
        Ok(all)
    }

    /// A session, as `view` in `common.lua` gives it.
    pub(super) fn session(&mut self) -> Result<Session, StateError> {
        let mut view = self.array()?;
        let sid: SessionId = view.parsed()?;
        let subject = view.parsed()?;
        let (expires, now) = (view.unsigned()?, view.unsigned()?);
        let holder = Holder {
            subject: view.text()?,
            kind: kind_from(&view.text()?)?,
            roles: words(&view.text()?)?,
            scope: words(&view.text()?)?,
            amr: words(&view.text()?)?,
        };
        let generation = Generation(view.parsed()?);
        let (created, rotated, idle, ends): (u64, u64, u64, u64) =
            (view.parsed()?, view.parsed()?, view.parsed()?, view.parsed()?);
        let device = Device { user_agent: view.text()?, ip: view.text()?.parse().ok() };
        let epoch = Epoch { mark: view.parsed()?, subject };
        // The key's time to live is the idle limit, so it tells the last use without a field of its own. Near the absolute
        // end it cannot, since that caps it; the last rotation is then the best that is known.
        let used = expires.saturating_sub(idle).min(now);
        let last_seen = Millis(used.max(rotated));
        Ok(Session { sid, holder, generation, epoch, created: Millis(created), last_seen, ends: Millis(ends), device })
    }
}

/// A session's fields in the order `open.lua` takes them.
pub(super) fn opening(new: &NewSession) -> Vec<Value> {
    let NewSession { sid, holder, salt, device } = new;
    let ip = device.ip.map(|ip| ip.to_string()).unwrap_or_default();
    [
        sid.to_string(),
        salt.to_string(),
        holder.subject.clone(),
        kind_name(holder.kind).to_owned(),
        list(&holder.roles),
        list(&holder.scope),
        list(&holder.amr),
        device.user_agent.clone(),
        ip,
    ]
    .into_iter()
    .map(Value::from)
    .collect()
}

fn unexpected(value: &Value, wanted: &str) -> StateError {
    StateError::Corrupt(format!("{:?} where {wanted} was expected", value.kind()))
}
