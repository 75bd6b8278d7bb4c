//! What is known of every document besides its values, one component each: sequence, time, receive time, and event id.
//!
//! All but [`event_ids`] are arrays in the order of documents, cut into runs that are packed apart ([`groups`]).

pub(crate) mod event_ids;
pub(crate) mod groups;
pub(crate) mod received;
pub(crate) mod sequences;
pub(crate) mod timestamps;
