//! Whether a stream takes what is published, found out without a message that stays in it.
//!
//! Problem: readers of a stream take every message in it for an event. Mechanism: an empty message is published that asks for a stream of a name that none has:
//! the stream that takes the subject refuses it, and says its own name in doing so. Then that stream is asked for how long it knows repeats, which must be
//! long enough for an attempt that fails and the one after it. Limits: who listens to the subject itself sees the empty message; who may not ask for
//! streams is not told how long one knows repeats.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use crate::trails::sink::fault::Fault;
use crate::trails::sink::nats::protocol::{Ack, Said, ask, knock};
use crate::trails::sink::nats::session::{Session, no_stream, refused, unheard};

/// JetStream's number for a message that asks for another stream.
const OTHER_STREAM: u32 = 10_060;
/// How long to wait for what a stream says of itself: a server may keep such questions from us without a word.
const ASKING_MAX: Duration = Duration::from_secs(5);
/// So many attempts must lie within the time for which a stream knows repeats.
const ATTEMPTS: u32 = 2;

/// What a stream says of itself, of which this is needed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct About {
    config: Settings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    /// In nanoseconds.
    duplicate_window: Option<u64>,
}

/// Finds out whether messages on a subject are stored, and repeats of attempts that take up to `patience` known.
///
/// # Errors
/// With what must be mended.
pub async fn probe(session: &mut Session, place: &str, subject: &str, patience: Duration) -> Result<(), Fault> {
    let stream = taker(session, place, subject).await?;
    let window = timeout(ASKING_MAX, window(session, place, &stream)).await.ok().flatten();
    let needed = patience.saturating_mul(ATTEMPTS);
    match window.filter(|window| *window < needed) {
        None => Ok(()),
        Some(window) => Err(Fault::setup(format!(
            "the stream {stream} of {place} knows repeats for {} s only: set its `duplicate_window` to {} s at least, which is twice \
             `timeout_seconds`",
            window.as_secs_f64(),
            needed.as_secs()
        ))),
    }
}

/// The name of the stream that takes a subject.
async fn taker(session: &mut Session, place: &str, subject: &str) -> Result<String, Fault> {
    let (reply, mut asked) = (format!("{}.probe", session.inbox), Vec::new());
    // The name of the inbox is random.
    knock(subject, &reply, &session.inbox.replace('.', "-"), &mut asked);
    session.write(place, &asked).await?;
    let (status, body) = answer(session, place, &reply).await?;
    if status == Some(503) {
        return Err(unheard(place, subject));
    }
    let Ok(Ack { error, stream: Some(stream) }) = serde_json::from_slice::<Ack>(&body) else { return Err(no_stream(place, subject)) };
    match error {
        Some(error) if error.err_code == OTHER_STREAM => Ok(stream),
        Some(error) => Err(refused(place, &format!("{} ({})", error.description, error.err_code))),
        None => Err(Fault::setup(format!("the stream {stream} of {place} takes messages that are for another: its server is too old"))),
    }
}

/// For how long a stream knows repeats; `None` when it is not told.
async fn window(session: &mut Session, place: &str, stream: &str) -> Option<Duration> {
    let (reply, mut asked) = (format!("{}.about", session.inbox), Vec::new());
    ask(&format!("$JS.API.STREAM.INFO.{stream}"), &reply, &mut asked);
    session.write(place, &asked).await.ok()?;
    let (_, body) = answer(session, place, &reply).await.ok()?;
    serde_json::from_slice::<About>(&body).ok()?.config.duplicate_window.map(Duration::from_nanos)
}

/// The status and the body of what comes to a reply.
async fn answer(session: &mut Session, place: &str, reply: &str) -> Result<(Option<u16>, Vec<u8>), Fault> {
    loop {
        match session.next(place).await? {
            Said::Message(subject, status, body) if subject == reply => return Ok((status, body)),
            Said::Error(error) => return Err(refused(place, &error)),
            Said::Message(..) | Said::Info(_) | Said::Ping | Said::Pong | Said::Fine => {}
        }
    }
}
