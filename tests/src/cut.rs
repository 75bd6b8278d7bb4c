//! [`Cut`]: a proxy before a Kafka broker that breaks connections as it is told: before a request for records is passed on, or after it was
//! done and before its answer.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What becomes of a request for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on, and so is the answer.
    Pass,
    /// The connection ends before it is passed on.
    Before,
    /// It is done; the connection ends before its answer.
    After,
}

/// What becomes of the N-th request for records, from 0.
pub type Plan = dyn Fn(u64) -> Fate + Send + Sync;

/// A proxy; ends with the process.
#[derive(Debug)]
pub struct Cut {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
    cuts: Arc<AtomicU64>,
}

impl Cut {
    /// Listens before a broker, which may not be there yet.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn before(broker: SocketAddr, plan: Arc<Plan>) -> Cut {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cut = Cut { address: listener.local_addr().unwrap(), requests: Arc::default(), cuts: Arc::default() };
        let (requests, cuts) = (cut.requests.clone(), cut.cuts.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (plan, requests, cuts) = (plan.clone(), requests.clone(), cuts.clone());
                // A peer that goes away is part of the test.
                thread::spawn(move || drop(pass(&stream, broker, &*plan, &requests, &cuts)));
            }
        });
        cut
    }

    /// How many requests for records came.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// How many connections were broken.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::SeqCst)
    }
}

/// One request after the other, each with its answer.
fn pass(mut stream: &TcpStream, broker: SocketAddr, plan: &Plan, requests: &AtomicU64, cuts: &AtomicU64) -> io::Result<()> {
    let mut behind = TcpStream::connect(broker)?;
    stream.set_nodelay(true)?;
    behind.set_nodelay(true)?;
    loop {
        let request = frame(&mut stream)?;
        let is_records = request[4..6] == [0, 0];
        let fate = if is_records { plan(requests.fetch_add(1, Ordering::SeqCst)) } else { Fate::Pass };
        cuts.fetch_add(u64::from(fate != Fate::Pass), Ordering::SeqCst);
        if fate != Fate::Before {
            behind.write_all(&request)?;
            let answer = frame(&mut behind)?;
            if fate == Fate::Pass {
                stream.write_all(&answer)?;
                continue;
            }
        }
        return stream.shutdown(Shutdown::Both);
    }
}

fn frame(input: &mut impl io::Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut whole = length.to_vec();
    input.take(u64::from(u32::from_be_bytes(length))).read_to_end(&mut whole)?;
    Ok(whole)
}
