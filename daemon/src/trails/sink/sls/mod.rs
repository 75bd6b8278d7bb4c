//! `sls`: a logstore of Alibaba Cloud's Log Service (SLS).
//!
//! [`sink`] posts log groups, [`group`] writes and packs them, [`signature`] signs requests in both ways that there are.

pub mod group;
pub mod signature;
pub mod sink;
