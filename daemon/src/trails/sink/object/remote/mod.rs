//! Buckets and containers, through opendal: [`bucket`], objects under names; [`transport`], the HTTP that carries them, over connections of [`dial`]; [`blame`], what a
//! store's refusal means for the operator; [`opening`], what all kinds of buckets share.

pub mod blame;
pub mod bucket;
pub mod dial;
pub mod opening;
pub mod transport;
