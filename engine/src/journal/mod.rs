//! The journal: what makes an acknowledged event durable before any segment holds it.
//!
//! **Problem.** A batch may be acknowledged only once it is on stable storage, and after a crash exactly the acknowledged batches
//! must come back, whatever the crash left behind them.
//!
//! **Mechanism.** Batches become a [`Payload`] on their callers' threads. One [`JournalWriter`] gives them sequences, writes each
//! as a frame behind a checksummed header, and syncs once for a whole group. Files are preallocated and recycled; each frame names
//! the file's id, so that frames left over from a file's former life are never taken for live ones. [`mod@replay`] reads everything
//! back, in order, while other threads unfold what comes next ([`mod@ahead`]).
//!
//! **What tells a torn tail from damage.** Every frame and every file header says up to which sequence the log was durable when it
//! was written. Bytes that cannot be read are a torn tail (never acknowledged, dropped) only if nothing proves that their sequences
//! had been durable; otherwise they are reported as [`Damage`](outcome::Damage) with the sequences that are lost.
//!
//! **What tells a lost end.** A file's header says how long the file was made; only a close makes it shorter, behind its mark. The catalog names
//! the newest file. So a last file that was cut or is gone is [`Damage`](outcome::Damage) too.
//!
//! **Limits.** One batch is one frame ([`crate::limits::BATCH_EVENTS_MAX`], [`crate::limits::BATCH_BYTES_MAX`]). After a crash, wrong
//! bytes in the group that was synced last cannot be told from a torn tail: nothing was written later that could prove it. Recovery always
//! goes on in a new file. The bytes are described in `FORMAT.md`.

mod ahead;
mod file_header;
mod files;
mod frame;
mod listing;
mod name;
mod numbered;
mod outcome;
mod payload;
mod replay;
mod settle;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use ahead::Reach;
pub(crate) use files::JournalSettings;
#[cfg(feature = "fuzzing")]
pub(crate) use frame::read_anything;
pub(crate) use outcome::{Replay, ReplayedFrame};
#[cfg(feature = "fuzzing")]
pub(crate) use payload::Codec;
pub(crate) use payload::Payload;
pub(crate) use replay::{replay, replay_ahead};
pub(crate) use writer::{GroupEntry, JournalWriter};
