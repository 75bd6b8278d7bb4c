//! The way of events from inputs to a target: one reader, two batches on their way, nothing unbounded between them.
//!
//! The reader cuts events out and validates them, so that a rejected event is named with its place in the file. Two
//! batches are in flight because the server syncs one while the next is sent. After Ctrl-C the reader stops, batches on their
//! way arrive, and the report is true.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::IgnoredAny;
use trail_engine::limits::EVENT_BYTES_MAX;
use trail_engine::threads;

use super::batch::{Batch, Origin};
use super::piece::{Piece, Place};
use super::pieces::Pieces;
use super::report::{Report, Stored};
use super::source::{Content, Input, Stream, open};
use crate::cli::exit::Failure;
use crate::cli::terminal::interrupt::interrupted;
use crate::cli::terminal::progress::Progress;
use crate::cli::terminal::text::printable;

/// Batches on their way at once.
const SENDERS: usize = 2;

/// Where events go. Called from several threads.
pub trait Target: Send + Sync {
    /// Stores a batch; on return its accepted events are durable.
    ///
    /// # Errors
    /// When nothing more can be stored.
    fn store(&self, batch: &Batch, progress: &Progress) -> Result<Stored, Failure>;

    /// Called once, behind the last batch.
    ///
    /// # Errors
    /// When the target cannot be left in order.
    fn finish(&self, progress: &Progress) -> Result<(), Failure>;
}

/// What the reader and the senders share.
struct Shared {
    target: Box<dyn Target>,
    progress: Arc<Progress>,
    report: Mutex<Report>,
    failure: Mutex<Option<Failure>>,
    stopped: AtomicBool,
}

impl Shared {
    fn stops(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || interrupted()
    }

