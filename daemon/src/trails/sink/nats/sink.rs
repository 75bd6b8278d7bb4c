//! The sink: every event is a message with an id, acknowledged by the stream.
//!
//! A batch is published in windows: so many messages at once, then their acknowledgements. `Nats-Msg-Id` is trail, sequence and time of receipt: a stream that
//! has had it within its `duplicate_window` (two minutes unless it says otherwise) acknowledges a repeat and stores it once. So a batch can be sent again
//! as a whole. Limits: a repeat after the window is stored twice; no NKEYs and no credential files; one server, not a list.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;
use trail_engine::index::StoredEvent;

use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::batch::{Batch, BatchLimits};
use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::members::{CA_FILE, TIMEOUT};
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::http::verdict::clip;
use crate::trails::sink::kind::{Order, SinkKind};
use crate::trails::sink::nats::probe::probe;
use crate::trails::sink::nats::protocol::{Ack, Said, publish};
use crate::trails::sink::nats::session::{Login, Session, no_stream, refused, unheard};
use crate::trails::sink::seam::{Delivered, Refusal, Sink, Work};

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "nats",
    doc: "messages of a NATS JetStream stream",
    members: &[
        Member::new("url", Form::Text, "the server: nats:// or, for TLS, tls://, a host, and a port if it is not 4222").required(),
        Member::new("subject", Form::Text, "the subject, which a stream must take").required(),
        Member::new("user", Form::Text, "the user, with `password`"),
        Member::new("password", Form::Secret, "of the user"),
        Member::new("token", Form::Secret, "a token, in place of user and password"),
        CA_FILE,
        TIMEOUT,
    ],
    batch: BatchLimits { events: 2_000, bytes: 4 << 20, delay: Duration::from_millis(200) },
    whole_segments: |_| false,
    make,
    by_url: None,
};

/// How many messages are on the way at once.
const WINDOW: usize = 256;
const PORT: u16 = 4_222;
const TIMEOUT_SECONDS: u64 = 60;
/// Codes of JetStream: the message is larger than the stream takes.
const TOO_LARGE: u32 = 10_054;

#[derive(Debug)]
struct Nats {
    address: Address,
    trust: Option<Trust>,
    login: Login,
    subject: String,
    trail: String,
    patience: Duration,
    kept: Mutex<Option<Session>>,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    let members = &order.members;
    let (address, tls) = address(members.text("url").unwrap_or_default())?;
    let subject = members.text("subject").unwrap_or_default();
    let is_token = |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'*' | b'>'));
    if !subject.split('.').all(is_token) {
        return Err("`subject` must be words with dots between them, without wildcards".into());
    }
    Ok(Box::new(Nats {
        address,
        trust: if tls { Some(Trust::new(members.text("ca_file"))?) } else { None },
        login: login(members)?,
        subject: subject.to_owned(),
        trail: order.trail.to_owned(),
        patience: Duration::from_secs(members.number("timeout_seconds").unwrap_or(TIMEOUT_SECONDS)),
        kept: Mutex::default(),
    }))
}

fn address(url: &str) -> Result<(Address, bool), String> {
    let wrong = || "`url` must be nats:// or tls://, a host, and a port if it is not 4222".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let tls = match scheme {
        "nats" => false,
        "tls" => true,
        _ => return Err(wrong()),
    };
    let mut address = Address::read("url", &format!("http://{rest}"))?;
    if !address.path.is_empty() || address.query.is_some() {
        return Err(wrong());
    }
    if !rest.trim_end_matches('/').ends_with(&format!(":{}", address.port)) {
        address.port = PORT;
    }
    Ok((address, tls))
}

fn login(members: &Members<'_>) -> Result<Login, String> {
    match (members.text("user"), members.secret("password")?, members.secret("token")?) {
        (None, None, None) => Ok(Login::None),
        (Some(user), Some(password), None) => Ok(Login::User(user.to_owned(), password)),
        (None, None, Some(token)) => Ok(Login::Token(token)),
        _ => Err("either `user` and `password`, or `token` alone".into()),
    }
}

impl Nats {
    fn id(&self, event: &StoredEvent) -> String {
        format!("{}-{}-{}", self.trail, event.sequence, event.received_at.as_millis())
    }

