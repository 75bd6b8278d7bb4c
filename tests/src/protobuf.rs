//! A reader of Protocol Buffers for the stubs, written apart from the writer that it checks.

/// One field: its number, and its value as a number or as bytes.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The number of the field.
    pub number: u64,
    /// The value of a varint, fixed32 or fixed64.
    pub value: u64,
    /// The bytes of a text or message.
    pub bytes: &'a [u8],
}

/// The fields of a message.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn read(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let mut field = Field { number: key >> 3, value: 0, bytes: &[] };
        match key & 7 {
            0 => field.value = number(&mut bytes),
            1 => field.value = u64::from_le_bytes(cut(&mut bytes, 8).try_into().unwrap()),
            2 => {
                let length = number(&mut bytes);
                field.bytes = cut(&mut bytes, usize::try_from(length).unwrap());
            }
            5 => field.value = u32::from_le_bytes(cut(&mut bytes, 4).try_into().unwrap()).into(),
            form => panic!("no form {form}"),
        }
        all.push(field);
    }
    all
}

/// The bytes of the fields of a number.
#[must_use]
pub fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    read(message).into_iter().filter(|field| field.number == number).map(|field| field.bytes).collect()
}

/// The text of the first field of a number.
///
/// # Panics
/// When it is not there or no text.
#[must_use]
pub fn text(message: &[u8], number: u64) -> &str {
    std::str::from_utf8(all(message, number).first().unwrap_or_else(|| panic!("no field {number}"))).unwrap()
}

fn cut<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn number(bytes: &mut &[u8]) -> u64 {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).expect("an endless number") + 1;
    cut(bytes, length).iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
}
