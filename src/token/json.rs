//! Strict JSON: what token headers, payloads and JWK Sets are read with (SEC-T8, D5).
//!
//! `serde_json` keeps the last of two members of one name, so two readers of one token could see two different claims
//! (RFC 8725 section 3.7). Here a doubled name is an error, at every level and after unescaping; so are numbers that are
//! not finite and more than 32 levels.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How many objects and arrays may stand inside one another, the outermost counted.
pub const MAX_DEPTH: usize = 32;

/// The one JSON object that `bytes` hold, in UTF-8; `None` for all else.
pub fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { levels: MAX_DEPTH }.deserialize(&mut from).ok()?;
    from.end().ok()?;
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Reads any JSON value that has at most `levels` levels.
#[derive(Clone, Copy)]
struct Strict {
    levels: usize,
}

impl Strict {
    fn inside<E: Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("too many levels"))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with unique member names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inside)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member name stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // SEC-T8
    #[test]
    fn doubled_names_are_refused_at_every_level_and_after_unescaping() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":[{"b":1,"b":2}]}"#]
        {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
        assert!(object(br#"{"a":{"b":1},"b":[{"b":2}]}"#).is_some());
    }

    // SEC-T8
    #[test]
    fn only_one_finite_utf8_object_is_read() {
        for bytes in [
            b"" as &[u8],
            b"[]",
            b"1",
            b"null",
            b"\"{}\"",
            b"{} {}",
            b"{}x",
            b"{\"a\":1e999}",
            b"{\"a\":-1e999}",
            b"{\"a\":NaN}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\ud800\"}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":1,}",
            b"{'a':1}",
        ] {
            assert_eq!(object(bytes), None, "{:?}", String::from_utf8_lossy(bytes));
        }
        assert!(object(b" {\"a\": 1.5e3}\n").is_some());
    }

    // SEC-T8
    #[test]
    fn thirty_two_levels_are_read_and_no_more() {
        let nested = |levels: usize| {
            let inner = levels - 1;
            format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
        };
        assert!(object(nested(32).as_bytes()).is_some());
        assert_eq!(object(nested(33).as_bytes()), None);
        assert_eq!(object(nested(100_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&bytes);
        }

        #[test]
        fn what_it_reads_is_what_serde_json_reads(text in r#"\{("[ab]":([0-9]{1,3}|"x"|\[1,2\]|\{"c":null\})(,"[c-f]":true)?)?\}"#) {
            if let Some(read) = object(text.as_bytes()) {
                prop_assert_eq!(Value::Object(read), serde_json::from_str::<Value>(&text).expect("it was read above"));
            }
        }
    }
}
