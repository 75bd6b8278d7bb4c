//! [`Waiting`]: sleeps until a connection can go on or a time has come, with nothing spent in between.
//!
//! `epoll`, edge-triggered, so that each connection is registered once; and a timer of the kernel beside it, because `epoll` itself sleeps
//! in whole milliseconds, which would show in the latencies of an open loop.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use trail_rig::Result;

const TIMER: u64 = u64::MAX;
const EVENTS_MAX: usize = 256;

/// A connection that can go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) number: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// What is waited for.
pub(crate) struct Waiting {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// What the timer is set to.
    set: Option<Instant>,
    events: Vec<epoll::Event>,
}

impl Waiting {
    pub(crate) fn new() -> Result<Waiting> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        Ok(Waiting { epoll, timer, set: None, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches a connection from now on; the kernel forgets it when it is closed.
    pub(crate) fn watch(&self, stream: &TcpStream, number: usize) -> Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, stream, epoll::EventData::new_u64(number as u64), flags)?)
    }

    /// Sleeps until something is ready, or `until` exactly, or `most` roughly; a time that has come is no error.
    pub(crate) fn wait(&mut self, now: Instant, until: Option<Instant>, most: Duration) -> Result<impl Iterator<Item = Ready> + '_> {
        self.set(now, until)?;
        let timeout = Timespec { tv_sec: most.as_secs() as i64, tv_nsec: i64::from(most.subsec_millis() + 1) * 1_000_000 };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(failure) => return Err(failure.into()),
        }
        let ready = self.events.iter().filter(|event| event.data.u64() != TIMER);
        Ok(ready.map(|event| {
            // An error shows in reading.
            let flags = event.flags;
            let writable = flags.contains(epoll::EventFlags::OUT);
            Ready { number: event.data.u64() as usize, readable: flags.intersects(!epoll::EventFlags::OUT), writable }
        }))
    }

    fn set(&mut self, now: Instant, until: Option<Instant>) -> Result<()> {
        let Some(until) = until.filter(|until| self.set != Some(*until) || *until <= now) else { return Ok(()) };
        // A timer of zero would be off.
        let left = until.saturating_duration_since(now).max(Duration::from_nanos(1));
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: none, it_value: value })?;
        self.set = Some(until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use trail_rig::now;

    #[test]
    fn wakes_for_bytes_and_for_times() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut there = listener.accept().unwrap().0;
        let mut waiting = Waiting::new().unwrap();
        waiting.watch(&here, 7).unwrap();
        let long = Duration::from_secs(60);
        let first: Vec<Ready> = waiting.wait(now(), None, long).unwrap().collect();
        assert!(first.len() == 1 && first[0].number == 7 && first[0].writable && !first[0].readable, "{first:?}");
        let start = now();
        let until = start + Duration::from_millis(3);
        assert_eq!(waiting.wait(start, Some(until), long).unwrap().count(), 0);
        assert!(now() >= until);
        there.write_all(b"x").unwrap();
        let bytes: Vec<Ready> = waiting.wait(now(), None, long).unwrap().collect();
        assert!(bytes.len() == 1 && bytes[0].readable, "{bytes:?}");
        assert_eq!(here.read(&mut [0; 9]).unwrap(), 1);
        assert_eq!(waiting.wait(now(), None, Duration::from_millis(1)).unwrap().count(), 0);
    }
}
