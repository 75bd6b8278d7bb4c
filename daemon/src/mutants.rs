//! Deliberate bugs of the daemon, by which the tests are tested.
//!
//! Where a rule of deliveries or of the way of a request into the log is kept, the code asks [`is`] whether it is to be broken. In this package's own tests the
//! environment names one bug: `cargo run -p trail-tests --bin mutants` goes through the list in `tests/mutants.txt` and shows which test catches each, as it does for the engine's; no build is needed
//! that the tests do not need anyway. The program itself can be told one where it is built with the feature `mutants`, for the tests that need a whole server. Everywhere else the
//! answer is the constant `false`, so that the product is compiled as if nothing were asked; a build without debug assertions, as releases are, refuses the feature.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` breaks the server on purpose: it is for tests alone");

/// The variable that names the bug.
#[cfg(any(test, feature = "mutants"))]
const VARIABLE: &str = "TRAIL_MUTANT";

/// Whether this bug is to be there.
#[cfg(any(test, feature = "mutants"))]
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(name)
}

/// No bug is there on purpose.
#[cfg(not(any(test, feature = "mutants")))]
#[inline(always)]
pub(crate) const fn is(_name: &str) -> bool {
    false
}
