//! Email addresses as identifiers: the one canonical form by which accounts are registered, found, limited and linked
//! (SEC-L5). Whatever takes an address from outside makes an [`Email`] of it first.
//!
//! The form: the part before the `@` in NFC and lower case, the domain as IDNA A-labels (RFC 5891, UTS 46). Addresses that
//! differ in case name the same account: mail systems that tell `A@` from `a@` are all but extinct, and people who type one
//! for the other are not. Plus tags and dots are kept: only some providers ignore them.

use std::fmt;
use std::str::FromStr;

use icu_normalizer::{ComposingNormalizerBorrowed, ComposingNormalizerBorrowed as Normalizer};
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use serde::{Serialize, Serializer};

/// The longest address that mail can carry (RFC 5321 section 4.5.3.1), and its part before the `@`.
const LONGEST: usize = 254;
const LONGEST_LOCAL: usize = 64;

/// A canonical email address. Equal if and only if they name the same account.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an email address is wanted, such as alice@example.com")]
pub struct NotAnEmail;

impl Email {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }
}

impl FromStr for Email {
    type Err = NotAnEmail;

    fn from_str(text: &str) -> Result<Self, NotAnEmail> {
        // Before any normalisation, so that no input is long enough to be costly (SEC-D5).
        if text.len() > 4 * LONGEST {
            return Err(NotAnEmail);
        }
        let (local, domain) = text.split_once('@').ok_or(NotAnEmail)?;
        let canonical = format!("{}@{}", canonical_local(local)?, canonical_domain(domain)?);
        if canonical.len() > LONGEST { Err(NotAnEmail) } else { Ok(Self(canonical.into())) }
    }
}

/// Words of letters, digits and RFC 5322's `atext`, joined by single dots; quoted forms are none.
fn canonical_local(local: &str) -> Result<String, NotAnEmail> {
    if !local.chars().all(may_stand_in_a_name) || local.split('.').any(str::is_empty) {
        return Err(NotAnEmail);
    }
    let nfc = const { ComposingNormalizerBorrowed::new_nfc() };
    let canonical = nfc.normalize(&nfc.normalize(local).to_lowercase()).into_owned();
    if canonical.len() > LONGEST_LOCAL { Err(NotAnEmail) } else { Ok(canonical) }
}

fn may_stand_in_a_name(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    }
    // Letters, marks and digits of all scripts: so no control, invisible, direction or space character. And none that is
    // a mere variant of an ASCII one, such as a full-width or a Kelvin K: it would pass for the plain address.
    let group = CodePointMapData::<GeneralCategory>::new().get(c);
    let kinds = [GeneralCategoryGroup::Letter, GeneralCategoryGroup::Mark, GeneralCategoryGroup::DecimalNumber];
    let compatible = const { Normalizer::new_nfkc() };
    let mut bytes = [0; 4];
    kinds.iter().any(|kind| kind.contains(group))
        && !is_ignorable(c)
        && !compatible.normalize(c.encode_utf8(&mut bytes)).bytes().any(|byte| byte.is_ascii())
}

/// Invisible although a letter or mark: fillers and variation selectors.
fn is_ignorable(c: char) -> bool {
    use icu_properties::CodePointSetData;
    use icu_properties::props::DefaultIgnorableCodePoint;
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn canonical_domain(domain: &str) -> Result<String, NotAnEmail> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| NotAnEmail)?;
    // Numbers at the end mean an address of IPv4, which is no domain.
    let number = ascii.rsplit('.').next().is_none_or(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if number { Err(NotAnEmail) } else { Ok(ascii) }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Option<String> {
        text.parse::<Email>().ok().map(|email| email.to_string())
    }

    // SEC-L5
    #[test]
    fn spellings_of_one_address_have_one_form() {
        for (written, form) in [
            ("alice@example.com", "alice@example.com"),
            ("Alice@EXAMPLE.com", "alice@example.com"),
            ("a.b+tag@example.com", "a.b+tag@example.com"),
            ("user@localhost", "user@localhost"),
            ("rene\u{301}@example.com", "ren\u{e9}@example.com"),
            ("REN\u{c9}@example.com", "ren\u{e9}@example.com"),
            ("a@b\u{fc}cher.example", "a@xn--bcher-kva.example"),
            ("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"),
            ("a@bu\u{308}cher.example", "a@xn--bcher-kva.example"),
            ("a@\u{ff45}xample.com", "a@example.com"),
        ] {
            assert_eq!(canonical(written).as_deref(), Some(form), "{written}");
        }
    }

    // SEC-L5
    #[test]
    fn what_could_pass_for_another_address_is_none() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.example", "abcdefghi.".repeat(30));
        for wrong in [
            "",
            "@",
            "a",
            "a@",
            "@b",
            "a@b@c",
            "a@@b",
            "a b@c.example",
            " a@c.example",
            "a@c.example ",
            "a@c.example\n",
            "a\0@c.example",
            "a\u{200b}@c.example",
            "a\u{202e}b@c.example",
            "a\u{feff}@c.example",
            "a\u{ad}@c.example",
            "a\u{a0}b@c.example",
            "\u{ff41}@c.example",
            "\u{212a}ate@c.example",
            "\u{17f}am@c.example",
            "a\u{fe0f}@c.example",
            "\u{3164}@c.example",
            ".a@c.example",
            "a.@c.example",
            "a..b@c.example",
            "\"a\"@c.example",
            "a(x)@c.example",
            "a,b@c.example",
            "a@c..example",
            "a@c.example.",
            "a@-c.example",
            "a@c_d.example",
            "a@127.0.0.1",
            "a@[::1]",
            "a@xn--a.example",
            "a@xn--",
            "a@c.example\u{200b}\u{202e}",
            "a@\u{202e}c.example",
            "<a@c.example>",
            &long,
            &longer,
        ] {
            assert_eq!(canonical(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        // SEC-L5
        #[test]
        fn the_form_of_a_form_is_itself(text in "\\PC{0,12}@\\PC{1,12}|[A-Za-zé\u{301}\u{130}ßΣ.]{1,12}@[A-Za-zéß]{1,8}\\.example") {
            if let Some(form) = canonical(&text) {
                prop_assert_eq!(canonical(&form), Some(form.clone()));
                prop_assert_eq!(form.matches('@').count(), 1);
            }
        }
    }
}
