//! From a batch to an acknowledgement: [`commit`] is the one writer, [`duplicates`] finds what is stored already.

pub(crate) mod commit;
pub(crate) mod duplicates;
