//! [`Syslogd`]: a receiver of syslog on loopback that reads messages counted by octets, and can be away.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::table::wait_for;

#[derive(Debug, Default)]
struct Shared {
    messages: Mutex<Vec<String>>,
    connections: Mutex<Vec<TcpStream>>,
    away: AtomicBool,
}

/// A receiver of syslog.
#[derive(Debug)]
pub struct Syslogd {
    /// Where it is.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    hand: Option<JoinHandle<()>>,
}

impl Syslogd {
    /// One that is there.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start() -> Syslogd {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let hand = Some(listen(listener, shared.clone()));
        Syslogd { address, shared, hand }
    }

    /// What came so far.
    ///
    /// # Panics
    /// When it panicked before.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.shared.messages.lock().unwrap().clone()
    }

    /// Is away: nobody listens, and all connections end.
    ///
    /// # Panics
    /// When it panicked before.
    pub fn go(&mut self) {
        self.shared.away.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.hand.take().map(JoinHandle::join);
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Is there again, at the same address.
    ///
    /// # Panics
    /// When somebody else is.
    pub fn come_back(&mut self) {
        self.shared.away.store(false, Ordering::SeqCst);
        let mut listener = None;
        wait_for("the port again", || {
            listener = TcpListener::bind(self.address).ok();
            listener.is_some()
        });
        self.hand = listener.map(|listener| listen(listener, self.shared.clone()));
    }
}

fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if shared.away.load(Ordering::SeqCst) {
                return;
            }
            shared.connections.lock().unwrap().extend(stream.try_clone());
            let shared = shared.clone();
            thread::spawn(move || read(stream, &shared));
        }
    })
}

fn read(stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut input = BufReader::new(stream);
    loop {
        let mut length = Vec::new();
        input.read_until(b' ', &mut length).ok()?;
        let length: usize = std::str::from_utf8(&length).ok()?.trim_end().parse().ok()?;
        let mut message = vec![0; length];
        input.read_exact(&mut message).ok()?;
        shared.messages.lock().unwrap().push(String::from_utf8(message).unwrap());
    }
}
