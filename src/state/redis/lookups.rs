//! What a checker asks of Redis: plain reads and `PEXPIREAT`, no script, so that its ACL user needs nothing that could create
//! a session (SEC-K8). The exact ACL lines are in `docs/redis.md`.

use std::time::Duration;

use fred::types::Value;

use super::super::{Mark, Question, Standing, StateError, StoreHealth};
use super::codec::Reply;
use super::gather::Gather;
use super::keys::{self, BEGAN, LOG, slot};
use super::link::Link;
use super::log::info;
use crate::clock::{Clock, Millis};
use crate::token::SessionId;

/// Envoy gives up on a check after 200 ms, so we do after half of that.
pub(super) const LOOKUP_BUDGET: Duration = Duration::from_millis(100);

/// Activity is written behind the checks' back and may take longer.
const TOUCH_BUDGET: Duration = Duration::from_millis(500);
const TOUCHED_AT_ONCE: usize = 256;

pub(super) async fn standing(gather: &Gather, clock: &dyn Clock, question: &Question) -> Result<Standing, StateError> {
    match question {
        Question::Own { sid, jti, epoch } => {
            let names = vec![keys::epoch(sid.tag()), keys::denied(sid.tag(), jti)];
            let mut reply = gather.ask(Some(keys::session(sid)), names).await?;
            let left = reply.int()?;
            let mark = mark_of(&reply.next()?)?;
            let today = number(&reply.next()?)?;
            let denied = !reply.next()?.is_null();
            // A live session whose epoch is missing means that the store has lost something: then nothing is believed.
            // An epoch or mark above the store's was handed out before a failover lost its last rise; the session decides.
            Ok(match (u64::try_from(left), today) {
                (Ok(left), Some(today)) if left > 0 && epoch.subject >= today && epoch.mark >= mark.0 && !denied => {
                    Standing::Live { idle_left: Some(Duration::from_millis(left)), ends: None }
                }
                _ => Standing::Dead,
            })
        }
        Question::Foreign { tag, jti, issued } => {
            let mut names = vec![keys::not_before(*tag)];
            names.extend(jti.as_ref().map(|jti| keys::denied(*tag, jti)));
            let mut reply = gather.ask(None, names).await?;
            let all_denied = mark_of(&reply.next()?)?.is_after(*issued, clock.now_millis());
            // A token that does not say when it was issued falls under any denial of its subject.
            let subject_denied =
                number(&reply.next()?)?.is_some_and(|until| issued.is_none_or(|issued| issued.0 <= until));
            let token_denied = jti.is_some() && !reply.next()?.is_null();
            let dead = all_denied || subject_denied || token_denied;
            Ok(if dead { Standing::Dead } else { Standing::Live { idle_left: None, ends: None } })
        }
    }
}

/// Two round trips for many sessions: how each stands, then a later end for those that need one. A session that ends in
/// between stays ended, since `PEXPIREAT` makes no key.
pub(super) async fn touch(
    link: &Link,
    clock: &dyn Clock,
    seen: &[(SessionId, Millis)],
    idle: Duration,
) -> Result<(), StateError> {
    for some in seen.chunks(TOUCHED_AT_ONCE) {
        let mut asked = Vec::with_capacity(2 * some.len() + 1);
        // The keys' times are the store's; the moments are ours. What counts is how long ago they were.
        asked.push(("TIME", vec![]));
        for (sid, _) in some {
            asked.push(("HMGET", vec![keys::session(sid), "x".into()]));
            asked.push(("PTTL", vec![keys::session(sid)]));
        }
        let mut reply = pipelined(link, TOUCH_BUDGET, &asked).await?;
        let store_now = time(&mut reply)?;
        let our_now = clock.now_millis();
        let mut later = Vec::new();
        for (sid, at) in some {
            let ends = number(&reply.array()?.next()?)?;
            let left = reply.int()?;
            let (Some(ends), Ok(left)) = (ends, u64::try_from(left)) else { continue };
            let age = our_now.since(*at).as_millis() as u64;
            let until = (store_now.0.saturating_sub(age) + idle.as_millis() as u64).min(ends);
            if until > store_now.0 + left {
                later.push(("PEXPIREAT", vec![keys::session(sid), until.to_string()]));
            }
        }
        if !later.is_empty() {
            pipelined(link, TOUCH_BUDGET, &later).await?;
        }
    }
    Ok(())
}

