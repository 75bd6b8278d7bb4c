//! [`Url`]: where requests go. Only `http://`: what TLS costs is not what is measured here.

use std::net::{SocketAddr, ToSocketAddrs};

use trail_rig::Result;

/// An address and what is asked for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// As it stands in the `host` header.
    pub(crate) host: String,
    /// Path and query, with the slash; empty when the URL has none.
    pub(crate) target: String,
}

impl Url {
    /// Reads `http://HOST[:PORT][/PATH][?QUERY]`; the scheme may be left out.
    pub(crate) fn read(text: &str) -> Option<Url> {
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(end);
        let odd = |text: &str| text.bytes().any(|b| b <= b' ' || b == 0x7f);
        if host.is_empty() || rest.contains("://") || odd(rest) {
            return None;
        }
        let target = match target {
            "/" => String::new(),
            query if query.starts_with('?') => format!("/{query}"),
            target => target.to_owned(),
        };
        Some(Url { host: host.to_owned(), target })
    }

    /// The first address of the host; port 80 when none is named.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let named = self.host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
        let host = if named { self.host.clone() } else { format!("{}:80", self.host) };
        let mut found = host.to_socket_addrs().map_err(|e| format!("{}: {e}", self.host))?;
        found.next().ok_or_else(|| format!("{} has no address", self.host).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut() {
        let cut = |text: &str| Url::read(text).map(|url| (url.host, url.target));
        let some = |host: &str, target: &str| Some((host.to_owned(), target.to_owned()));
        assert_eq!(cut("http://127.0.0.1:8700"), some("127.0.0.1:8700", ""));
        assert_eq!(cut("127.0.0.1:8700/"), some("127.0.0.1:8700", ""));
        assert_eq!(cut("http://h/insert/jsonline?_time_field=eventTime"), some("h", "/insert/jsonline?_time_field=eventTime"));
        assert_eq!(cut("http://h?a=b"), some("h", "/?a=b"));
        assert_eq!(["", "http://", "https://h", "http://h/a b", "h/\r\nx: y"].map(cut), [const { None }; 5]);
        assert_eq!(Url::read("[::1]:9/").unwrap().address().unwrap().port(), 9);
        assert_eq!(Url::read("127.0.0.1").unwrap().address().unwrap().port(), 80);
    }
}
