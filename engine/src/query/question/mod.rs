//! What was asked, made definite: the [`request`], its [`times`] and [`cursor`], the [`context`] that it is asked in, and what becomes
//! of them ([`asked`]); [`sequences`] and [`gaps`] are what every answer has to do with.

pub(crate) mod asked;
pub(crate) mod context;
pub(crate) mod cursor;
pub(crate) mod gaps;
pub(crate) mod request;
pub(crate) mod sequences;
pub(crate) mod times;
