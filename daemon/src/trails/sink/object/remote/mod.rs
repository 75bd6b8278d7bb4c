//! Buckets and containers, through opendal: [`bucket`], objects under names; [`ways`], what one is spoken to with; [`trials`], what a store is tried for before it is believed;
//! [`transport`], the HTTP that carries all, over connections of [`dial`], and [`signing`], what it signs with; [`asked`], how long a busy store wants to be left alone; [`blame`], what its refusal means for the operator;
//! [`opening`], what all kinds of buckets share.

pub mod asked;
pub mod blame;
pub mod bucket;
pub mod dial;
pub mod opening;
pub mod signing;
pub mod transport;
pub mod trials;
pub mod ways;
