//! The sink: every event is a record with a key, acknowledged by all replicas that are in step.
//!
//! A batch is cut by partition, and each part goes to the leader of its partition; the answers are waited for together. A part that is there is not
//! sent again when another fails or the batch is halved; one of which nobody knows goes again under the numbers that it had, so that brokers know it (see
//! [`super::producer`]). What cannot be sent together is given back as too large, until what is refused is one event. Limits: one batch on the way
//! at a time; when a topic gets more partitions, or a producer is forgotten, the repeat of a batch that was under way may double it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};
use trail_engine::id::Timestamp;
use trail_engine::{Error, ErrorKind};

use crate::backend::Hands;
use crate::trails::setting::members::{Form, Member};
use crate::trails::sink::batch::{Batch, BatchLimits};
use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::http::address::Address;
use crate::trails::sink::http::members::{CA_FILE, TIMEOUT};
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::kafka::cluster::{Cluster, Seeds};
use crate::trails::sink::kafka::codes::{Said, said};
use crate::trails::sink::kafka::door::Access;
use crate::trails::sink::kafka::login::{Login, WORDS};
use crate::trails::sink::kafka::messages::{PRODUCE, produce, read_produced};
use crate::trails::sink::kafka::parting::{Arrived, Part, Parting};
use crate::trails::sink::kafka::producer::Producer;
use crate::trails::sink::kind::{Order, SinkKind};
use crate::trails::sink::seam::{Delivered, Refusal, Sink, Work};

/// The row for the table of sinks.
pub const KIND: SinkKind = SinkKind {
    name: "kafka",
    doc: "records of a Kafka topic",
    members: &[
        Member::new("brokers", Form::Text, "some brokers, with commas between them: b1.example.com:9092,b2.example.com:9092").required(),
        Member::new("topic", Form::Text, "the topic; it must exist").required(),
        Member::new(
            "key",
            Form::Choice(&["sequence", "id"]),
            "of records: trail, sequence and time of receipt, or the event's own id; default `sequence`",
        ),
        Member::new(
            "partition",
            Form::Integer(0, 1_000_000),
            "the partition of all events, which keeps the order of the whole trail; default by the key",
        ),
        Member::new("compression", Form::Choice(&["zstd", "gzip", "none"]), "of records; default `zstd`"),
        Member::new("idempotent", Form::Flag, "whether brokers are to know repeats by their numbers; default true"),
        Member::new("sasl", Form::Choice(WORDS), "how `user` and `password` are told; default no login"),
        Member::new("user", Form::Text, "the user, with `sasl` and `password`"),
        Member::new("password", Form::Secret, "of the user"),
        Member::new("tls", Form::Flag, "whether TLS is spoken; default false"),
        CA_FILE,
        TIMEOUT,
    ],
    batch: BatchLimits { events: 2_000, bytes: 900 << 10, delay: Duration::from_millis(200) },
    whole_segments: |_| false,
    make,
    by_url: None,
};

const PORT: u16 = 9_092;
const TIMEOUT_SECONDS: u64 = 60;
/// The longest that a broker may have us wait.
const THROTTLE_MAX_MS: u64 = 30_000;
/// The longest name of a topic.
const TOPIC_BYTES_MAX: usize = 249;

#[derive(Debug)]
struct Kafka {
    seeds: Seeds,
    form: Parting,
    idempotent: bool,
    place: String,
    patience: Duration,
    hands: Hands,
    kept: Mutex<Kept>,
}

/// What is known from one delivery to the next.
#[derive(Debug, Default)]
struct Kept {
    cluster: Option<Cluster>,
    producer: Option<Producer>,
    /// The only batch for which the producer may be used: it was kept before a crash.
    only_for: Option<u64>,
    arrived: Arrived,
    quiet_until: Option<Instant>,
}

fn make(order: &Order<'_>) -> Result<Box<dyn Sink>, String> {
    let members = &order.members;
    let topic = members.text("topic").unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if topic.len() > TOPIC_BYTES_MAX || !topic.bytes().all(plain) {
        return Err(format!("`topic` must be at most {TOPIC_BYTES_MAX} letters, digits, dots, underscores and hyphens"));
    }
    let list = members.text("brokers").unwrap_or_default();
    let place = format!("{list}/{topic}");
    let access =
        Access { trust: if members.flag("tls") { Some(Trust::new(members.text("ca_file"))?) } else { None }, login: Login::read(members)? };
    let producer = order.begun.and_then(|_| Producer::kept(order.state, &place));
    let only_for = order.begun.filter(|_| producer.is_some());
    Ok(Box::new(Kafka {
        seeds: Seeds { brokers: brokers(list)?, access, topic: topic.to_owned() },
        form: Parting::read(order.trail, members),
        idempotent: members.stated("idempotent").unwrap_or(true),
        place,
        patience: Duration::from_secs(members.number("timeout_seconds").unwrap_or(TIMEOUT_SECONDS)),
        hands: order.hands.clone(),
        kept: Mutex::new(Kept { producer, only_for, ..Kept::default() }),
    }))
}

