//! Evaluates filters on single decoded events, straight from their tree: what every plan must agree with.

use std::net::IpAddr;
use std::ops::{Bound, RangeBounds as _};

use crate::event::read_time;
use crate::id::Timestamp;
use crate::query::filter::{Comparison, Field, Filter, Test};
use crate::query::naive::{NOW, NaiveEvent, exists_at, values_at};
use crate::query::question::times::Moment;

pub(crate) fn holds(filter: &Filter, event: &NaiveEvent) -> bool {
    match filter {
        Filter::All => true,
        Filter::And(all) => all.iter().all(|f| holds(f, event)),
        Filter::Or(any) => any.iter().any(|f| holds(f, event)),
        Filter::Not(inner) => !holds(inner, event),
        Filter::Text(text) => event.text.to_lowercase().contains(&text.to_lowercase()),
        Filter::Compare(comparison) => compares(comparison, event),
    }
}

fn compares(comparison: &Comparison, event: &NaiveEvent) -> bool {
    let test = &comparison.test;
    match &comparison.field {
        Field::EventTime => at(test, event.key.time),
        Field::ReceivedAt => at(test, event.received_at),
        Field::Sequence => match test {
            Test::Sequences { low, high } => (*low, *high).contains(&event.key.sequence.0),
            _ => true,
        },
        Field::Dimension(name) => event.terms.get(name.as_str()).is_some_and(|terms| terms.iter().any(|t| passes(test, t, false))),
        Field::Path(path) if *test == Test::Exists => exists_at(&event.value, &path.steps),
        Field::Path(path) => values_at(&event.value, &path.steps).iter().any(|(value, literal)| passes(test, value, *literal)),
    }
}

fn at(test: &Test, time: Timestamp) -> bool {
    let resolve = |end: &Bound<Moment>| end.map(|m| m.resolve(NOW));
    match test {
        Test::Times { low, high } => (resolve(low), resolve(high)).contains(&time),
        _ => true,
    }
}

fn passes(test: &Test, value: &str, literal: bool) -> bool {
    if let Test::Exact { value: exact, ignore_case: false } = test {
        return exact == value;
    }
    if literal && value == "null" {
        return false;
    }
    let fold = |text: &str, ignore_case: bool| if ignore_case { text.to_lowercase() } else { text.to_owned() };
    match test {
        Test::Exists => true,
        Test::Exact { value: exact, ignore_case } => fold(exact, *ignore_case) == fold(value, *ignore_case),
        Test::Wildcard { pieces, ignore_case } => {
            let pieces: Vec<String> = pieces.iter().map(|p| fold(p, *ignore_case)).collect();
            glob(&pieces, &fold(value, *ignore_case))
        }
        Test::Regex { pattern, ignore_case } => {
            let flag = if *ignore_case { "(?i)" } else { "" };
            regex::Regex::new(&format!("{flag}^(?:{pattern})$")).unwrap().is_match(value)
        }
        Test::Network { network, bits } => inside(value, *network, *bits),
        Test::Numbers { low, high } => value.parse::<f64>().is_ok_and(|n| (*low, *high).contains(&n)),
        Test::Times { .. } => read_time(value).is_some_and(|t| at(test, t)),
        Test::Sequences { .. } => unreachable!("sequences are not values"),
    }
}

fn glob(pieces: &[String], value: &str) -> bool {
    let (first, rest) = pieces.split_first().unwrap();
    let Some(after) = value.strip_prefix(first.as_str()) else { return false };
    if rest.is_empty() {
        return after.is_empty();
    }
    (0..=after.len()).filter(|i| after.is_char_boundary(*i)).any(|i| glob(rest, &after[i..]))
}

fn inside(value: &str, network: IpAddr, bits: u8) -> bool {
    let (address, own) = value.split_once('/').map_or((value, 128), |(a, b)| (a, b.parse().unwrap()));
    let as_bits = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => format!("4{:032b}", v4.to_bits()),
        IpAddr::V6(v6) => format!("6{:0128b}", v6.to_bits()),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    own >= bits && as_bits(address).starts_with(&as_bits(network)[..=usize::from(bits)])
}
