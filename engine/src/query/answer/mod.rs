//! The answers: [`page`], [`count`], [`terms`], [`histogram`], [`tail`] and [`lookup`]; [`fetch`] and [`top`] serve several.

pub(crate) mod count;
pub(crate) mod fetch;
pub(crate) mod histogram;
pub(crate) mod lookup;
pub(crate) mod page;
pub(crate) mod tail;
pub(crate) mod terms;
pub(crate) mod top;
