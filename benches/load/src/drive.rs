//! [`Drive`]: one thread that keeps all connections busy.
//!
//! A body is made new while the one before is under way, so that an answer is followed by the next request at once.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use trail_rig::{Answer, Result, now};

use crate::arguments::Arguments;
use crate::bodies::Bodies;
use crate::link::{Link, Step};
use crate::progress::Progress;
use crate::protocol::Protocol;
use crate::schedule::{Claim, Request, Schedule};
use crate::tally::Tally;
use crate::waiting::{Ready, Waiting};

/// How long the end of being told to wait is awaited, and twice that an answer.
const PATIENCE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_secs(1);
const BUFFER_BYTES: usize = 256 << 10;

/// A run under way.
pub(crate) struct Drive {
    address: SocketAddr,
    protocol: Protocol,
    open_loop: bool,
    /// The head of every request, up to the number of bytes.
    head: String,
    links: Vec<Link>,
    /// Connections with nothing to do, longest first.
    idle: VecDeque<usize>,
    /// Connections that were told to wait, and until when.
    resting: Vec<(Instant, usize)>,
    waiting: Waiting,
    schedule: Schedule,
    tally: Tally,
    buffer: Vec<u8>,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) tally: Tally,
    /// From the first request that counts to the last answer.
    pub(crate) time: Duration,
}

impl Drive {
    /// Makes the bodies and opens the connections; `target` is the path.
    pub(crate) fn new(arguments: &Arguments, address: SocketAddr, host: &str, target: &str) -> Result<Drive> {
        let (waiting, mut links) = (Waiting::new()?, Vec::new());
        let mut schedule = Schedule::new(arguments.batch, arguments.warm_up, arguments.limit, arguments.rate, now());
        for (number, mut bodies) in Bodies::of_all(arguments)?.into_iter().enumerate() {
            bodies.prepare(|| schedule.part(now()));
            let link = Link::open(address, bodies)?;
            waiting.watch(link.stream(), number)?;
            links.push(link);
        }
        schedule.begin(now());
        let headers = &arguments.headers;
        let head = format!("POST {target} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-ndjson\r\n{headers}content-length: ");
        Ok(Drive {
            address,
            protocol: arguments.protocol,
            open_loop: arguments.rate.is_some(),
            head,
            idle: (0..links.len()).collect(),
            links,
            resting: Vec::new(),
            waiting,
            schedule,
            tally: Tally::new()?,
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// When no connection can be made any more; whatever a server answers is counted instead.
    pub(crate) fn run(mut self, progress: &mut Progress) -> Result<Driven> {
        let (mut ready, mut tick) = (Vec::new(), now() + TICK);
        loop {
            let time = now();
            self.send_again(time)?;
            let next = self.send_all()?;
            if next.is_none() && self.idle.len() == self.links.len() {
                break;
            }
            if self.schedule.measured_since().is_some() {
                progress.begin();
            }
            if time >= tick {
                progress.show(&self.tally);
                self.give_up(time)?;
                tick = time + TICK;
            }
            let rest = self.resting.iter().map(|(until, _)| *until).min();
            let until = [next.filter(|_| !self.idle.is_empty()), rest].into_iter().flatten().min();
            let time = now();
            ready.clear();
            ready.extend(self.waiting.wait(time, until, tick.saturating_duration_since(time))?);
            for Ready { number, readable, writable } in &ready {
                if let Some(link) = self.links.get_mut(*number) {
                    let step = link.step(*readable, *writable, &mut self.buffer);
                    self.take(*number, step)?;
                }
            }
        }
        let time = self.schedule.measured_since().map_or(Duration::ZERO, |since| now().saturating_duration_since(since));
        Ok(Driven { tally: self.tally, time })
    }

    /// Sends on every connection that is free; when the next request is due, or nothing when there is none.
    fn send_all(&mut self) -> Result<Option<Instant>> {
        loop {
            let time = now();
            let Some(number) = self.idle.front().copied() else { return Ok(Some(time)) };
            let request = match self.schedule.claim(time) {
                Claim::Send(request) => request,
                Claim::Later(planned) => return Ok(Some(planned)),
                Claim::Done => return Ok(None),
            };
            self.idle.pop_front();
            let (Some(link), schedule) = (self.links.get_mut(number), &mut self.schedule) else { continue };
            link.bodies.turn(|| schedule.part(time));
            let sent = now();
            let request = if self.open_loop { request } else { Request { planned: sent, ..request } };
            let step = link.send(&self.head, request, sent);
            link.bodies.prepare(|| schedule.part(sent));
            self.take(number, step)?;
        }
    }

    fn send_again(&mut self, time: Instant) -> Result<()> {
        while let Some(at) = self.resting.iter().position(|(until, _)| *until <= time) {
            let (_, number) = self.resting.swap_remove(at);
            if let Some(link) = self.links.get_mut(number) {
                let step = link.send_again();
                self.take(number, step)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, number: usize, step: Step) -> Result<()> {
        match step {
            Step::Nothing => Ok(()),
            Step::Answer(answer) => self.answered(number, &answer),
            Step::Broken(why) => self.broken(number, why),
        }
    }

    fn answered(&mut self, number: usize, answer: &Answer) -> Result<()> {
        let Some(link) = self.links.get_mut(number) else { return Ok(()) };
        let Some((request, since)) = link.request else { return Ok(()) };
        let time = now();
        if answer.closes {
            link.open_again(self.address)?;
            self.waiting.watch(link.stream(), number)?;
        }
        if let (429 | 503, Some(seconds)) = (answer.status, answer.retry_after) {
            self.tally.waits += 1;
            let until = time + Duration::from_secs(seconds.min(PATIENCE.as_secs()));
            if !self.open_loop && until <= since + PATIENCE {
                link.rest();
                self.resting.push((until, number));
                return Ok(());
            }
        }
        let verdict = self.protocol.judge(answer, request.events as u64);
        self.tally.answered(&request, link.body_bytes(), time - request.planned, verdict);
        link.request = None;
        self.idle.push_back(number);
        Ok(())
    }

    /// A connection that is of no use: a request on it has failed, whether or not its events were stored.
    fn broken(&mut self, number: usize, why: String) -> Result<()> {
        let Some(link) = self.links.get_mut(number) else { return Ok(()) };
        link.open_again(self.address).map_err(|failure| format!("{failure} (before: {why})"))?;
        self.waiting.watch(link.stream(), number)?;
        if let Some((request, _)) = link.request.take() {
            self.tally.lost(&request, why);
            self.resting.retain(|(_, resting)| *resting != number);
            self.idle.push_back(number);
        }
        Ok(())
    }

    fn give_up(&mut self, time: Instant) -> Result<()> {
        let silent = |link: &Link| link.request.is_some_and(|(_, since)| time.saturating_duration_since(since) > 2 * PATIENCE);
        let numbers: Vec<usize> = (0..self.links.len()).filter(|number| self.links.get(*number).is_some_and(silent)).collect();
        numbers.into_iter().try_for_each(|number| self.broken(number, "no answer in time".to_owned()))
    }
}
