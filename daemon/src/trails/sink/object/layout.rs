//! [`Layout`]: names as two vendors write them, with accounts, regions and times in them.
//!
//! All that a name says follows from the batch: its time is when its last event was received. What belongs to a backfill stands under the
//! backfill's own name, so that it never meets the names of the trail.

use trail_engine::id::Timestamp;

use crate::trails::setting::members::Members;
use crate::trails::sink::batch::Batch;
use crate::trails::sink::kind::Order;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The account that stands in names when the definition says none.
const ACCOUNT: &str = "000000000000";
/// The region that does.
const REGION: &str = "local";

/// What the names of a trail have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The name of the trail.
    pub trail: String,
    /// The account in names.
    pub account: String,
    /// The region in names.
    pub region: String,
}

impl Layout {
    /// The layout of a sink.
    ///
    /// # Errors
    /// A sentence that names the member that cannot stand in a name.
    pub fn of(order: &Order<'_>) -> Result<Layout, String> {
        Layout::read(order.trail, &order.members)
    }

    /// The layout of a trail with these members.
    ///
    /// # Errors
    /// As [`Layout::of`].
    pub fn read(trail: &str, members: &Members<'_>) -> Result<Layout, String> {
        let part = |name: &str, text: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
            if fits { Ok(text.to_owned()) } else { Err(format!("`{name}` must be 1 to 64 letters, digits and -")) }
        };
        let region = members.text("layout_region").or_else(|| members.text("region")).unwrap_or(REGION);
        Ok(Layout {
            trail: trail.to_owned(),
            account: part("account", members.text("account").unwrap_or(ACCOUNT))?,
            region: part("layout_region", region)?,
        })
    }

    /// What the names of a batch begin with, for one of a backfill.
    #[must_use]
    pub fn aside(&self, batch: &Batch) -> String {
        if *batch.trail == *self.trail { String::new() } else { format!("{}/", batch.trail) }
    }
}

/// When a batch was complete: the time at which its last event was received.
#[must_use]
pub fn time_of(batch: &Batch) -> Timestamp {
    batch.events.last().map_or(batch.day.start(), |event| event.received_at)
}

/// A time to the second: `2026-11-22T10:00:00Z`.
#[must_use]
pub fn seconds(time: Timestamp) -> String {
    format!("{}Z", time.to_string().get(..19).unwrap_or("0000-00-00T00:00:00"))
}

/// The digits of a time to the second: `20261122100000`.
#[must_use]
pub fn digits(time: Timestamp) -> String {
    seconds(time).chars().filter(char::is_ascii_digit).collect()
}

/// The folders of a day: `2026/11/22`.
#[must_use]
pub fn day_path(time: Timestamp) -> String {
    seconds(time).get(..10).unwrap_or_default().replace('-', "/")
}

/// A number in so many digits of base 62, which sort as the numbers do; `None` when it has more.
#[must_use]
pub fn base62(mut number: u64, width: usize) -> Option<String> {
    let mut text = vec![b'0'; width];
    for place in text.iter_mut().rev() {
        *place = DIGITS.get(usize::try_from(number % 62).ok()?).copied()?;
        number /= 62;
    }
    String::from_utf8(text).ok().filter(|_| number == 0)
}

/// The number that base-62 digits say.
#[must_use]
pub fn read_base62(text: &str) -> Option<u64> {
    text.bytes().try_fold(0_u64, |number, byte| {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        number.checked_mul(62)?.checked_add(digit as u64)
    })
}

/// Writes the events of a batch as the elements of a JSON array, verbatim.
pub fn write_array(batch: &Batch, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, event) in batch.events.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&event.text);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base62_comes_back_and_sorts() {
        let mut last = String::new();
        for number in [0, 1, 9, 10, 61, 62, 63, 3_843, 3_844, 1 << 40, 62_u64.pow(10) - 1] {
            let text = base62(number, 10).unwrap();
            assert_eq!((text.len(), read_base62(&text)), (10, Some(number)));
            assert!(last < text, "{last} {text}");
            last = text;
        }
        assert_eq!(base62(62_u64.pow(10), 10), None);
        assert_eq!(read_base62("a-"), None);
        assert_eq!(read_base62("zzzzzzzzzzzzzzzz"), None);
    }

    #[test]
    fn times_are_written_to_the_second() {
        let time = Timestamp::from_millis(1_795_255_384_567).unwrap();
        assert_eq!((seconds(time).as_str(), digits(time).as_str()), ("2026-11-21T10:03:04Z", "20261121100304"));
        assert_eq!(day_path(time), "2026/11/21");
        assert_eq!(digits(Timestamp(0)), "19700101000000");
    }
}