    async fn publish_all(&self, batch: &Batch) -> Result<Delivered, Fault> {
        // Taken out: whoever drops this in the middle of a message drops the connection with it.
        let kept = self.kept.lock().await.take();
        let had_one = kept.is_some();
        let mut session = match kept {
            Some(session) => session,
            None => self.open().await?,
        };
        let mut delivered = self.publish_in(&mut session, batch).await;
        if had_one && matches!(&delivered, Err(fault) if fault.kind == FaultKind::Later) {
            // It may have been closed while nothing was to be said.
            session = self.open().await?;
            delivered = self.publish_in(&mut session, batch).await;
        }
        if delivered.is_ok() {
            *self.kept.lock().await = Some(session);
        }
        delivered
    }

    async fn open(&self) -> Result<Session, Fault> {
        Session::open(&self.address, self.trust.as_ref(), &self.login).await
    }

    async fn publish_in(&self, session: &mut Session, batch: &Batch) -> Result<Delivered, Fault> {
        let (mut delivered, mut out) = (Delivered::default(), Vec::new());
        let place = self.address.authority();
        let inbox = session.inbox.clone();
        for (window, events) in (0..).zip(batch.events.chunks(WINDOW)) {
            out.clear();
            let mut waiting = vec![false; events.len()];
            for (i, (event, waits)) in events.iter().zip(&mut waiting).enumerate() {
                let (index, id) = (window * WINDOW + i, self.id(event));
                let room = session.info.max_payload.saturating_sub(id.len() as u64 + 64);
                if event.text.len() as u64 > room {
                    let reason = format!("{place} takes messages of {} bytes at most", session.info.max_payload);
                    delivered.refused.push(Refusal { index, reason });
                    continue;
                }
                publish(&self.subject, &format!("{inbox}.{index}"), &id, &event.text, &mut out);
                *waits = true;
            }
            session.write(&place, &out).await?;
            delivered.bytes += out.len() as u64;
            delivered.objects += waiting.iter().filter(|waits| **waits).count() as u64;
            self.await_acks(session, window * WINDOW, &mut waiting, &mut delivered.refused).await?;
        }
        Ok(delivered)
    }

    async fn await_acks(
        &self,
        session: &mut Session,
        first: usize,
        waiting: &mut [bool],
        refused_by: &mut Vec<Refusal>,
    ) -> Result<(), Fault> {
        let place = self.address.authority();
        while waiting.contains(&true) {
            let (subject, status, body) = match session.next(&place).await? {
                Said::Message(subject, status, body) => (subject, status, body),
                Said::Error(error) => return Err(refused(&place, &error)),
                Said::Info(_) | Said::Ping | Said::Pong | Said::Fine => continue,
            };
            let index = subject.rsplit('.').next().and_then(|number| number.parse::<usize>().ok());
            let Some((index, waits)) = index.and_then(|index| Some((index, waiting.get_mut(index.checked_sub(first)?)?))) else { continue };
            if status == Some(503) {
                return Err(unheard(&place, &self.subject));
            }
            let ack: Ack = serde_json::from_slice(&body).map_err(|_| Fault::later(format!("{place} acknowledged in an unknown way")))?;
            match ack.error {
                None if ack.stream.is_some() => {}
                None => return Err(no_stream(&place, &self.subject)),
                Some(error) if error.err_code == TOO_LARGE => {
                    refused_by.push(Refusal { index, reason: format!("{place} says: {}", clip(&error.description)) });
                }
                Some(error) => return Err(refused(&place, &format!("{} ({})", error.description, error.err_code))),
            }
            *waits = false;
        }
        Ok(())
    }
}

impl Sink for Nats {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(async move {
            let late = || Fault::later(format!("{} did not acknowledge within {} s", self.address.authority(), self.patience.as_secs()));
            timeout(self.patience, self.publish_all(batch)).await.unwrap_or_else(|_| Err(late()))
        })
    }

    /// Asks the stream that takes the subject, by a message that it refuses.
    fn probe(&self) -> Work<'_, ()> {
        Box::pin(async move {
            let place = self.address.authority();
            let late = || Fault::later(format!("{place} did not answer within {} s", self.patience.as_secs()));
            let probed = async { probe(&mut self.open().await?, &place, &self.subject, self.patience).await };
            timeout(self.patience, probed).await.unwrap_or_else(|_| Err(late()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let read = |url| address(url).map(|(address, tls)| (address.host, address.port, tls));
        assert_eq!(read("nats://127.0.0.1"), Ok(("127.0.0.1".into(), 4_222, false)));
        assert_eq!(read("tls://n.example.com:80/"), Ok(("n.example.com".into(), 80, true)));
        for wrong in ["127.0.0.1:4222", "http://h", "nats://u:p@h", "nats://h/x", "nats://"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
