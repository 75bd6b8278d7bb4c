//! Deliberate durability bugs, by which the tests are tested.
//!
//! Where a rule of durability is kept, the code asks [`is`] whether it is to be broken. Without the feature `mutants` the answer is the
//! constant `false`, so that the product is compiled as if nothing were asked. With it, the environment names one bug, and one build
//! serves all: `cargo run -p trail-tests --bin mutants` goes through the list in `tests/mutants.txt` and shows which test catches each.
//! A build without debug assertions, as releases are, refuses the feature.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` breaks the log on purpose: it is for tests alone");

/// The variable that names the bug.
#[cfg(feature = "mutants")]
const VARIABLE: &str = "TRAIL_MUTANT";

/// Whether this bug is to be there.
#[cfg(feature = "mutants")]
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(name)
}

/// No bug is there on purpose.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn is(_name: &str) -> bool {
    false
}
