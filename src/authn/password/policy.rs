//! Which passwords may be taken (SEC-L2, L3): long enough, not among the commonest, not made of what anyone would try first
//! for this account. No rule of composition: those make passwords worse.

use crate::authn::identifier::Email;

/// The commonest passwords of published breaches, in lower case and sorted: those of 8 characters or more that stand among
/// the first, and some shorter ones for who allows them.
static COMMON: &str = include_str!("common.txt");

/// What a guesser tries first here.
const PRODUCT: &str = "doorward";

/// Shorter parts of an address say little, and stand in many good passwords by chance.
const TELLING: usize = 4;

/// Why a password is not taken, in words for who chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("the password needs at least {0} characters")]
    Short(usize),
    #[error("this password is among the commonest of all; choose another")]
    Common,
    #[error("the password holds part of the account's address, or this product's name; choose another")]
    Telling,
}

pub(super) fn judge(password: &str, min_length: usize, email: &Email) -> Result<(), Unfit> {
    if password.chars().count() < min_length {
        return Err(Unfit::Short(min_length));
    }
    let lower = password.to_lowercase();
    if is_common(&lower) {
        return Err(Unfit::Common);
    }
    let words = [PRODUCT, email.local(), email.as_str()];
    let telling = words.iter().any(|word| word.chars().count() >= TELLING && lower.contains(word));
    if telling { Err(Unfit::Telling) } else { Ok(()) }
}

/// A binary search in the text itself: an index would take more memory than it saves time.
fn is_common(lower: &str) -> bool {
    let (mut low, mut high) = (0, COMMON.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let begin = COMMON[..middle].rfind('\n').map_or(0, |at| at + 1);
        let end = COMMON[begin..].find('\n').map_or(COMMON.len(), |at| begin + at);
        match COMMON[begin..end].cmp(lower) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = begin,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-L3
    #[test]
    fn every_password_of_the_list_is_found_and_their_neighbours_are_not() {
        assert!(COMMON.is_ascii() && COMMON.lines().is_sorted());
        assert!(COMMON.lines().filter(|word| word.len() >= 8).count() >= 3000);
        for word in COMMON.lines() {
            assert!(is_common(word), "{word}");
            assert!(!is_common(&format!("{word}\u{1}")), "{word}");
        }
        for absent in ["", "\n", "zzzzzzzzzzzzzzzzzz", "!", "correct horse battery staple"] {
            assert!(!is_common(absent), "{absent:?}");
        }
    }
}
