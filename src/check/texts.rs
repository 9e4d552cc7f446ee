//! Lists of short texts in one allocation: what an identity says, kept as small as it can be. Called by `identity`.

use std::ops::Range;

use bytes::Bytes;

/// Lists one after another: how many texts, then each behind its length, numbers in two bytes. Texts come of a token,
/// which is no longer than 8 KiB, so both are enough.
#[derive(Clone, Debug)]
pub(super) struct Texts(Bytes);

/// The length of a text that is not there.
const ABSENT: u16 = u16::MAX;

impl Texts {
    pub(super) fn of(lists: &[&[Option<&str>]]) -> Self {
        let mut packed = Vec::new();
        for list in lists {
            packed.extend_from_slice(&number(list.len()).to_le_bytes());
            for text in *list {
                packed.extend_from_slice(&text.map_or(ABSENT, |text| number(text.len())).to_le_bytes());
                packed.extend_from_slice(text.unwrap_or_default().as_bytes());
            }
        }
        packed.shrink_to_fit();
        Self(packed.into())
    }

    /// The texts of a list.
    pub(super) fn list(&self, index: usize) -> impl Iterator<Item = Option<&str>> {
        self.ranges(index).map(|range| std::str::from_utf8(&self.0[range?]).ok())
    }

    /// The same as shared bytes.
    pub(super) fn shared(&self, index: usize) -> impl Iterator<Item = Option<Bytes>> {
        self.ranges(index).map(|range| range.map(|range| self.0.slice(range)))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn ranges(&self, index: usize) -> impl Iterator<Item = Option<Range<usize>>> {
        let mut at = 0;
        for _ in 0..index {
            for _ in 0..self.number(&mut at) {
                self.text(&mut at);
            }
        }
        let texts = self.number(&mut at);
        (0..texts).map(move |_| self.text(&mut at))
    }

    fn text(&self, at: &mut usize) -> Option<Range<usize>> {
        let length = Some(self.number(at)).filter(|length| *length != ABSENT)?;
        let begin = *at;
        *at += usize::from(length);
        Some(begin..*at)
    }

    fn number(&self, at: &mut usize) -> u16 {
        let number = u16::from_le_bytes([self.0[*at], self.0[*at + 1]]);
        *at += 2;
        number
    }
}

fn number(length: usize) -> u16 {
    u16::try_from(length).ok().filter(|length| *length != ABSENT).expect("a token is no longer than 8 KiB")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_packed_is_read(lists in prop::collection::vec(prop::collection::vec(prop::option::of("\\PC{0,9}"), 0..5), 1..5)) {
            let borrowed: Vec<Vec<Option<&str>>> =
                lists.iter().map(|list| list.iter().map(Option::as_deref).collect()).collect();
            let texts = Texts::of(&borrowed.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for (index, list) in borrowed.iter().enumerate() {
                prop_assert_eq!(&texts.list(index).collect::<Vec<_>>(), list);
                let bytes: Vec<_> = texts.shared(index).collect();
                prop_assert_eq!(bytes.iter().map(Option::as_deref).collect::<Vec<_>>(),
                    list.iter().map(|text| text.map(str::as_bytes)).collect::<Vec<_>>());
            }
        }
    }
}