fn brokers(list: &str) -> Result<Vec<(String, u16)>, String> {
    let one = |text: &str| {
        let address = Address::read("brokers", &format!("http://{text}")).ok().filter(|a| a.path.is_empty() && a.query.is_none())?;
        Some((address.host.clone(), if text.ends_with(&format!(":{}", address.port)) { address.port } else { PORT }))
    };
    let all = list.split(',').map(|text| one(text.trim())).collect::<Option<Vec<_>>>();
    all.ok_or_else(|| "`brokers` must be hosts and ports with commas between them, such as b1:9092,b2:9092".to_owned())
}

/// What is worse is told first: the rest is tried again anyway.
fn worse(fault: &Fault) -> u8 {
    match fault.kind {
        FaultKind::Setup => 3,
        FaultKind::Later => 2,
        FaultKind::TooLarge => 1,
        FaultKind::Refused => 0,
    }
}

impl Kafka {
    async fn deliver_all(&self, batch: &Batch) -> Result<Delivered, Fault> {
        let mut kept = self.kept.lock().await;
        if kept.arrived.number != batch.number {
            kept.arrived = Arrived { number: batch.number, ..Arrived::default() };
        }
        if kept.only_for.is_some_and(|number| number != batch.number) {
            (kept.producer, kept.only_for) = (None, None);
        }
        if let Some(moment) = kept.quiet_until.take() {
            sleep_until(moment).await;
        }
        // Taken out: whoever drops this in the middle of an answer drops the connections with it.
        if let Some(mut cluster) = kept.cluster.take() {
            match self.send(&mut cluster, &mut kept, batch).await {
                // It may have been closed while nothing was to be said, or others lead by now.
                Err(fault) if fault.kind == FaultKind::Later => {}
                sent => {
                    kept.cluster = sent.is_ok().then_some(cluster);
                    return sent;
                }
            }
        }
        let mut cluster = Cluster::open(&self.seeds).await?;
        let sent = self.send(&mut cluster, &mut kept, batch).await;
        kept.cluster = sent.is_ok().then_some(cluster);
        sent
    }

    /// Sends what is not there yet; again with another producer when the brokers do not know this one.
    async fn send(&self, cluster: &mut Cluster, kept: &mut Kept, batch: &Batch) -> Result<Delivered, Fault> {
        if let Some(sent) = self.send_once(cluster, kept, batch).await? {
            return Ok(sent);
        }
        tracing::warn!(
            place = self.place,
            first = batch.first.0,
            "the brokers do not know the producer any more: a repeat may double events"
        );
        (kept.producer, kept.only_for) = (None, None);
        let unknown = || Fault::later(format!("{} does not take the numbers of a new producer", self.place));
        self.send_once(cluster, kept, batch).await?.ok_or_else(unknown)
    }

    /// Sends what is not there yet; `None` when another producer must.
    async fn send_once(&self, cluster: &mut Cluster, kept: &mut Kept, batch: &Batch) -> Result<Option<Delivered>, Fault> {
        self.have_producer(cluster, kept).await?;
        let (copy, form, partitions) = (batch.clone(), self.form.clone(), cluster.partitions());
        let (arrived, producer) = (kept.arrived.clone(), kept.producer.clone());
        let parts = self
            .hands
            .compute
            .run(move || form.parts(&copy, partitions, &arrived, producer.as_ref()).map_err(|e| Error::new(ErrorKind::Io, e.to_string())));
        let parts = parts.await.map_err(|e| Fault::later(format!("a batch cannot be written now: {e}")))?;
        let (answers, silent) = self.exchange(cluster, kept, &parts).await;
        let mut delivered = Delivered { objects: parts.len() as u64, ..Delivered::default() };
        delivered.bytes = parts.iter().map(|part| part.records.len() as u64).sum();
        let (mut worst, mut renumber) = (silent, false);
        for part in &parts {
            match answers
                .get(&part.partition)
                .cloned()
                .unwrap_or_else(|| Said::Later(format!("no answer for partition {}", part.partition)))
            {
                Said::Done => {
                    kept.arrived.last.insert(part.partition, part.last);
                    kept.producer.iter_mut().for_each(|producer| producer.advance(part.partition, part.places.len()));
                }
                Said::Renumber => renumber = true,
                Said::Refused(reason) | Said::TooLarge(reason) => match part.places[..] {
                    [index] => delivered.refused.push(Refusal { index, reason }),
                    _ => worst = worst.or(Some(Fault::new(FaultKind::TooLarge, reason))),
                },
                said => {
                    let fault = said.fault().filter(|fault| worst.as_ref().is_none_or(|worst| worse(worst) < worse(fault)));
                    worst = fault.or(worst);
                }
            }
        }
        match worst {
            _ if renumber => Ok(None),
            Some(fault) => Err(fault),
            None => {
                delivered.state = kept.producer.as_ref().and_then(Producer::state);
                Ok(Some(delivered))
            }
        }
    }

