//! From the values of a query to tests: what a value means for the field it is compared with.

use std::net::IpAddr;
use std::ops::Bound;

use crate::error::{Error, Result};
use crate::matcher::Matcher;
use crate::query::filter::lexer::{Scalar, Scanner};
use crate::query::filter::tree::{Field, Test};
use crate::query::question::times::{Moment, is_day};

/// In nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// One end of a range: its text, and whether the end itself is inside. `None` where the range is open.
type End = Option<(Scalar, bool)>;

/// Reads one value of a field, up to where it ends.
pub(super) fn read_test(scanner: &mut Scanner<'_>, field: &Field) -> Result<Test> {
    let at = scanner.at();
    let ignore_case = scanner.eat("~");
    let built_in = matches!(field, Field::EventTime | Field::ReceivedAt | Field::Sequence);
    let test = match scanner.peek() {
        None | Some(')') => return scanner.wrong("expected a value; write `*` for any value"),
        Some(c) if c.is_whitespace() => return scanner.wrong("expected a value; write `*` for any value"),
        Some('(') => return scanner.wrong("`~` stands before a single value, not before a group"),
        Some('<' | '>' | '[' | '{') if ignore_case => return scanner.wrong("a range has no case to ignore"),
        Some('<' | '>') => read_one_sided(scanner, field)?,
        Some('[' | '{') => read_two_sided(scanner, field)?,
        Some('/') if built_in => return scanner.wrong("a time or sequence cannot be compared with a regular expression"),
        Some('/') => Test::Regex { pattern: scanner.pattern()?, ignore_case },
        Some('"') => scalar_test(scanner.quoted()?, field, ignore_case)?,
        Some(_) => scalar_test(scanner.word(&[])?, field, ignore_case)?,
    };
    if !scanner.at_boundary() {
        return scanner.wrong("the value goes on after its end; put a value with quotes, slashes or parentheses into quotes");
    }
    check(&test).map_err(|e| e.at(at))?;
    Ok(test)
}

/// Compiles what can fail, so that the error has its place in the query.
fn check(test: &Test) -> Result<()> {
    match test {
        Test::Exact { value, ignore_case: true } => Matcher::ignoring_case(value).map(drop),
        Test::Wildcard { pieces, ignore_case } => Matcher::wildcard(pieces, *ignore_case).map(drop),
        Test::Regex { pattern, ignore_case } => Matcher::regex(pattern, *ignore_case).map(drop),
        _ => Ok(()),
    }
}

fn scalar_test(scalar: Scalar, field: &Field, ignore_case: bool) -> Result<Test> {
    if scalar.is_star() {
        return Ok(Test::Exists);
    }
    if matches!(field, Field::EventTime | Field::ReceivedAt) && is_day(&scalar.text()) {
        // In a range a day is its first moment; a time that is a day is any moment of it.
        let first = read_moment(&scalar)?;
        return Ok(Test::Times { low: Bound::Included(first), high: Bound::Excluded(first.later(DAY)) });
    }
    if matches!(field, Field::EventTime | Field::ReceivedAt | Field::Sequence) {
        return range_test(field, Some((scalar.clone(), true)), Some((scalar, true)));
    }
    if scalar.pieces.len() > 1 {
        let last = scalar.pieces.len() - 1;
        let keep = |(i, piece): (usize, String)| (i == 0 || i == last || !piece.is_empty()).then_some(piece);
        return Ok(Test::Wildcard { pieces: scalar.pieces.into_iter().enumerate().filter_map(keep).collect(), ignore_case });
    }
    let value = scalar.text();
    if scalar.escaped || ignore_case || !looks_like_network(&value) {
        return Ok(Test::Exact { value, ignore_case });
    }
    let message = "a network is an address, `/` and the number of its bits, 0 to 32 or 128; write `\\/` for the text itself";
    let (network, bits) = read_network(&value).ok_or_else(|| Error::invalid(message).at(scalar.at))?;
    Ok(Test::Network { network, bits })
}

/// Whether it is an address, a slash, and then nothing but digits: it cannot be meant as a text.
pub(super) fn looks_like_network(text: &str) -> bool {
    let is_meant = |(address, bits): (&str, &str)| address.parse::<IpAddr>().is_ok() && bits.bytes().all(|b| b.is_ascii_digit());
    text.split_once('/').is_some_and(is_meant)
}

