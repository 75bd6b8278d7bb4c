//! [`Link`]: one connection that is kept open, as a machine of states that never waits.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use trail_rig::{Answer, Answers, Result};

use crate::bodies::Bodies;
use crate::schedule::Request;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// So many bytes of head and body are out.
    Sending(usize),
    Waiting,
    /// The server said to send the same again, later.
    Resting,
}

/// What came of going on.
#[derive(Debug)]
pub(crate) enum Step {
    /// It is not done yet, or there was nothing to do.
    Nothing,
    Answer(Answer),
    /// The connection is of no use any more, and why.
    Broken(String),
}

/// A connection, and what it sends.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    answers: Answers,
    state: State,
    head: Vec<u8>,
    pub(crate) bodies: Bodies,
    /// What is under way, and when it was sent first.
    pub(crate) request: Option<(Request, Instant)>,
}

impl Link {
    pub(crate) fn open(address: SocketAddr, bodies: Bodies) -> Result<Link> {
        let stream = connect(address)?;
        Ok(Link { stream, answers: Answers::default(), state: State::Idle, head: Vec::new(), bodies, request: None })
    }

    /// Takes a new connection in place of the old one.
    pub(crate) fn open_again(&mut self, address: SocketAddr) -> Result<()> {
        self.stream = connect(address)?;
        self.answers = Answers::default();
        self.state = State::Idle;
        Ok(())
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// How many bytes the body under way has.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.request.map_or(0, |(request, _)| self.bodies.text(request.events).len() as u64)
    }

    /// Begins to send the current body; `head` is everything before the number of bytes.
    pub(crate) fn send(&mut self, head: &str, request: Request, since: Instant) -> Step {
        self.request = Some((request, since));
        self.head.clear();
        self.head.extend_from_slice(head.as_bytes());
        let length = self.bodies.text(request.events).len();
        self.head.extend_from_slice(format!("{length}\r\n\r\n").as_bytes());
        self.state = State::Sending(0);
        self.write()
    }

    /// Waits before [`Link::send_again`].
    pub(crate) fn rest(&mut self) {
        self.state = State::Resting;
    }

    pub(crate) fn send_again(&mut self) -> Step {
        self.state = State::Sending(0);
        self.write()
    }

    /// Goes on after the socket has become ready.
    pub(crate) fn step(&mut self, readable: bool, writable: bool, buffer: &mut [u8]) -> Step {
        if writable && let Step::Broken(why) = self.write() {
            return Step::Broken(why);
        }
        if readable { self.read(buffer) } else { Step::Nothing }
    }

    fn write(&mut self) -> Step {
        while let State::Sending(sent) = self.state {
            let body = self.request.map(|(request, _)| self.bodies.text(request.events)).unwrap_or_default();
            let head = self.head.get(sent..).unwrap_or_default();
            let rest = body.get(sent.saturating_sub(self.head.len())..).unwrap_or_default();
            if head.is_empty() && rest.is_empty() {
                self.state = State::Waiting;
                break;
            }
            match self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(rest)]) {
                Ok(count) => self.state = State::Sending(sent + count),
                Err(failure) if again(&failure) => break,
                Err(failure) => return Step::Broken(format!("the connection broke: {}", failure.kind())),
            }
        }
        Step::Nothing
    }

    fn read(&mut self, buffer: &mut [u8]) -> Step {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Step::Broken("the server closed the connection".to_owned()),
                Ok(count) => {
                    self.answers.add(buffer.get(..count).unwrap_or_default());
                    match self.answers.next_answer() {
                        Ok(Some(answer)) => return self.finish(answer),
                        Ok(None) if count < buffer.len() => return Step::Nothing,
                        Ok(None) => {}
                        Err(failure) => return Step::Broken(failure.to_string()),
                    }
                }
                Err(failure) if again(&failure) => return Step::Nothing,
                Err(failure) => return Step::Broken(format!("the connection broke: {}", failure.kind())),
            }
        }
    }

    fn finish(&mut self, mut answer: Answer) -> Step {
        match self.state {
            State::Waiting => {}
            // It does not want to read the rest; nothing can follow on this connection.
            State::Sending(_) => answer.closes = true,
            State::Idle | State::Resting => return Step::Broken("the server answered what was not asked".to_owned()),
        }
        self.state = State::Idle;
        Step::Answer(answer)
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let failed = |failure: io::Error| format!("cannot connect to {address}: {failure}");
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIME_MAX).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    stream.set_nonblocking(true).map_err(failed)?;
    Ok(stream)
}

fn again(failure: &io::Error) -> bool {
    matches!(failure.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
