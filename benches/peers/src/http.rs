//! Storing a file over HTTP, for every peer that is a server: requests of 1,000 lines over two connections that are kept alive.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use trail_rig::{Answer, Connection, Result};

/// Events a request.
pub(crate) const BATCH: usize = 1_000;
/// Requests at a time.
pub(crate) const CONNECTIONS: usize = 2;

/// How long a client waits that is told to wait.
const WAIT: Duration = Duration::from_millis(20);

/// The address of a URL's host, and what may stand after a `#`: the number of its process.
pub(crate) fn address(url: &str) -> Result<(SocketAddr, Option<u32>)> {
    let (place, process) = url.split_once('#').map_or((url, None), |(place, process)| (place, Some(process)));
    let host = place.strip_prefix("http://").ok_or("only http:// is spoken")?.trim_end_matches('/');
    let address = host.to_socket_addrs().map_err(|e| format!("{host}: {e}"))?.next().ok_or("the host has no address")?;
    let process = process.map(|text| text.parse().map_err(|_| format!("`{text}` is no number of a process"))).transpose()?;
    Ok((address, process))
}

/// Sends all lines of a file to a path; `accepted` says whether an answer means that so many events are stored.
///
/// # Errors
/// When an answer does not mean that.
pub(crate) fn store(server: SocketAddr, target: &str, file: &Path, accepted: fn(&Answer, usize) -> bool) -> Result<()> {
    let lines = Mutex::new(BufReader::with_capacity(1 << 20, File::open(file)?));
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| send(server, target, &lines, accepted))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| "a sender panicked")?)
    })
}

fn send(server: SocketAddr, target: &str, lines: &Mutex<BufReader<File>>, accepted: fn(&Answer, usize) -> bool) -> Result<()> {
    let mut connection = Connection::open(server)?;
    let mut body = Vec::new();
    loop {
        let events = read(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner), &mut body)?;
        if events == 0 {
            return Ok(());
        }
        let mut answer = connection.post(target, &body)?;
        while answer.status == 429 {
            std::thread::sleep(WAIT);
            answer = connection.post(target, &body)?;
        }
        if !accepted(&answer, events) {
            let text = String::from_utf8_lossy(&answer.body).chars().take(500).collect::<String>();
            return Err(format!("{events} events were answered {}: {text}", answer.status).into());
        }
    }
}

/// Reads the lines of the next request; how many.
fn read(lines: &mut impl BufRead, body: &mut Vec<u8>) -> Result<usize> {
    body.clear();
    for events in 0..BATCH {
        if lines.read_until(b'\n', body)? == 0 {
            return Ok(events);
        }
    }
    Ok(BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_processes() {
        assert_eq!(address("http://127.0.0.1:9428/").unwrap(), ("127.0.0.1:9428".parse().unwrap(), None));
        assert_eq!(address("http://127.0.0.1:9428#47").unwrap().1, Some(47));
        for wrong in ["127.0.0.1:1", "https://127.0.0.1:1", "http://127.0.0.1", "http://127.0.0.1:1#x"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn requests_are_full_until_the_last() {
        let text = "{}\n".repeat(2 * BATCH + 3);
        let mut lines = text.as_bytes();
        let mut body = Vec::new();
        let counts: Vec<usize> = (0..4).map(|_| read(&mut lines, &mut body).unwrap()).collect();
        assert_eq!(counts, [BATCH, BATCH, 3, 0]);
    }
}
