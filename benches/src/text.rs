//! Small texts written fast into a buffer: hex, ids, tokens, times; and what the scanner asks about characters.

use crate::random::Random;

pub(crate) const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Request tokens of S3: capitals and digits, capitals twice as likely.
const CAPITALS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789AZ";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The last `digits` (at most 16) hex digits of a number.
#[inline]
pub(crate) fn write_hex(out: &mut Vec<u8>, number: u64, digits: usize) {
    let mut text = [0; 16];
    for (i, byte) in text.iter_mut().enumerate() {
        *byte = digit(HEX, (number >> (60 - 4 * i)) as usize);
    }
    let start = text.len().saturating_sub(digits);
    out.extend_from_slice(text.get(start..).unwrap_or_default());
}

/// A version 4 UUID of 122 of these bits.
#[inline]
pub(crate) fn write_uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    write_hex(out, high >> 32, 8);
    out.push(b'-');
    write_hex(out, high >> 16, 4);
    out.push(b'-');
    write_hex(out, high, 4);
    out.push(b'-');
    write_hex(out, low >> 48, 4);
    out.push(b'-');
    write_hex(out, low, 12);
}

/// A fresh token in base64.
pub(crate) fn write_token(out: &mut Vec<u8>, random: &mut Random, length: usize) {
    write_alphabet(out, random, length, BASE64);
}

/// A fresh token of capitals and digits.
pub(crate) fn write_capitals(out: &mut Vec<u8>, random: &mut Random, length: usize) {
    write_alphabet(out, random, length, CAPITALS);
}

fn write_alphabet(out: &mut Vec<u8>, random: &mut Random, length: usize, alphabet: &[u8; 64]) {
    let mut left = length;
    while left > 0 {
        let mut bits = random.bits();
        for _ in 0..left.min(10) {
            out.push(digit(alphabet, bits as usize));
            bits >>= 6;
        }
        left -= left.min(10);
    }
}

/// The entry of a table whose size is a power of two.
#[inline]
pub(crate) fn digit<const N: usize>(table: &[u8; N], at: usize) -> u8 {
    table.get(at & (N - 1)).copied().unwrap_or(b'0')
}

/// Whether a character continues a word: names, ids and times are replaced as whole words only.
#[inline]
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Seconds since the epoch of `YYYY-MM-DDTHH:MM:SS`, whatever follows.
pub(crate) fn read_seconds(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    let number =
        |from: usize, to: usize| -> Option<i64> { text.get(from..to).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok() };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| b.get(*at) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    valid.then(|| days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Writes seconds since the epoch as `YYYY-MM-DDTHH:MM:SS`; remembers the day it wrote last.
#[derive(Debug, Clone)]
pub(crate) struct Clockface {
    day: i64,
    text: [u8; 11],
}

impl Clockface {
    pub(crate) fn new() -> Clockface {
        let mut face = Clockface { day: 0, text: [0; 11] };
        face.turn(0);
        face
    }

    #[inline]
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, seconds: i64) {
        let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        if day != self.day {
            self.turn(day);
        }
        out.extend_from_slice(&self.text);
        let two = |n: i64| [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        let ([a, b], [c, d], [e, f]) = (two(second / 3_600), two(second / 60 % 60), two(second % 60));
        out.extend_from_slice(&[a, b, b':', c, d, b':', e, f]);
    }

    fn turn(&mut self, day: i64) {
        let (year, month, date) = civil_from_days(day);
        let digit = |n: i64| b'0' + (n % 10) as u8;
        let year = year.rem_euclid(10_000);
        let [y0, y1, y2, y3] = [1_000, 100, 10, 1].map(|unit| digit(year / unit));
        self.day = day;
        self.text = [y0, y1, y2, y3, b'-', digit(month / 10), digit(month), b'-', digit(date / 10), digit(date), b'T'];
    }
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back() {
        for seconds in [0, 951_825_599, 951_868_799, 1_795_334_400, 4_107_542_399, -1] {
            let mut out = Vec::new();
            Clockface::new().write(&mut out, seconds);
            assert_eq!(read_seconds(std::str::from_utf8(&out).unwrap()), Some(seconds));
        }
        let mut out = Vec::new();
        Clockface::new().write(&mut out, 1_795_334_400);
        assert_eq!(out, b"2026-11-22T08:00:00");
        assert_eq!(read_seconds("2026-13-22T08:00:00Z"), None);
        assert_eq!(read_seconds("2026-11-22 08:00:00Z"), None);
    }

    #[test]
    fn ids_have_their_form() {
        let mut out = Vec::new();
        write_uuid(&mut out, u64::MAX, u64::MAX);
        assert_eq!(out, b"ffffffff-ffff-4fff-bfff-ffffffffffff");
        out.clear();
        write_token(&mut out, &mut Random::new(1), 77);
        assert_eq!(out.len(), 77);
        write_hex(&mut out, 0xabc, 5);
        assert!(out.ends_with(b"00abc"));
    }
}
