//! Connections: a name resolved, an address that may be called, TCP and perhaps TLS, each within [`CONNECT_MAX`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::address::{forbidden, may_be_called};
use crate::trails::sink::http::tls::Trust;

/// The longest time that making a connection may take, and making it speak TLS.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A connection, with TLS or without.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to a host; with TLS when there is somebody to trust, for which there is as much time again.
///
/// # Errors
/// Later, when it is not there now; setup, when it may not be called or cannot show who it is.
pub async fn connect(host: &str, port: u16, trust: Option<&Trust>) -> Result<Box<dyn Stream>, Fault> {
    let late = |what: &str| Fault::later(format!("no {what} with {host}:{port} within {} s", CONNECT_MAX.as_secs()));
    let stream = timeout(CONNECT_MAX, reach(host, port)).await.unwrap_or_else(|_| Err(late("connection")))?;
    Ok(match trust {
        Some(trust) => Box::new(timeout(CONNECT_MAX, trust.wrap(host, stream)).await.unwrap_or_else(|_| Err(late("TLS")))?),
        None => Box::new(stream),
    })
}

/// Whether a name is one below `localhost`, which are this machine's and not DNS's to know (RFC 6761, 6.3): so a bucket's name can stand before it.
fn is_local(host: &str) -> bool {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase().ends_with(".localhost")
}

/// The first address of a host that answers. Takes as long as the system lets it: [`connect`] has a limit.
///
/// # Errors
/// As [`connect`].
pub async fn reach(host: &str, port: u16) -> Result<TcpStream, Fault> {
    let found: Vec<SocketAddr> = if is_local(host) {
        [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)].map(|number| (number, port).into()).to_vec()
    } else {
        let found = lookup_host((host, port)).await;
        found.map_err(|e| Fault::later(format!("the name {host} cannot be resolved: {e}; is it right, and is DNS up")))?.collect()
    };
    if let Some(first) = found.first().filter(|_| !found.iter().any(|address| may_be_called(address.ip()))) {
        return Err(Fault::setup(format!("{host} leads to nowhere that may be called: {}", forbidden(first.ip()))));
    }
    let mut last = format!("the name {host} has no address");
    for address in found.into_iter().filter(|address| may_be_called(address.ip())) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // What is sent is written in one piece, and its answer is waited for.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Err(error) => last = format!("cannot connect to {host}:{port}: {error}"),
        }
    }
    Err(Fault::later(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_localhost_are_of_this_machine() {
        let names = ["audit.localhost", "a.b.LocalHost.", "localhost", "localhost.example.com", "notlocalhost", ".localhost.net"];
        assert_eq!(names.map(is_local), [true, true, false, false, false, false]);
    }
}
