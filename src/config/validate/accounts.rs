//! What keeps accounts safe whoever configures them: the least a password's hash may cost, and times that make sense.

use std::time::Duration;

use super::Told;
use crate::config::Config;

pub(super) fn judge(config: &Config, told: &mut Told) {
    passwords(config, told);
    let forgets = [("retention.expired", config.retention.expired), ("retention.revoked", config.retention.revoked)];
    for (key, span) in forgets {
        let what = format!("{span} is under an hour, which is how often it is looked for something to forget");
        told.error_if(span.0 < Duration::from_secs(3600), key, what, "write days: 30d");
    }
}

/// What passwords must cost at the least (SEC-L1): each pair that OWASP names comes to this much memory filled in all.
fn passwords(config: &Config, told: &mut Told) {
    let passwords = &config.auth.passwords;
    let (memory, passes) = (passwords.argon2.memory.0, u64::from(passwords.argon2.passes));
    told.error_if(
        memory < 7 << 20 || memory.saturating_mul(passes) < 35 << 20,
        "auth.passwords.argon2",
        "at these costs a stolen database of passwords is soon guessed",
        "write {memory: 19MiB, passes: 2}, {memory: 46MiB, passes: 1} or more",
    );
    told.error_if(
        memory > 4 << 30 || passes > 1000,
        "auth.passwords.argon2",
        "no login would come to its end",
        "write {memory: 19MiB, passes: 2}",
    );
    let length = usize::from(passwords.min_length);
    told.error_if(length < 8, "auth.passwords.min_length", "shorter passwords are guessed", "write 8 or more");
    told.error_if(
        length > 64,
        "auth.passwords.min_length",
        "many could not choose one",
        "write 64 or less; 15 is plenty",
    );
    told.error_if(passwords.concurrency == 0, "auth.passwords.concurrency", "0 threads hash nothing", "write 2");
    let lockout = &config.limits.lockout;
    told.error_if(
        lockout.after > 0 && !(Duration::from_secs(1)..=Duration::from_secs(24 * 3600)).contains(&lockout.period.0),
        "limits.lockout.for",
        format!("{} is under a second or over a day", lockout.period),
        "write 15m, or set limits.lockout.after to 0",
    );
}
