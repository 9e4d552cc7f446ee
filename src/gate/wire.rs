//! The wire format of Protocol Buffers, as far as looking a few fields up needs it: nothing is copied, and what is not asked
//! for is stepped over. Called by `check_request`.

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of Protocol Buffers")]
pub(super) struct Malformed;

/// How deep groups may stand in one another; nobody has written one in years.
const MAX_DEPTH: usize = 100;

/// The fields of one message, in the order in which they were written.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

/// A field's value, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint,
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
    /// A fixed number or a group.
    Other,
}

impl<'a> Value<'a> {
    /// # Errors
    /// Where the field is of another type: no reader takes it then.
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        if let Value::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed) }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(super) fn fields(self) -> Result<Fields<'a>, Malformed> {
        self.bytes().map(Fields)
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        self.value(number, wire_type, MAX_DEPTH).map(|value| Some((number, value)))
    }

    /// Both of a map's entry, absent ones empty.
    pub(super) fn entry(mut self) -> Result<(Value<'a>, Value<'a>), Malformed> {
        let (mut key, mut value) = (Value::Bytes(b""), Value::Bytes(b""));
        while let Some((number, found)) = self.next()? {
            match number {
                1 => key = found,
                2 => value = found,
                _ => {}
            }
        }
        Ok((key, value))
    }

    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        if key >> 3 == 0 { Err(Malformed) } else { Ok((key >> 3, key as u8 & 7)) }
    }

    fn value(&mut self, number: u32, wire_type: u8, depth: usize) -> Result<Value<'a>, Malformed> {
        match wire_type {
            0 => self.varint().map(|_| Value::Varint),
            1 => self.take(8).map(|_| Value::Other),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                self.take(length).map(Value::Bytes)
            }
            3 => self.group(number, depth).map(|()| Value::Other),
            5 => self.take(4).map(|_| Value::Other),
            _ => Err(Malformed),
        }
    }

    fn group(&mut self, number: u32, depth: usize) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        loop {
            match self.key()? {
                (end, 4) => return if end == number { Ok(()) } else { Err(Malformed) },
                (inner, wire_type) => self.value(inner, wire_type, depth)?,
            };
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.0 = &self.0[index + 1..];
                // The tenth byte has room for one bit.
                return if index == 9 && *byte > 1 { Err(Malformed) } else { Ok(number) };
            }
        }
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        let (mut fields, mut found) = (Fields::of(bytes), Vec::new());
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn fields_of_every_wire_type_are_told_or_stepped_over() {
        assert_eq!(read(b""), Ok(vec![]));
        assert_eq!(read(&[0x0a, 2, b'a', b'b', 0x10, 0x96, 1]), Ok(vec![(1, Value::Bytes(b"ab")), (2, Value::Varint)]));
        assert_eq!(
            read(&[0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 0, 0, 0]),
            Ok(vec![(1, Value::Other), (2, Value::Other)])
        );
        assert_eq!(read(&[0x0b, 0x13, 0x14, 0x12, 1, b'x', 0x0c]), Ok(vec![(1, Value::Other)]));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [
            &[0x0a][..],
            &[0x0a, 2, b'a'],
            &[0x02, 0],
            &[0x0e],
            &[0x0c],
            &[0x0b],
            &[0x0b, 0x14],
            &[0x09, 0],
            &[0x08, 0xff],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 1, 0],
            &[0x0b; 200],
        ] {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