pub(super) async fn health(link: &Link, clock: &dyn Clock, wait_replicas: u32) -> Result<StoreHealth, StateError> {
    let before = clock.now_millis();
    let sections = ["server", "memory", "replication"].map(|section| ("INFO", vec![section.to_owned()]));
    let asked: Vec<_> = [("TIME", vec![])].into_iter().chain(sections).collect();
    let mut reply = pipelined(link, LOOKUP_BUDGET, &asked).await?;
    let store_now = time(&mut reply)?;
    let after = clock.now_millis();
    let (server, memory, replication) = (reply.text()?, reply.text()?, reply.text()?);

    let mut warnings = Vec::new();
    let policy = info(&memory, "maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" {
        warnings.push(format!(
            "Redis evicts sessions when its memory is full (maxmemory-policy {policy}): set maxmemory-policy noeviction"
        ));
    }
    let version = info(&server, "redis_version").unwrap_or_default();
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    if (parts.next(), parts.next()) < (Some(6), Some(2)) {
        warnings.push(format!("Redis {version} is older than 6.2: upgrade it, or use Valkey"));
    }
    let replicas: u32 = info(&replication, "connected_slaves").and_then(|n| n.parse().ok()).unwrap_or(0);
    if replicas < wait_replicas {
        warnings.push(format!(
            "{replicas} replicas are connected and state.wait_replicas is {wait_replicas}: logouts are answered 503 until more are"
        ));
    }
    let ours = (before.0 + after.0) as f64 / 2.0;
    Ok(StoreHealth { warnings, clock_skew: (store_now.0 as f64 - ours) / 1000.0 })
}

/// Sends commands in one round trip; the key is the first argument, and keyless commands go where the log is.
pub(super) async fn pipelined(
    link: &Link,
    budget: Duration,
    commands: &[(&'static str, Vec<String>)],
) -> Result<Reply, StateError> {
    let mut addressed = Vec::with_capacity(commands.len());
    for (name, args) in commands {
        let home = match *name {
            "TIME" | "INFO" => LOG,
            _ => args.first().map_or(LOG, String::as_str),
        };
        addressed.push((*name, slot(home), args.iter().map(Value::from).collect()));
    }
    let answers = link.run(budget, |wire| async move { wire.send_all(addressed).await }).await?;
    Reply::new(answers)
}

fn number(value: &Value) -> Result<Option<u64>, StateError> {
    if value.is_null() {
        return Ok(None);
    }
    value.as_u64().map(Some).ok_or_else(|| StateError::Corrupt("text where a number was expected".into()))
}

fn mark_of(value: &Value) -> Result<Mark, StateError> {
    Ok(Mark(number(value)?.unwrap_or_default()))
}

/// The mark as it stands.
pub(super) async fn mark(link: &Link) -> Result<Mark, StateError> {
    let values =
        link.run(LOOKUP_BUDGET, |wire| async move { wire.mark_and_values(vec![BEGAN.to_owned()]).await }).await?;
    mark_of(&Reply::new(values)?.next()?)
}

/// The reply of `TIME`: seconds and microseconds.
fn time(reply: &mut Reply) -> Result<Millis, StateError> {
    let mut parts = reply.array()?;
    let (seconds, micros): (u64, u64) = (parts.parsed()?, parts.parsed()?);
    Ok(Millis(seconds * 1000 + micros / 1000))
}
