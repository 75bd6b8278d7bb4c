//! The names of journal files: `journal-`, what has become of the file unless it is live, and its id as 16 hex digits.
//!
//! Names that are not exactly of this form are other people's files, and left alone.

use std::fmt;

const PREFIX: &str = "journal-";
const SPARE: &str = "spare-";
const QUARANTINED: &str = "quarantined-";

/// What a journal file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It holds frames that replay reads.
    Live,
    /// Its frames are of no use any more; its space waits to become the next file.
    Spare,
    /// It was damaged; kept for the operator once its events are in segments or lost.
    Quarantined,
}

/// The name of a file, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JournalName {
    pub(super) role: Role,
    pub(super) id: u64,
}

impl JournalName {
    pub(super) fn live(id: u64) -> JournalName {
        JournalName { role: Role::Live, id }
    }

    pub(super) fn spare(id: u64) -> JournalName {
        JournalName { role: Role::Spare, id }
    }

    pub(super) fn quarantined(id: u64) -> JournalName {
        JournalName { role: Role::Quarantined, id }
    }

    /// Reads a name; `None` for a file that is no journal.
    pub(super) fn parse(name: &str) -> Option<JournalName> {
        let rest = name.strip_prefix(PREFIX)?;
        let (role, digits) = if let Some(digits) = rest.strip_prefix(SPARE) {
            (Role::Spare, digits)
        } else if let Some(digits) = rest.strip_prefix(QUARANTINED) {
            (Role::Quarantined, digits)
        } else {
            (Role::Live, rest)
        };
        let lower_hex = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let id = if lower_hex { u64::from_str_radix(digits, 16).ok()? } else { return None };
        Some(JournalName { role, id })
    }
}

impl fmt::Display for JournalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Live => "",
            Role::Spare => SPARE,
            Role::Quarantined => QUARANTINED,
        };
        write!(f, "{PREFIX}{role}{:016x}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_left_alone() {
        for id in [0, 1, 0xabc, u64::MAX] {
            for name in [JournalName::live(id), JournalName::spare(id), JournalName::quarantined(id)] {
                assert_eq!(JournalName::parse(&name.to_string()), Some(name));
            }
        }
        for other in [
            "journal-1",
            "journal-spare-",
            "journal-000000000000000G",
            "journal-000000000000000A",
            "journal-+00000000000000a",
            "segment-0000000000000001",
            "",
        ] {
            assert_eq!(JournalName::parse(other), None, "{other}");
        }
    }
}