    /// Sends each part to who leads its partition, and says what they said of each partition; and why some of them said nothing, while
    /// the others' answers count.
    async fn exchange(&self, cluster: &mut Cluster, kept: &mut Kept, parts: &[Part]) -> (BTreeMap<i32, Said>, Option<Fault>) {
        let mut by_leader: BTreeMap<i32, Vec<(i32, &[u8])>> = BTreeMap::new();
        let mut silent: Option<Fault> = None;
        for part in parts {
            match cluster.leader(part.partition) {
                Ok(leader) => by_leader.entry(leader).or_default().push((part.partition, &part.records)),
                Err(fault) => silent = Some(fault),
            }
        }
        let (access, topic, mut asked) = (&self.seeds.access, &self.seeds.topic, Vec::new());
        for (leader, parts) in &by_leader {
            let sent = async { cluster.session(*leader, access).await?.send(PRODUCE, &produce(topic, parts)).await };
            match sent.await {
                Ok(()) => asked.push(*leader),
                Err(fault) => silent = Some(fault),
            }
        }
        let mut answers = BTreeMap::new();
        for leader in asked {
            match self.answer(cluster, kept, leader).await {
                Ok(said) => answers.extend(said),
                Err(fault) => silent = Some(fault),
            }
        }
        (answers, silent)
    }

    /// What a broker says of each partition that was sent to it.
    async fn answer(&self, cluster: &mut Cluster, kept: &mut Kept, leader: i32) -> Result<Vec<(i32, Said)>, Fault> {
        let session = cluster.session(leader, &self.seeds.access).await?;
        let answer = session.receive().await?;
        let produced = read_produced(&answer).ok_or_else(|| session.strange(PRODUCE))?;
        let throttle = u64::try_from(produced.throttle_ms).unwrap_or(0).min(THROTTLE_MAX_MS);
        if throttle > 0 {
            kept.quiet_until = kept.quiet_until.max(Some(Instant::now() + Duration::from_millis(throttle)));
        }
        let said_of = |(partition, code)| (partition, said(code, session.place(), &self.seeds.topic));
        Ok(produced.codes.into_iter().map(said_of).collect())
    }

    /// Makes a producer where there is none; whether it did.
    async fn have_producer(&self, cluster: &mut Cluster, kept: &mut Kept) -> Result<bool, Fault> {
        if !self.idempotent || kept.producer.is_some() {
            return Ok(false);
        }
        let (id, epoch) = cluster.new_producer().await?;
        kept.producer = Some(Producer { id, epoch, place: self.place.clone(), next: BTreeMap::new() });
        Ok(true)
    }

    /// Makes a producer ahead of the first batch, so that it is kept before that is sent.
    async fn prepare(&self) -> Result<Delivered, Fault> {
        let mut kept = self.kept.lock().await;
        if kept.only_for.take().is_some() {
            kept.producer = None;
        }
        if !self.idempotent || kept.producer.is_some() {
            return Ok(Delivered::default());
        }
        let mut cluster = Cluster::open(&self.seeds).await?;
        self.have_producer(&mut cluster, &mut kept).await?;
        kept.cluster = Some(cluster);
        Ok(Delivered { state: kept.producer.as_ref().and_then(Producer::state), ..Delivered::default() })
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let late = || Fault::later(format!("{} did not acknowledge within {} s", self.place, self.patience.as_secs()));
        timeout(self.patience, work).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Sink for Kafka {
    fn names_batches(&self) -> bool {
        self.idempotent
    }

    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        Box::pin(self.within(self.deliver_all(batch)))
    }

    /// Logs in to every broker that leads a partition, asks whether we may write, and gets a producer's number; a record would stay in the topic.
    fn probe(&self) -> Work<'_, ()> {
        Box::pin(self.within(async {
            let mut cluster = Cluster::open(&self.seeds).await?;
            if let Some(partition) = self.form.partition {
                cluster.leader(partition)?;
            }
            cluster.reach_all(&self.seeds.access).await?;
            cluster.may_write(&self.seeds.topic).await?;
            if self.idempotent {
                cluster.new_producer().await?;
            }
            Ok(())
        }))
    }

    fn upkeep(&self, _now: Timestamp) -> Work<'_, Delivered> {
        Box::pin(self.within(self.prepare()))
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
