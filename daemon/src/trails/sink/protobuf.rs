//! Protocol Buffers, as far as log services need them: fields written one after the other.
//!
//! Two messages are written and one small one is read; generated code would be more than the messages. Fields are written in the order of
//! their numbers, so that the same events give the same bytes.

/// A message that is being written.
#[derive(Debug, Clone, Default)]
pub struct Message(Vec<u8>);

/// The forms of values on the wire.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED_32: u8 = 5;

impl Message {
    /// An empty one with room.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Message {
        Message(Vec::with_capacity(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number of few bits: `uint32`, `uint64`, `int64`, an enumeration.
    pub fn varint(&mut self, field: u8, value: u64) {
        self.key(field, VARINT);
        self.raw(value);
    }

    /// A `fixed64`.
    pub fn fixed64(&mut self, field: u8, value: u64) {
        self.key(field, FIXED_64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A `fixed32`.
    pub fn fixed32(&mut self, field: u8, value: u32) {
        self.key(field, FIXED_32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A text, bytes, or a message that is whole.
    pub fn bytes(&mut self, field: u8, value: &[u8]) {
        self.key(field, LENGTH);
        self.raw(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message within this one.
    pub fn message(&mut self, field: u8, value: &Message) {
        self.bytes(field, &value.0);
    }

    fn key(&mut self, field: u8, form: u8) {
        self.raw(u64::from(field) << 3 | u64::from(form));
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A value that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number of any form.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order; `None` when the bytes are none.
#[must_use]
pub fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match (key & 7) as u8 {
            VARINT => Value::Number(varint(&mut bytes)?),
            FIXED_64 => Value::Number(u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?)),
            FIXED_32 => Value::Number(u64::from(u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?))),
            LENGTH => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            _ => return None,
        };
        fields.push((key >> 3, value));
    }
    Some(fields)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        // "Encoding", protobuf.dev: `a: 150`, `b: "testing"`, and `c` with the first inside.
        let (mut inner, mut text) = (Message::default(), Message::default());
        inner.varint(1, 150);
        text.bytes(2, b"testing");
        assert_eq!(inner.clone().into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(text.into_bytes(), b"\x12\x07testing");
        let mut outer = Message::default();
        outer.message(3, &inner);
        assert_eq!(outer.into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in prop::collection::vec(any::<u64>(), 0..8), text in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut message = Message::default();
            let mut wanted = Vec::new();
            for number in &numbers {
                message.varint(1, *number);
                message.fixed64(2, *number);
                message.fixed32(3, *number as u32);
                message.bytes(15, &text);
                wanted.extend([(1, Value::Number(*number)), (2, Value::Number(*number)), (3, Value::Number(u64::from(*number as u32)))]);
                wanted.push((15, Value::Bytes(&text)));
            }
            let bytes = message.into_bytes();
            prop_assert_eq!(fields(&bytes), Some(wanted));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = fields(&bytes);
        }
    }
}
