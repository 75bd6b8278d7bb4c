//! What an error of a broker means: [`Said`], by its number.
//!
//! Numbers that are not listed are tried again: newer brokers have newer ones, and nothing is given up because of them.

use crate::trails::sink::fault::{Fault, FaultKind};

/// What a broker says of a request, or of what was sent for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is done, now or before.
    Done,
    /// The numbers of the producer do not go on from what the broker knows: another producer must send it.
    Renumber,
    /// Somebody else leads the partition, or the broker is busy: again later.
    Later(String),
    /// An operator must mend something.
    Setup(String),
    /// Fewer records at a time.
    TooLarge(String),
    /// A record in it will never be taken.
    Refused(String),
}

/// What a number means. `place` is who said it, `topic` what about.
#[must_use]
pub fn said(code: i16, place: &str, topic: &str) -> Said {
    let told = |name: &str| format!("{place} says {name} ({code})");
    match code {
        // DUPLICATE_SEQUENCE_NUMBER: it has the records from an earlier attempt.
        0 | 46 => Said::Done,
        45 | 47 | 49 | 59 | 90 => Said::Renumber,
        3 => Said::Setup(format!("{}: there is no topic {topic}: make it, or mend `topic`", told("UNKNOWN_TOPIC_OR_PARTITION"))),
        17 => Said::Setup(format!("{}: mend `topic`", told("INVALID_TOPIC_EXCEPTION"))),
        21 => Said::Setup(format!("{}: mend the topic's settings", told("INVALID_REQUIRED_ACKS"))),
        29 => Said::Setup(format!("{}: allow the user to write to the topic {topic}", told("TOPIC_AUTHORIZATION_FAILED"))),
        31 => Said::Setup(format!(
            "{}: allow the user IdempotentWrite on the cluster, or set `idempotent` to false",
            told("CLUSTER_AUTHORIZATION_FAILED")
        )),
        33 => Said::Setup(format!("{}: mend `sasl`", told("UNSUPPORTED_SASL_MECHANISM"))),
        34 | 58 => Said::Setup(format!("{}: mend `sasl`, `user` or `password`", told("SASL_AUTHENTICATION_FAILED"))),
        35 => Said::Setup(format!("{}: traild needs Kafka 2.5 or newer", told("UNSUPPORTED_VERSION"))),
        44 => Said::Setup(format!("{}: mend the topic's rules", told("POLICY_VIOLATION"))),
        76 => Said::Setup(format!("{}: set `compression` to none", told("UNSUPPORTED_COMPRESSION_TYPE"))),
        10 => Said::TooLarge(format!("{}: more than the topic's max.message.bytes", told("MESSAGE_TOO_LARGE"))),
        18 => Said::TooLarge(format!("{}: more than the topic's segment.bytes", told("RECORD_LIST_TOO_LARGE"))),
        32 => Said::Refused(format!("{}: the time of receipt is outside of what the topic takes", told("INVALID_TIMESTAMP"))),
        87 => Said::Refused(told("INVALID_RECORD")),
        19 | 20 => Said::Later(format!("{}: too few replicas of a partition are there", told("NOT_ENOUGH_REPLICAS"))),
        5 | 6 => Said::Later(told("NOT_LEADER_OR_FOLLOWER")),
        7 => Said::Later(told("REQUEST_TIMED_OUT")),
        56 => Said::Later(told("KAFKA_STORAGE_ERROR")),
        _ => Said::Later(told("an error")),
    }
}

impl Said {
    /// The same as a fault; `None` when it is done.
    #[must_use]
    pub fn fault(self) -> Option<Fault> {
        Some(match self {
            Said::Done => return None,
            Said::Renumber => Fault::later("the brokers do not know the producer any more"),
            Said::Later(message) => Fault::later(message),
            Said::Setup(message) => Fault::setup(message),
            Said::TooLarge(message) => Fault::new(FaultKind::TooLarge, message),
            Said::Refused(message) => Fault::refused(message),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_meaning() {
        let kind = |code| said(code, "b1:9092", "audit").fault().map(|fault| fault.kind);
        assert_eq!((kind(0), kind(46)), (None, None));
        for code in [1, 2, 5, 6, 7, 8, 13, 14, 19, 20, 41, 56, 72, 74, 89, -1, i16::MAX] {
            assert_eq!(kind(code), Some(FaultKind::Later), "{code}");
        }
        for code in [3, 17, 21, 29, 31, 33, 34, 35, 44, 58, 76] {
            assert_eq!(kind(code), Some(FaultKind::Setup), "{code}");
        }
        assert_eq!((kind(10), kind(18)), (Some(FaultKind::TooLarge), Some(FaultKind::TooLarge)));
        assert_eq!((kind(32), kind(87)), (Some(FaultKind::Refused), Some(FaultKind::Refused)));
        assert_eq!(said(45, "", ""), Said::Renumber);
        assert!(said(3, "b1:9092", "audit").fault().unwrap().message.contains("there is no topic audit"));
    }
}
