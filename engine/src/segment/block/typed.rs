//! Values that print back to the same text from something shorter: integers, timestamps, UUIDs.
//!
//! Every `parse_*` gives a value only when its `print_*` yields the very same bytes; anything else stays text.

use crate::event::read_time;
use crate::event::time::read_plain;

/// A timestamp's dress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// `YYYY-MM-DDTHH:MM:SSZ`
    Seconds,
    /// `YYYY-MM-DDTHH:MM:SS.mmmZ`
    Millis,
}

impl TimeForm {
    fn unit(self) -> i64 {
        match self {
            TimeForm::Seconds => 1_000_000_000,
            TimeForm::Millis => 1_000_000,
        }
    }

    fn text_bytes(self) -> usize {
        match self {
            TimeForm::Seconds => 20,
            TimeForm::Millis => 24,
        }
    }
}

/// A decimal integer as JSON writes it, without a plus, leading zeros or `-0`.
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    let value: i64 = std::str::from_utf8(text).ok().filter(|t| t.len() <= 20)?.parse().ok()?;
    let mut back = Vec::with_capacity(20);
    print_integer(value, &mut back);
    (back == text).then_some(value)
}

pub(crate) fn print_integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut rest = value.unsigned_abs();
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// The whole seconds or milliseconds of a timestamp in this dress.
pub(crate) fn parse_time(text: &[u8], form: TimeForm) -> Option<i64> {
    if text.len() != form.text_bytes() || text.last() != Some(&b'Z') {
        return None;
    }
    if form == TimeForm::Seconds {
        return read_plain(text).map(|time| time.0.div_euclid(form.unit()));
    }
    let time = read_time(std::str::from_utf8(text).ok()?)?;
    let value = time.0.div_euclid(form.unit());
    let mut back = Vec::with_capacity(24);
    print_time(value, form, &mut back);
    (back == text).then_some(value)
}

pub(crate) fn print_time(value: i64, form: TimeForm, out: &mut Vec<u8>) {
    let (seconds, millis) = match form {
        TimeForm::Seconds => (value, 0),
        TimeForm::Millis => (value.div_euclid(1_000), value.rem_euclid(1_000)),
    };
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil_from_days(day);
    digits(year, 4, out);
    for (mark, number) in [(b'-', month), (b'-', date), (b'T', second / 3_600), (b':', second / 60 % 60), (b':', second % 60)] {
        out.push(mark);
        digits(number, 2, out);
    }
    if form == TimeForm::Millis {
        out.push(b'.');
        digits(millis, 3, out);
    }
    out.push(b'Z');
}

/// Year, month and day of a day number (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_days(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

fn digits(number: i64, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        // A damaged number can be a year before Christ: it prints as something, and its block's checksum has told.
        out.push(b'0' + (number.unsigned_abs() / 10u64.pow(place) % 10) as u8);
    }
}

/// The 16 bytes of a UUID in lower or upper case (a UUID without letters counts as lower).
pub(crate) fn parse_uuid(text: &[u8]) -> Option<(u128, bool)> {
    if text.len() != 36 {
        return None;
    }
    let mut value = 0u128;
    let (mut lower, mut upper) = (false, false);
    for (i, byte) in text.iter().enumerate() {
        let digit = match byte {
            b'-' if matches!(i, 8 | 13 | 18 | 23) => continue,
            _ if matches!(i, 8 | 13 | 18 | 23) => return None,
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => {
                lower = true;
                byte - b'a' + 10
            }
            b'A'..=b'F' => {
                upper = true;
                byte - b'A' + 10
            }
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    (!(lower && upper)).then_some((value, upper))
}

pub(crate) fn print_uuid(value: u128, upper: bool, out: &mut Vec<u8>) {
    const LOWER: &[u8; 16] = b"0123456789abcdef";
    const UPPER: &[u8; 16] = b"0123456789ABCDEF";
    let alphabet = if upper { UPPER } else { LOWER };
    let mut text = [b'-'; 36];
    let pairs = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    for (byte, at) in value.to_be_bytes().into_iter().zip(pairs) {
        for (digit, at) in [(byte >> 4, at), (byte & 15, at + 1)] {
            if let (Some(slot), Some(letter)) = (text.get_mut(at), alphabet.get(usize::from(digit))) {
                *slot = *letter;
            }
        }
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Timestamp;
    use proptest::prelude::*;

    /// Found by fuzzing chunks: a time before the year 0.
    #[test]
    fn times_that_no_text_has_are_printed_somehow() {
        for value in [i64::MIN, i64::MIN / 1_000, -62_167_219_201_000, i64::MAX] {
            for form in [TimeForm::Seconds, TimeForm::Millis] {
                let mut text = Vec::new();
                print_time(value, form, &mut text);
                assert_eq!(text.len(), form.text_bytes());
            }
        }
    }

    #[test]
    fn only_what_prints_back_is_typed() {
        for text in ["-0", "007", "+1", "1.0", "", "9223372036854775808", "1e3"] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
        for text in ["2026-11-22T08:00:00+0000", "2026-02-30T00:00:00Z", "2026-11-22t08:00:00Z", "2026-11-22T08:00:60Z"] {
            assert_eq!(parse_time(text.as_bytes(), TimeForm::Seconds), None, "{text}");
        }
        assert_eq!(parse_uuid(b"0a1B2c3d-0000-0000-0000-000000000000"), None);
        assert_eq!(parse_uuid(b"0a1b2c3d-0000-0000-0000-00000000000g"), None);
        assert_eq!(parse_uuid(b"0a1b2c3d00000-0000-0000-000000000000"), None);
    }

    proptest! {
        #[test]
        fn typed_values_print_back(integer: i64, seconds in -9_000_000_000i64..9_000_000_000, uuid: u128, upper: bool) {
            let mut text = Vec::new();
            print_integer(integer, &mut text);
            prop_assert_eq!(parse_integer(&text), Some(integer));
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), integer.to_string());
            text.clear();
            print_time(seconds, TimeForm::Seconds, &mut text);
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), Timestamp(seconds * TimeForm::Seconds.unit()).to_string());
            prop_assert_eq!(parse_time(&text, TimeForm::Seconds), Some(seconds));
            text.clear();
            print_time(seconds, TimeForm::Millis, &mut text);
            prop_assert_eq!(parse_time(&text, TimeForm::Millis), Some(seconds));
            text.clear();
            print_uuid(uuid, upper, &mut text);
            let (back, back_upper) = parse_uuid(&text).unwrap();
            prop_assert_eq!(back, uuid);
            prop_assert!(back_upper == upper || !text.iter().any(u8::is_ascii_alphabetic));
        }
    }
}
