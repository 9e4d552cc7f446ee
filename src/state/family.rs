//! The refresh token family: which generation may rotate, which repeats, which is a replay. One pure rule (RFC 9700
//! section 4.14.2). `sql` applies it inside a transaction; `redis` says the same in `rotate.lua`, since only a script is one
//! step there; `tests/stores.rs` holds both to the same table.

use std::time::Duration;

use crate::clock::Millis;
use crate::token::Generation;

/// What a presented generation means to its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The current one: the family moves on to this generation.
    Rotate(Generation),
    /// The one before, inside the grace window: this is still its successor, and nothing changes.
    Repeat(Generation),
    /// One ahead of the store, which lost its last write (failover): the family moves on to this generation.
    CatchUp(Generation),
    /// The current one, which stays current.
    Keep,
    /// Spent before: the family ends.
    Reuse,
    /// The store lost more than one write: refused, but nothing is wrong with the holder.
    Lost,
}

/// Judges generation `shown` of a family that stands at `current` since `rotated_at`, all by the store's clock.
///
/// The window is half-open, so a grace of zero admits no repeat at all. A repeat does not move `rotated_at`, so retries
/// cannot extend the window (SEC-R2). The MAC was verified before: nobody can make up a generation.
pub fn judge(current: Generation, rotated_at: Millis, shown: Generation, now: Millis, grace: Duration) -> Verdict {
    if shown == current {
        Verdict::Rotate(shown.next())
    } else if shown == current.next() {
        Verdict::CatchUp(shown.next())
    } else if shown > current {
        Verdict::Lost
    } else if shown.next() == current && now.since(rotated_at) < grace {
        Verdict::Repeat(current)
    } else {
        Verdict::Reuse
    }
}

/// The same where the current token is to stay current. What was spent elsewhere is judged alike, so a family whose owner has
/// rotated it since does not take the stolen one (SEC-R8).
pub fn judge_in_place(
    current: Generation,
    rotated_at: Millis,
    shown: Generation,
    now: Millis,
    grace: Duration,
) -> Verdict {
    match judge(current, rotated_at, shown, now, grace) {
        Verdict::Rotate(_) => Verdict::Keep,
        Verdict::CatchUp(_) => Verdict::CatchUp(shown),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRACE: Duration = Duration::from_secs(3);

    // SEC-R2
    #[test]
    fn the_window_is_half_open() {
        let judged = |now| judge(Generation(5), Millis(1000), Generation(4), Millis(now), GRACE);
        assert_eq!(judged(1000), Verdict::Repeat(Generation(5)));
        assert_eq!(judged(3999), Verdict::Repeat(Generation(5)));
        assert_eq!(judged(4000), Verdict::Reuse);
        assert_eq!(judge(Generation(5), Millis(9), Generation(4), Millis(9), Duration::ZERO), Verdict::Reuse);
    }

    proptest! {
        // SEC-R7
        #[test]
        fn every_generation_has_the_verdict_of_the_table(
            current in 0u32..1000, shown in 0u32..1003, since in 0u64..10_000, grace in 0u64..10_000,
        ) {
            let rotated_at = Millis(1_700_000_000_000);
            let now = rotated_at.plus(Duration::from_millis(since));
            let verdict =
                judge(Generation(current), rotated_at, Generation(shown), now, Duration::from_millis(grace));
            let expected = match i64::from(shown) - i64::from(current) {
                0 => Verdict::Rotate(Generation(current + 1)),
                1 => Verdict::CatchUp(Generation(current + 2)),
                -1 if since < grace => Verdict::Repeat(Generation(current)),
                ahead if ahead > 1 => Verdict::Lost,
                _ => Verdict::Reuse,
            };
            prop_assert_eq!(verdict, expected);
            let in_place =
                judge_in_place(Generation(current), rotated_at, Generation(shown), now, Duration::from_millis(grace));
            let expected = match expected {
                Verdict::Rotate(_) => Verdict::Keep,
                Verdict::CatchUp(_) => Verdict::CatchUp(Generation(current + 1)),
                other => other,
            };
            prop_assert_eq!(in_place, expected);
        }

        // A family that only ever sees what it gave out never rotates twice on one token outside the window.
        #[test]
        fn outside_the_window_one_token_rotates_once(steps in 1u32..50) {
            let mut current = Generation(0);
            for _ in 0..steps {
                let shown = current;
                let Verdict::Rotate(next) = judge(current, Millis(0), shown, Millis(5000), GRACE) else {
                    return Err(TestCaseError::fail("the current generation did not rotate"));
                };
                current = next;
                prop_assert_eq!(judge(current, Millis(0), shown, Millis(5000), GRACE), Verdict::Reuse);
            }
        }
    }
}
