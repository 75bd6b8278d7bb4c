//! Little-endian writes onto a vector.

/// Appends numbers in the form in which [`super::read::Reader`] reads them.
pub(crate) trait Write {
    fn put_u8(&mut self, value: u8);
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_i64(&mut self, value: i64);
    fn put_bytes(&mut self, bytes: &[u8]);
    fn put_varint(&mut self, value: u64);
    fn put_signed_varint(&mut self, value: i64);
}

impl Write for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_signed_varint(&mut self, value: i64) {
        self.put_varint(((value << 1) ^ (value >> 63)) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::read::Reader;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(a: u64, b: i64, c: u32, d: u16) {
            let mut bytes = Vec::new();
            bytes.put_varint(a);
            bytes.put_signed_varint(b);
            bytes.put_u32(c);
            bytes.put_u16(d);
            bytes.put_i64(b);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint().unwrap(), a);
            prop_assert_eq!(reader.signed_varint().unwrap(), b);
            prop_assert_eq!(reader.u32().unwrap(), c);
            prop_assert_eq!(reader.u16().unwrap(), d);
            prop_assert_eq!(reader.i64().unwrap(), b);
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(value) = reader.varint() {
                let mut again = Vec::new();
                again.put_varint(value);
                prop_assert!(again.len() <= 10);
            }
            prop_assert!(Reader::new(&bytes).length(0).map_or(true, |n| n == 0));
        }
    }
}
