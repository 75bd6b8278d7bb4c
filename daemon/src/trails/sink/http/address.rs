//! [`Address`]: a URL of a service, and to which machines a sink may connect.
//!
//! A name is resolved once for a connection, and the connection goes to one of the addresses that were looked at, so that a name that answers
//! differently the next time changes nothing. Addresses of the link and of cloud metadata services are refused: what answers there gives
//! away keys, and is never a log service. Private and loopback addresses are allowed: that is where the services of those who host this
//! themselves are, and only an administrator can define a trail.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::http::Uri;

/// Metadata services outside of the addresses of the link: Alibaba Cloud's, and Amazon's over IPv6.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// Where a service is.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether it is spoken to over TLS.
    pub secure: bool,
    /// Its name or number, an IPv6 number without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its path, without a slash at the end; empty for the root.
    pub path: String,
    /// What stands behind the `?` of its URL. May be a secret: it is never shown.
    pub query: Option<String>,
}

impl Address {
    /// Reads the URL that a member of a definition holds.
    ///
    /// # Errors
    /// A sentence that names the member; without the URL, which may have a secret in it.
    pub fn read(member: &str, url: &str) -> Result<Address, String> {
        let wrong = || format!("`{member}` must be a URL: http:// or https://, a host, a port if need be, and a path");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(format!("`{member}` must not have credentials in it: there are members for them"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong());
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // A colon without a number that is a port.
            None if authority.as_str() != authority.host() => return Err(wrong()),
            None => default_port(secure),
        };
        let address =
            Address { secure, port, path: uri.path().trim_end_matches('/').to_owned(), query: uri.query().map(str::to_owned), host };
        match address.host.parse::<IpAddr>() {
            Ok(number) if !may_be_called(number) => Err(format!("`{member}`: {}", forbidden(number))),
            _ => Ok(address),
        }
    }

    /// What the header `host` says.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.secure) { host } else { format!("{host}:{}", self.port) }
    }
}

/// Without the query.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// Without the query.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Whether a sink may connect to a machine of this number.
#[must_use]
pub fn may_be_called(number: IpAddr) -> bool {
    match number.to_canonical() {
        IpAddr::V4(v4) => !(v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4 == METADATA_V4),
        IpAddr::V6(v6) => !(v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast() || v6 == METADATA_V6),
    }
}

/// Why a number may not be called.
#[must_use]
pub fn forbidden(number: IpAddr) -> String {
    format!("{number} is no address of a log service (of the link, of a metadata service, or of many machines)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let read = |url| Address::read("url", url).unwrap();
        let plain = read("http://127.0.0.1:9200/");
        assert_eq!((plain.secure, plain.host.as_str(), plain.port, plain.path.as_str()), (false, "127.0.0.1", 9200, ""));
        let full = read("https://logs.example.com/in/here/?token=geheim");
        assert_eq!((full.secure, full.port, full.path.as_str(), full.query.as_deref()), (true, 443, "/in/here", Some("token=geheim")));
        assert_eq!(full.to_string(), "https://logs.example.com/in/here");
        assert!(!format!("{full:?}").contains("geheim"));
        let six = read("http://[::1]:80/x");
        assert_eq!((six.host.as_str(), six.authority().as_str()), ("::1", "[::1]"));
    }

    #[test]
    fn what_must_not_be_in_a_url_is_refused_without_showing_it() {
        for url in [
            "http://user:geheim@h/",
            "https://geheim@h",
            "ftp://h/geheim",
            "h:80/geheim",
            "http:///geheim",
            "http://h:/geheim",
            "http://h:99999/geheim",
            "http://a b/geheim",
            "geheim",
            "",
        ] {
            let problem = Address::read("url", url).unwrap_err();
            assert!(problem.contains("`url`") && !problem.contains("geheim"), "{url}: {problem}");
        }
    }

    #[test]
    fn addresses_that_give_away_keys_are_not_called() {
        for number in
            ["169.254.169.254", "100.100.100.200", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "0.0.0.0", "::", "224.0.0.1"]
        {
            assert!(!may_be_called(number.parse().unwrap()), "{number}");
            let host = if number.contains(':') { format!("[{number}]") } else { number.to_owned() };
            assert!(Address::read("url", &format!("http://{host}/")).is_err(), "{number}");
        }
        for number in ["127.0.0.1", "::1", "10.0.0.8", "192.168.1.1", "fd12::1", "203.0.113.9"] {
            assert!(may_be_called(number.parse().unwrap()), "{number}");
        }
    }
}
