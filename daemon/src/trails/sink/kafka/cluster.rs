//! [`Cluster`]: who leads which partition of the topic, and a session with each broker that does.
//!
//! One broker of the list is asked; the others are found by what it says. Their addresses are looked at like those of the list: a cluster
//! cannot lead us to where no sink may go. Whoever finds that something has changed opens another one.

use std::collections::BTreeMap;

use crate::trails::sink::fault::{Fault, FaultKind};
use crate::trails::sink::kafka::codes::{Said, said};
use crate::trails::sink::kafka::door::Access;
use crate::trails::sink::kafka::messages::{
    INIT_PRODUCER_ID, METADATA, Metadata, RIGHTS, init_producer, metadata, read_metadata, read_producer, read_rights, rights,
};
use crate::trails::sink::kafka::session::Session;

/// The rights to write to a topic, and to ask about it.
const WRITE: i32 = 1 << 4;
const DESCRIBE: i32 = 1 << 8;

/// Where a cluster is.
#[derive(Debug, Clone)]
pub struct Seeds {
    /// Host and port of some of its brokers.
    pub brokers: Vec<(String, u16)>,
    /// How they are reached.
    pub access: Access,
    /// The topic.
    pub topic: String,
}

/// Who leads what, now.
#[derive(Debug)]
pub struct Cluster {
    known: Metadata,
    sessions: BTreeMap<i32, Session>,
    /// With whoever of the list was asked.
    first: Session,
}

impl Cluster {
    /// Asks the first broker of the list that answers.
    ///
    /// # Errors
    /// What the last of them said, or the first that an operator must do something about; when the topic is not there.
    pub async fn open(seeds: &Seeds) -> Result<Cluster, Fault> {
        let mut told: Option<Fault> = None;
        for (host, port) in &seeds.brokers {
            match Cluster::ask(seeds, host, *port).await {
                Ok(cluster) => return Ok(cluster),
                Err(fault) if told.as_ref().is_none_or(|told| told.kind == FaultKind::Later) => told = Some(fault),
                Err(_) => {}
            }
        }
        Err(told.unwrap_or_else(|| Fault::setup("`brokers` is empty")))
    }

    async fn ask(seeds: &Seeds, host: &str, port: u16) -> Result<Cluster, Fault> {
        let mut first = seeds.access.open(host, port).await?;
        let answer = first.ask(METADATA, &metadata(&seeds.topic)).await?;
        let known = read_metadata(&answer).ok_or_else(|| first.strange(METADATA))?;
        if let Some(fault) = said(known.code, first.place(), &seeds.topic).fault() {
            return Err(fault);
        }
        if known.leaders.is_empty() {
            return Err(Fault::later(format!("{} knows no partition of the topic {}", first.place(), seeds.topic)));
        }
        Ok(Cluster { known, sessions: BTreeMap::new(), first })
    }

    /// How many partitions the topic has.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.known.leaders.len()
    }

    /// Who leads a partition.
    ///
    /// # Errors
    /// When nobody does, or there is no such partition.
    pub fn leader(&self, partition: i32) -> Result<i32, Fault> {
        match self.known.leaders.get(&partition) {
            Some(leader) if *leader >= 0 => Ok(*leader),
            Some(_) => Err(Fault::later(format!("partition {partition} has no leader now"))),
            None => Err(Fault::setup(format!("the topic has no partition {partition}: mend `partition`"))),
        }
    }

    /// The session with a broker.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn session(&mut self, broker: i32, access: &Access) -> Result<&mut Session, Fault> {
        if !self.sessions.contains_key(&broker) {
            let place = self.known.brokers.get(&broker);
            let (host, port) =
                place.ok_or_else(|| Fault::later(format!("the cluster does not say where broker {broker} is, which leads a partition")))?;
            let told = |fault: Fault| Fault { message: format!("broker {broker} of the cluster: {}", fault.message), ..fault };
            let session = access.open(host, *port).await.map_err(told)?;
            self.sessions.insert(broker, session);
        }
        self.sessions.get_mut(&broker).ok_or_else(|| Fault::later("a session is not there"))
    }

    /// Lets everybody who leads a partition let us in.
    ///
    /// # Errors
    /// When one cannot be reached, or a partition has no leader.
    pub async fn reach_all(&mut self, access: &Access) -> Result<(), Fault> {
        let partitions: Vec<i32> = self.known.leaders.keys().copied().collect();
        for partition in partitions {
            let leader = self.leader(partition)?;
            self.session(leader, access).await?;
        }
        Ok(())
    }

    /// Whether we may write to the topic, as far as the cluster says so.
    ///
    /// # Errors
    /// When we may not, or it cannot be asked.
    pub async fn may_write(&mut self, topic: &str) -> Result<(), Fault> {
        if !self.first.knows(RIGHTS) {
            return Ok(());
        }
        let answer = self.first.ask(RIGHTS, &rights(topic)).await?;
        let (code, rights) = read_rights(&answer).ok_or_else(|| self.first.strange(RIGHTS))?;
        match said(code, self.first.place(), topic).fault() {
            Some(fault) => Err(fault),
            // Who may be asked says of itself that it may: else nothing was said of rights.
            None if rights & DESCRIBE != 0 && rights & WRITE == 0 => {
                Err(Fault::setup(format!("{} lets us see the topic {topic} and not write to it: allow the user to", self.first.place())))
            }
            None => Ok(()),
        }
    }

    /// A new producer: its number and generation.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn new_producer(&mut self) -> Result<(i64, i16), Fault> {
        let answer = self.first.ask(INIT_PRODUCER_ID, &init_producer()).await?;
        let (code, id, epoch) = read_producer(&answer).ok_or_else(|| self.first.strange(INIT_PRODUCER_ID))?;
        match said(code, self.first.place(), "") {
            Said::Done => Ok((id, epoch)),
            said => Err(said.fault().unwrap_or_else(|| Fault::later("no producer"))),
        }
    }
}
