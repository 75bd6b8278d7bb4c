//! What the targets share.
//!
//! [`files`] is a log on given files; [`reference`] is what `serde_json` says of an event and a body, and [`terms`] which terms such an event must
//! give. The rest are sources of the server, taken in by their paths: they parse bytes from outside and need little, and the whole server would
//! have to be built for the targets else.

pub mod files;
pub mod reference;
pub mod terms;

/// Bugs on purpose, about which these sources ask: here is none.
mod mutants {
    pub(crate) const fn is(_name: &str) -> bool {
        false
    }
}

/// Bodies of requests.
#[path = "../../daemon/src/api"]
pub mod api {
    pub mod encoding;
    pub mod split;
}

/// The budgets that bodies are paid from.
#[path = "../../daemon/src/backend"]
pub mod backend {
    mod budget;
    mod line;

    pub use budget::{ByteBudget, Reservation};
}

/// What is said by those to whom events are delivered.
#[path = "../../daemon/src/trails"]
pub mod trails {
    pub mod sink {
        pub mod kafka {
            pub mod frame;
            pub mod messages;
            pub mod wire;
        }
        pub mod nats {
            pub mod protocol;
        }
        pub mod protobuf;
    }
}

/// Files that are imported.
#[path = "../../daemon/src/cli"]
pub mod cli {
    pub mod import {
        mod form;
        mod lines;
        pub mod piece;
        pub mod pieces;
        pub mod scan;
        mod splitter;
        mod window;
    }
}

/// The value of a future that waits for nothing but bytes that are there.
///
/// # Panics
/// When it waits.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}
