//! Short texts in one allocation: what an identity says, kept as small as it can be. Called by `identity`.

use std::ops::Range;

/// The values of headers, and lists of texts. All stand one after another behind their lengths and counts. What a value says
/// already is not kept twice: the subject and the roles mostly are headers, too.
#[derive(Clone, Debug)]
pub(super) struct Texts(Box<[u8]>);

/// Between the texts of a list in the value of a header.
const COMMA: char = ',';

impl Texts {
    pub(super) fn of(values: &[Option<&str>], lists: &[&[&str]]) -> Self {
        let mut packed = Vec::new();
        number(values.len(), &mut packed);
        for value in values {
            // 0 is none.
            number(value.map_or(0, |text| text.len() + 1), &mut packed);
            packed.extend_from_slice(value.unwrap_or_default().as_bytes());
        }
        let mut end = packed.len();
        for list in lists {
            let says = |value: &Option<&str>| value.is_some_and(|value| value.split(COMMA).eq(list.iter().copied()));
            // An even number counts texts that follow, an odd one is the place of the value that says them.
            if let Some(place) = values.iter().position(says) {
                number(2 * place + 1, &mut packed);
                end = packed.len();
                continue;
            }
            number(2 * list.len(), &mut packed);
            for text in *list {
                number(text.len(), &mut packed);
                packed.extend_from_slice(text.as_bytes());
                end = packed.len();
            }
        }
        // The last lists mostly are empty, which is what is read behind the end.
        packed.truncate(end);
        Self(packed.into())
    }

    /// Where among the bytes each value stands.
    pub(super) fn value_ranges(&self) -> impl Iterator<Item = Option<Range<usize>>> {
        let mut at = 0;
        (0..self.number(&mut at)).map(move |_| self.value(&mut at))
    }

    /// The texts of a list.
    pub(super) fn list(&self, index: usize) -> impl Iterator<Item = &str> {
        let mut at = 0;
        for _ in 0..self.number(&mut at) {
            self.value(&mut at);
        }
        for _ in 0..index {
            for _ in 0..own(self.number(&mut at)) {
                self.next(&mut at);
            }
        }
        let head = self.number(&mut at);
        let value = (head % 2 == 1).then(|| self.value_ranges().nth(head / 2).flatten()).flatten();
        let texts = (0..own(head)).map(move |_| self.text(self.next(&mut at)));
        value.into_iter().flat_map(|value| self.text(value).split(COMMA)).chain(texts)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn text(&self, range: Range<usize>) -> &str {
        std::str::from_utf8(&self.0[range]).unwrap_or_default()
    }

    fn value(&self, at: &mut usize) -> Option<Range<usize>> {
        let length = self.number(at).checked_sub(1)?;
        *at += length;
        Some(*at - length..*at)
    }

    fn next(&self, at: &mut usize) -> Range<usize> {
        let length = self.number(at);
        *at += length;
        *at - length..*at
    }

    fn number(&self, at: &mut usize) -> usize {
        let Some(&low) = self.0.get(*at) else { return 0 };
        *at += 1;
        if low < MORE {
            return low.into();
        }
        let high = self.0[*at];
        *at += 1;
        usize::from(low - MORE) + usize::from(high) * usize::from(MORE)
    }
}

/// How many texts of its own a list has, by the number before it.
const fn own(head: usize) -> usize {
    if head % 2 == 1 { 0 } else { head / 2 }
}

/// The bit of a number's first byte that says that there is a second.
const MORE: u8 = 0x80;

/// One byte for small numbers, two for others. Texts come of a token, which is no longer than 8 KiB, so two are enough.
fn number(number: usize, packed: &mut Vec<u8>) {
    let more = usize::from(MORE);
    if number < more {
        packed.push(number as u8);
    } else {
        let high = u8::try_from(number / more).expect("a token is no longer than 8 KiB");
        packed.extend_from_slice(&[(number % more) as u8 + MORE, high]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(texts: &Texts, lists: usize) -> Vec<Vec<&str>> {
        (0..lists).map(|index| texts.list(index).collect()).collect()
    }

    proptest! {
        #[test]
        fn what_was_packed_is_read(
            values in prop::collection::vec(prop::option::of("[ab,]{0,3}|\\PC{0,300}"), 0..5),
            lists in prop::collection::vec(prop::collection::vec("[ab,]{0,2}|\\PC{0,300}", 0..5), 0..5),
        ) {
            let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
            let lists: Vec<Vec<&str>> = lists.iter().map(|list| list.iter().map(String::as_str).collect()).collect();
            let texts = Texts::of(&values, &lists.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let ranges = texts.value_ranges().map(|range| range.map(|range| &texts.bytes()[range]));
            prop_assert_eq!(ranges.collect::<Vec<_>>(), values.iter().map(|text| text.map(str::as_bytes)).collect::<Vec<_>>());
            prop_assert_eq!(all(&texts, lists.len()), lists);
        }
    }

    #[test]
    fn what_a_value_says_is_not_kept_twice() {
        let lists: [&[&str]; 4] = [&["alice"], &["admin", "editor"], &["admin,editor"], &[]];
        let texts = Texts::of(&[Some("alice"), None, Some("admin,editor")], &lists);
        assert_eq!(all(&texts, 4), lists);
        let (values, counts, apart) = ("aliceadmin,editor".len(), 1 + 3 + 3, 1 + "admin,editor".len());
        assert_eq!(texts.bytes().len(), values + counts + apart, "only what no value says in these very texts");
    }
}
