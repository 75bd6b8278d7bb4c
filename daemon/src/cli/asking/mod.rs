//! How a server is asked: where it is ([`connection`]), the requests ([`client`]), and which events a question is about
//! ([`selection`]).

pub mod client;
pub mod connection;
pub mod selection;
