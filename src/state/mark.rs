//! The not-before mark: how everyone's sessions end at once, however many there are. One number of the whole store, 0 until
//! it is set. A session keeps the mark that it was opened under, and its tokens carry it; what is below today's has ended.
//!
//! Each store raises it in one step and tells the revocation log. Checkers then forget all they know and ask anew.

use std::time::Duration;

use crate::clock::{Millis, Timestamp};

/// Higher than every mark before it, and the store's milliseconds when it was set where that is so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// An issuer's clock may be ahead of ours by this much: the leeway that `iat` has.
pub const ISSUER_AHEAD: Duration = Duration::from_secs(5);

/// Tokens of other issuers that do not say when they were issued are denied for this long: the longest that one should live.
const UNDATED: Duration = Duration::from_secs(24 * 3600);

impl Mark {
    /// The next one, set now by the store's clock. It rises even where that went back.
    pub fn next(self, now: Millis) -> Self {
        Self(now.0.max(self.0 + 1))
    }

    /// Whether another issuer's token was issued before it, or may have been. Such a token has no session to tell.
    pub fn is_after(self, issued: Option<Timestamp>, now: Millis) -> bool {
        let set = Millis(self.0);
        self.0 > 0
            && match issued {
                Some(issued) => issued <= set.seconds().plus(ISSUER_AHEAD),
                None => now < set.plus(UNDATED),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_whatever_the_clock_does() {
        assert_eq!(Mark::default().next(Millis(1_000)), Mark(1_000));
        assert_eq!(Mark(1_000).next(Millis(1_000)), Mark(1_001));
        assert_eq!(Mark(1_000).next(Millis(10)), Mark(1_001));
    }

    #[test]
    fn a_foreign_token_from_before_it_is_refused_and_one_without_a_date_for_a_day() {
        let (mark, now) = (Mark(1_000_500), Millis(1_000_700));
        let refuses = |issued: u64| mark.is_after(Some(Timestamp(issued)), now);
        assert!(refuses(990) && refuses(1_000) && refuses(1_005) && !refuses(1_006));
        assert!(mark.is_after(None, now) && !mark.is_after(None, Millis(mark.0).plus(UNDATED)));
        assert!(!Mark::default().is_after(None, now) && !Mark::default().is_after(Some(Timestamp(1)), now));
    }
}
