//! What can go wrong in a measurement, as text for the person who runs it.

/// An error of any kind.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A value, or why there is none.
pub type Result<T> = std::result::Result<T, Failure>;