    fn with_report<T>(&self, work: impl FnOnce(&mut Report) -> T) -> T {
        work(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn reject(&self, origin: &Origin, code: &str, message: &str) {
        self.with_report(|report| report.rejected(origin, code, message, &self.progress));
    }

    fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Imports inputs; gives the report, and the failure that ended it early, if one did.
///
/// # Errors
/// When no threads can be started.
pub fn run(
    inputs: &[Input],
    target: Box<dyn Target>,
    report: Report,
    progress: &Arc<Progress>,
) -> Result<(Report, Option<Failure>), Failure> {
    let shared = Arc::new(Shared {
        target,
        progress: progress.clone(),
        report: Mutex::new(report),
        failure: Mutex::new(None),
        stopped: AtomicBool::new(false),
    });
    let (sender, receiver) = sync_channel::<Batch>(1);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut senders = Vec::new();
    for n in 0..SENDERS {
        let (shared, receiver) = (shared.clone(), receiver.clone());
        senders.push(threads::spawn(&format!("import-{n}"), move || send_all(&shared, &receiver))?);
    }
    let mut reader = Reader { shared: &shared, sender, batch: Batch::default() };
    for input in inputs {
        if shared.stops() {
            break;
        }
        reader.read(input);
    }
    reader.hand_over();
    drop(reader);
    for sender in senders {
        if sender.join().is_err() {
            shared.fail(Failure::usage("a sending thread ended in the middle of its work"));
        }
    }
    if let Err(failure) = shared.target.finish(progress) {
        shared.fail(failure);
    }
    let failure = shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok((shared.with_report(std::mem::take), failure))
}

fn send_all(shared: &Shared, receiver: &Mutex<Receiver<Batch>>) {
    loop {
        // The lock is held while waiting: whoever has it takes the next batch.
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = next else { return };
        if shared.stopped.load(Ordering::Relaxed) {
            continue;
        }
        match shared.target.store(&batch, &shared.progress) {
            Ok(stored) => account(shared, &batch, &stored),
            Err(failure) => shared.fail(failure),
        }
    }
}

fn account(shared: &Shared, batch: &Batch, stored: &Stored) {
    shared.with_report(|report| report.stored(stored));
    for rejected in &stored.rejected {
        if let Some(origin) = batch.origin(rejected.index) {
            shared.reject(origin, &rejected.code, &rejected.message);
        }
    }
    shared.progress.stored(stored.accepted + stored.duplicates);
}

struct Reader<'s> {
    shared: &'s Shared,
    sender: SyncSender<Batch>,
    batch: Batch,
}

impl Reader<'_> {
    /// Reads one input; trouble with it is reported and does not end the import.
    fn read(&mut self, input: &Input) {
        let (code, place, message) = match open(input, &self.shared.progress) {
            Ok(Content::Empty) => return,
            Ok(Content::Prose(_)) if input.found => {
                return self.shared.progress.say(&printable(&format!("passed over: {}: it has no JSON", input.name)));
            }
            Ok(Content::Foreign(what)) => ("not_json", Place::START, format!("the file is passed over: {what}")),
            Err(e) => ("unreadable", Place::START, format!("cannot read the file: {e}")),
            Ok(Content::Text(stream) | Content::Prose(stream)) => match self.read_text(stream, input) {
                Ok(()) => return,
                Err((place, e)) => ("unreadable", place, format!("cannot read on: {e}")),
            },
        };
        self.shared.reject(&Origin { input: input.name.clone(), place }, code, &message);
    }

    /// Reads the events of a text; where it ends when it cannot be read on.
    fn read_text(&mut self, stream: Stream, input: &Input) -> Result<(), (Place, io::Error)> {
        let mut pieces = Pieces::of(stream, EVENT_BYTES_MAX).map_err(|e| (Place::START, e))?;
        self.read_pieces(&mut pieces, input).map_err(|e| (pieces.place(), e))
    }

    fn read_pieces<R: io::Read>(&mut self, pieces: &mut Pieces<R>, input: &Input) -> io::Result<()> {
        while !self.shared.stops() {
            let Some(piece) = pieces.next_piece()? else { return Ok(()) };
            match piece {
                Piece::Element { bytes, place } => {
                    let origin = Origin { input: input.name.clone(), place };
                    match check(bytes) {
                        Ok(()) => self.push(bytes, origin),
                        Err((code, message)) => self.shared.reject(&origin, code, &message),
                    }
                }
                Piece::Broken { place, until, fault } => {
                    let origin = Origin { input: input.name.clone(), place };
                    let passed =
                        if until.line > place.line + 1 { format!("; reading goes on at line {}", until.line) } else { String::new() };
                    self.shared.reject(&origin, fault.code(), &format!("{fault}{passed}"));
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, event: &[u8], origin: Origin) {
        self.batch.push(event, origin);
        if self.batch.is_full() {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() && self.sender.send(batch).is_err() {
            self.shared.fail(Failure::usage("the sending threads are gone"));
        }
    }
}

/// Whether bytes are one JSON object in UTF-8; else the class and the reason.
fn check(bytes: &[u8]) -> Result<(), (&'static str, String)> {
    if let Err(e) = std::str::from_utf8(bytes) {
        return Err(("invalid_utf8", format!("not UTF-8 at byte {} of the event", e.valid_up_to())));
    }
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    if let Some(Err(e)) = values.next() {
        return Err(("invalid_json", where_it_breaks(&e)));
    }
    match bytes.first() {
        Some(b'{') if values.byte_offset() < bytes.len() => {
            Err(("invalid_json", format!("there is more on the line behind the object, at byte {} of the event", values.byte_offset())))
        }
        Some(b'{') => Ok(()),
        _ => Err(("not_an_object", "an event must be a JSON object".into())),
    }
}

/// What a parser says, with its place: most events are one line, where the column says it all.
fn where_it_breaks(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let what = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let what = what.replacen("EOF while parsing", "it ends inside of", 1);
    let place = if line > 1 { format!("line {line}, column {column}") } else { format!("column {column}") };
    format!("{what} at {place} of the event")
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