/// Reads `address/bits`.
fn read_network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let network: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok().filter(|_| bits.bytes().all(|b| b.is_ascii_digit()))?;
    (bits <= if network.is_ipv4() { 32 } else { 128 }).then_some((network, bits))
}

fn read_one_sided(scanner: &mut Scanner<'_>, field: &Field) -> Result<Test> {
    let above = scanner.next() == Some('>');
    let inclusive = scanner.eat("=");
    let end = Some((read_end(scanner, &[])?, inclusive));
    if above { range_test(field, end, None) } else { range_test(field, None, end) }
}

fn read_two_sided(scanner: &mut Scanner<'_>, field: &Field) -> Result<Test> {
    let low_inclusive = scanner.next() == Some('[');
    scanner.skip_space();
    let low = read_end(scanner, &[']', '}'])?;
    scanner.skip_space();
    if !scanner.eat_keyword("TO") {
        return scanner.wrong("expected `TO` between the ends of a range, as in [1 TO 5]");
    }
    scanner.skip_space();
    let high = read_end(scanner, &[']', '}'])?;
    scanner.skip_space();
    let high_inclusive = match scanner.next() {
        Some(']') => true,
        Some('}') => false,
        _ => return scanner.wrong("expected `]` or `}` at the end of the range"),
    };
    let open = |end: Scalar, inclusive| (!end.is_star()).then_some((end, inclusive));
    range_test(field, open(low, low_inclusive), open(high, high_inclusive))
}

fn read_end(scanner: &mut Scanner<'_>, stop: &[char]) -> Result<Scalar> {
    let end = if scanner.peek() == Some('"') { scanner.quoted()? } else { scanner.word(stop)? };
    if end.pieces.len() == 1 && end.text().is_empty() {
        return Err(Error::invalid("expected a number or a time").at(end.at));
    }
    Ok(end)
}

fn range_test(field: &Field, low: End, high: End) -> Result<Test> {
    if low.is_none() && high.is_none() {
        return Ok(Test::Exists);
    }
    match field {
        Field::Sequence => Ok(Test::Sequences { low: bound(&low, read_sequence)?, high: bound(&high, read_sequence)? }),
        Field::EventTime | Field::ReceivedAt => Ok(Test::Times { low: bound(&low, read_moment)?, high: bound(&high, read_moment)? }),
        Field::Dimension(_) | Field::Path(_) => {
            let is_number = |end: &End| end.as_ref().is_none_or(|(scalar, _)| read_number(scalar).is_ok());
            if is_number(&low) && is_number(&high) {
                return Ok(Test::Numbers { low: bound(&low, read_number)?, high: bound(&high, read_number)? });
            }
            Ok(Test::Times { low: bound(&low, read_calendar)?, high: bound(&high, read_calendar)? })
        }
    }
}

fn bound<T>(end: &End, read: fn(&Scalar) -> Result<T>) -> Result<Bound<T>> {
    match end {
        None => Ok(Bound::Unbounded),
        Some((scalar, true)) => read(scalar).map(Bound::Included),
        Some((scalar, false)) => read(scalar).map(Bound::Excluded),
    }
}

fn read_sequence(scalar: &Scalar) -> Result<u64> {
    scalar.text().parse().map_err(|_| Error::invalid("a sequence is a whole number").at(scalar.at))
}

fn read_moment(scalar: &Scalar) -> Result<Moment> {
    Moment::parse(&scalar.text()).map_err(|e| e.at(scalar.at))
}

fn read_number(scalar: &Scalar) -> Result<f64> {
    let text = scalar.text();
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
    number.ok_or_else(|| Error::invalid("cannot read the number").at(scalar.at))
}

/// A time beside which a plain number would be a mistake.
fn read_calendar(scalar: &Scalar) -> Result<Moment> {
    if read_number(scalar).is_ok() {
        return Err(Error::invalid("the ends of a range are both numbers or both times").at(scalar.at));
    }
    read_moment(scalar)
        .map_err(|_| Error::invalid("a range needs numbers or times; write 5, 2026-11-22T08:00:00Z or now-15m").at(scalar.at))
}
