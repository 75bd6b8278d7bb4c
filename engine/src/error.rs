//! One opaque [`Error`] outside, precise inside.
//!
//! [`ErrorKind`] says what the caller can do about it. The message says what went wrong in lower case, where (file,
//! component, offset), what was expected and what was found, and chains the cause. The idea of kinds by reaction is
//! slatedb's; the opaque type is jiff's.

use std::borrow::Cow;
use std::fmt;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bytes on disk are not what was written. Run `verify`; the rest of the log stays readable.
    Corrupt,
    /// The engine cannot keep up. Wait and send the same again.
    Busy,
    /// The disk is full. Free space; the log resumes by itself.
    Full,
    /// The request itself is wrong. Mend it.
    Invalid,
    /// What was asked for is not there (any more).
    NotFound,
    /// A write could not be made durable; the log refuses writes until it is opened again.
    Poisoned,
    /// The log is closed or closing.
    Closed,
    /// Another process holds the data directory.
    Locked,
    /// A limit on time, memory or size was reached. Ask for less, or raise the limit.
    Limit,
    /// The caller cancelled the work.
    Cancelled,
    /// The bytes are of a format version or kind that this build does not know.
    Unsupported,
    /// The operating system refused an operation.
    Io,
}

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with its kind, its place and its cause.
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    message: Cow<'static, str>,
    path: Option<String>,
    component: Option<Cow<'static, str>>,
    offset: Option<u64>,
    expected: Option<String>,
    found: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error of a kind; `message` in lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
        Error(Box::new(Repr {
            kind,
            message: message.into(),
            path: None,
            component: None,
            offset: None,
            expected: None,
            found: None,
            source: None,
        }))
    }

    /// Bytes that are not what was written.
    #[cold]
    pub fn corrupt(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Corrupt, message)
    }

    /// A request that is wrong in itself.
    #[cold]
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    /// An operation that the operating system refused; "no space" becomes [`ErrorKind::Full`].
    #[cold]
    pub fn io(message: impl Into<Cow<'static, str>>, source: std::io::Error) -> Error {
        let kind = match source.kind() {
            _ if Error::is_full(&source) => ErrorKind::Full,
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        Error::new(kind, message).because(source)
    }

    /// Whether the operating system says that there is no space.
    pub(crate) fn is_full(source: &std::io::Error) -> bool {
        matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }

    /// Names the file. An outer name does not replace an inner one.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<String>) -> Error {
        self.0.path.get_or_insert_with(|| path.into());
        self
    }

    /// Names the part of the file. An outer name does not replace an inner one.
    #[must_use]
    pub fn in_component(mut self, component: impl Into<Cow<'static, str>>) -> Error {
        self.0.component.get_or_insert_with(|| component.into());
        self
    }

    /// Names the offset: in the file or component, or the byte of a request's text.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Error {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// Says what was expected and what was found.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display, found: impl fmt::Display) -> Error {
        self.0.expected = Some(expected.to_string());
        self.0.found = Some(found.to_string());
        self
    }

    /// Chains the cause.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without place and cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The offset, where one is known: for [`ErrorKind::Invalid`] the byte of the request's text.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The file, where one is known.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The part of the file, where one is known.
    #[must_use]
    pub fn component(&self) -> Option<&str> {
        self.0.component.as_deref()
    }

    /// The same error for one more receiver: kind, message and place are kept, the cause becomes text.
    #[must_use]
    pub fn duplicate(&self) -> Error {
        let repr = &self.0;
        Error(Box::new(Repr {
            kind: repr.kind,
            message: repr.message.clone(),
            path: repr.path.clone(),
            component: repr.component.clone(),
            offset: repr.offset,
            expected: repr.expected.clone(),
            found: repr.found.clone(),
            source: repr.source.as_ref().map(|s| s.to_string().into()),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repr = &self.0;
        if let Some(path) = &repr.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&repr.message)?;
        if let Some(component) = &repr.component {
            write!(f, " in {component}")?;
        }
        if let Some(offset) = repr.offset {
            write!(f, " at byte {offset}")?;
        }
        if let (Some(expected), Some(found)) = (&repr.expected, &repr.found) {
            write!(f, ": expected {expected}, found {found}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| s.as_ref() as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_where_and_why() {
        let error = Error::corrupt("checksum differs")
            .in_component("postings")
            .in_file("segment-01")
            .at(77)
            .expected("1", "2")
            .because(std::io::Error::other("cause"));
        assert_eq!(error.to_string(), "segment-01: checksum differs in postings at byte 77: expected 1, found 2");
        assert_eq!(format!("{error:?}"), "Corrupt: segment-01: checksum differs in postings at byte 77: expected 1, found 2: cause");
        assert_eq!(error.duplicate().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_full_disk_is_a_kind_of_its_own() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Error::io("write failed", full).kind(), ErrorKind::Full);
    }
}
