//! The forms of values in Kafka's protocol: numbers from the high byte on, texts and lists with their length before them.
//!
//! What is read comes from outside: a value that is not there is `None`, and no length is believed before the bytes are there.

/// Bytes that are being written.
#[derive(Debug, Clone, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A byte.
    pub fn int8(&mut self, value: i8) {
        self.0.extend(value.to_be_bytes());
    }

    /// Two bytes.
    pub fn int16(&mut self, value: i16) {
        self.0.extend(value.to_be_bytes());
    }

    /// Four bytes.
    pub fn int32(&mut self, value: i32) {
        self.0.extend(value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn int64(&mut self, value: i64) {
        self.0.extend(value.to_be_bytes());
    }

    /// The length of a list or of bytes, as most of them have it.
    pub fn length(&mut self, length: usize) {
        self.int32(i32::try_from(length).unwrap_or(i32::MAX));
    }

    /// A text of at most 32 KiB; what is longer is cut, and there is no such text.
    pub fn text(&mut self, text: &str) {
        let length = text.len().min(i16::MAX as usize);
        self.int16(length as i16);
        self.0.extend(text.bytes().take(length));
    }

    /// No text.
    pub fn no_text(&mut self) {
        self.int16(-1);
    }

    /// Bytes with their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A number of any length, as records have it: small ones of either sign are short.
    pub fn varint(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    /// Bytes of a record, with a length of any length.
    pub fn short_bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as i64);
        self.raw(bytes);
    }
}

/// Bytes that are being read.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A byte that is not zero or is.
    pub fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|byte| byte != [0])
    }

    /// Two bytes.
    pub fn int16(&mut self) -> Option<i16> {
        self.take(2)?.try_into().ok().map(i16::from_be_bytes)
    }

    /// Four bytes.
    pub fn int32(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn int64(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    /// A text; an empty one for none.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// Bytes with their length; empty for none.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.int32()?).unwrap_or(0);
        self.take(length)
    }

    /// A list, each element read the same way. Memory follows the bytes that are there, not the length that is claimed.
    pub fn list<T>(&mut self, mut element: impl FnMut(&mut Reader<'a>) -> Option<T>) -> Option<Vec<T>> {
        let length = self.int32()?;
        let mut all = Vec::new();
        for _ in 0..length.max(0) {
            all.push(element(self)?);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_any_length_are_those_of_the_specification() {
        // "ZigZag", as in Protocol Buffers: 0, -1, 1, -2 are 0, 1, 2, 3.
        for (value, bytes) in [(0, &[0][..]), (-1, &[1]), (1, &[2]), (-2, &[3]), (63, &[126]), (64, &[0x80, 1]), (-300, &[0xd7, 4])] {
            let mut out = Writer::default();
            out.varint(value);
            assert_eq!(out.into_bytes(), bytes, "{value}");
        }
        let mut longest = Writer::default();
        longest.varint(i64::MIN);
        assert_eq!(longest.into_bytes().len(), 10);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(small: i16, number: i32, large: i64, text in ".{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let mut out = Writer::default();
            out.int16(small);
            out.int32(number);
            out.int64(large);
            out.text(&text);
            out.no_text();
            out.length(2);
            out.bytes(&bytes);
            out.bytes(&bytes);
            let written = out.into_bytes();
            let mut input = Reader(&written);
            prop_assert_eq!((input.int16(), input.int32(), input.int64()), (Some(small), Some(number), Some(large)));
            prop_assert_eq!((input.text(), input.text()), (Some(&*text), Some("")));
            prop_assert_eq!(input.list(Reader::bytes), Some(vec![&bytes[..]; 2]));
            prop_assert!(input.0.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Reader(&bytes).list(|input| input.text().map(str::len));
            let _ = Reader(&bytes).list(|input| input.bytes().map(<[u8]>::len));
        }
    }
}
