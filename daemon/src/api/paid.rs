//! Bytes of an answer that hold what was paid for them until the client has taken them.
//!
//! Problem: an answer lives longer than the question that made it: a client that reads slowly keeps it in memory. Mechanism: the
//! reservation is owned by the bytes themselves, and comes back to the budget when the connection has written them or ended. Limits:
//! a copy that is being made of an event while its piece is written is not counted.

use bytes::Bytes;

/// `bytes` that keep `paid` until the last of them is dropped.
#[must_use]
pub fn paid_bytes<P: Send + 'static>(bytes: Vec<u8>, paid: P) -> Bytes {
    Bytes::from_owner(Owned { bytes, _paid: paid })
}

struct Owned<P> {
    bytes: Vec<u8>,
    _paid: P,
}

impl<P> AsRef<[u8]> for Owned<P> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ByteBudget;

    #[test]
    fn the_budget_gets_back_what_the_last_piece_held() {
        let budget = ByteBudget::new("answers", 10 << 10);
        let mut paid = budget.reservation();
        paid.grow(2 << 10).unwrap();
        let mut bytes = paid_bytes(vec![7; 2_048], paid);
        let first = bytes.split_to(1_000);
        drop(bytes);
        assert_eq!(budget.reserved_bytes(), 2 << 10);
        assert_eq!(first.len(), 1_000);
        drop(first);
        assert_eq!(budget.reserved_bytes(), 0);
    }
}
