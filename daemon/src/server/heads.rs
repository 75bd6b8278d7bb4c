//! [`Heads`]: looks at the head of every request before hyper does, so that a wrong one gets an answer like any other.
//!
//! Problem: hyper answers a head that it cannot read by itself, without a body and without an id, and it takes heads that mean two
//! things at once: `Content-Length` with `Transfer-Encoding`, no `Host`, a target that names another host. Mechanism: the bytes of the
//! connection are followed from head to head by their framing; every head is read by the same parser that hyper uses and held against
//! stricter rules. Limits: nothing is changed or kept back but the bytes of a wrong head. Where the framing of a chunked body is
//! broken nothing is looked at any more: hyper ends such a connection.

use std::str::FromStr;

use axum::http::{Method, StatusCode, Uri};

use crate::api::refusal::Refusal;

/// As many as hyper takes.
const HEADERS_MAX: usize = 100;
/// The longest line of a chunk's size or of a trailer that is followed.
const LINE_BYTES_MAX: usize = 4_096;

/// Where the connection stands.
#[derive(Debug)]
enum State {
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// The line with the size of the next chunk.
    Size(Vec<u8>),
    /// The rest of a chunk with its line break.
    Chunk(u64),
    /// A line of the trailers; how long it is so far, without its end.
    Trailer(usize),
    Blind,
}

/// Follows the requests of a connection.
#[derive(Debug)]
pub(super) struct Heads {
    state: State,
    /// The beginning of a head that is not complete.
    partial: Vec<u8>,
    head_bytes_max: usize,
}

impl Heads {
    /// A head that is not complete after so many bytes is refused.
    pub(super) fn new(head_bytes_max: u64) -> Heads {
        Heads { state: State::Head, partial: Vec::new(), head_bytes_max: usize::try_from(head_bytes_max).unwrap_or(usize::MAX) }
    }

    /// Looks at bytes that came.
    ///
    /// # Errors
    /// How many of the bytes come before a wrong head, and what the client is told about that.
    pub(super) fn feed(&mut self, all: &[u8]) -> Result<(), (usize, Refusal)> {
        let mut bytes = all;
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Head => self.head(bytes).map_err(|refusal| (all.len() - bytes.len(), refusal))?,
                State::Body(left) | State::Chunk(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= taken as u64;
                    taken
                }
                State::Size(_) | State::Trailer(_) => self.line(bytes),
                State::Blind => return Ok(()),
            };
            match self.state {
                State::Body(0) => self.state = State::Head,
                State::Chunk(0) => self.state = State::Size(Vec::new()),
                _ => {}
            }
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// How many of the bytes belong to the head.
    fn head(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let before = self.partial.len();
        let found = if before == 0 {
            read(bytes)?
        } else {
            self.partial.extend_from_slice(bytes);
            // A head that drips in is read again only when it may be complete.
            if may_be_complete(&self.partial, before) { read(&self.partial)? } else { None }
        };
        if let Some((length, next)) = found {
            self.state = next;
            self.partial = Vec::new();
            return Ok(length.saturating_sub(before));
        }
        if before == 0 {
            self.partial.extend_from_slice(bytes);
        }
        if self.partial.len() > self.head_bytes_max { Err(too_large(self.head_bytes_max)) } else { Ok(bytes.len()) }
    }

    /// Follows the lines of a chunked body.
    fn line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |end| end + 1);
        let piece = bytes.get(..taken).unwrap_or_default();
        let next = match &mut self.state {
            State::Size(line) => {
                line.extend_from_slice(piece);
                let long = line.len() > LINE_BYTES_MAX;
                match end {
                    Some(_) if !long => Some(after_size(line)),
                    _ => long.then_some(State::Blind),
                }
            }
            State::Trailer(length) => {
                *length += piece.iter().filter(|b| !matches!(b, b'\r' | b'\n')).count();
                match end {
                    Some(_) if *length == 0 => Some(State::Head),
                    Some(_) => Some(State::Trailer(0)),
                    None => (*length > LINE_BYTES_MAX).then_some(State::Blind),
                }
            }
            _ => None,
        };
        if let Some(next) = next {
            self.state = next;
        }
        taken
    }
}

/// What follows a line with the size of a chunk.
fn after_size(line: &[u8]) -> State {
    let digits = line.split(|b| matches!(b, b';' | b'\r' | b'\n' | b' ' | b'\t')).next().unwrap_or_default();
    let size = std::str::from_utf8(digits).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
    match size {
        Some(0) => State::Trailer(0),
        Some(size) => State::Chunk(size.saturating_add(2)),
        None => State::Blind,
    }
}

/// Whether a head can end behind the first `before` bytes.
fn may_be_complete(head: &[u8], before: usize) -> bool {
    let new = head.get(before.saturating_sub(3)..).unwrap_or_default();
    memchr::memchr_iter(b'\n', new).any(|at| matches!(new.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

/// Reads a head: its length and what follows it; `None` when it is not complete.
fn read(bytes: &[u8]) -> Result<Option<(usize, State)>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Ok(Some((length, check(&request)?))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            let message = format!("there are more than {HEADERS_MAX} headers");
            Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", message))
        }
        Err(e) => Err(wrong(format!("this is no request of HTTP/1.1: {e}"))),
    }
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::bad_request("invalid_request", message)
}

fn too_large(head_bytes_max: usize) -> Refusal {
    let message = format!("the headers are longer than {head_bytes_max} bytes; long queries go to `POST /v1/search`");
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", message)
}

/// The values of a header, with the white space around them cut off.
fn values<'a>(request: &'a httparse::Request<'_, '_>, name: &str) -> Vec<&'a [u8]> {
    let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value.trim_ascii()).collect()
}

/// The rules for a whole head; gives what follows it.
fn check(request: &httparse::Request<'_, '_>) -> Result<State, Refusal> {
    let target = request.path.unwrap_or_default();
    if Method::from_bytes(request.method.unwrap_or_default().as_bytes()).is_err() {
        return Err(wrong("the method is none"));
    }
    let uri = Uri::from_str(target).map_err(|e| wrong(format!("the target is none: {e}")))?;
    let old = request.version == Some(0);
    let hosts = values(request, "host");
    if hosts.len() > 1 || (hosts.is_empty() && !old) {
        return Err(wrong("a request must have one `Host`"));
    }
    let named = uri.authority().filter(|_| uri.scheme().is_some()).map(|authority| authority.as_str().as_bytes());
    if named.is_some_and(|named| hosts.first().is_some_and(|host| !host.eq_ignore_ascii_case(named))) {
        return Err(wrong("the target names another host than `Host`"));
    }
    framing(&values(request, "content-length"), &values(request, "transfer-encoding"), old)
}

/// What follows the head, by the two headers that can say so. Both at once mean two things to two readers.
fn framing(lengths: &[&[u8]], encodings: &[&[u8]], old: bool) -> Result<State, Refusal> {
    match (lengths, encodings) {
        ([], []) => Ok(State::Head),
        ([first, others @ ..], []) => {
            let digits = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(first).ok().filter(|_| digits).and_then(|text| text.parse().ok());
            match length.filter(|_| others.iter().all(|other| other == first)) {
                Some(0) => Ok(State::Head),
                Some(length) => Ok(State::Body(length)),
                None => Err(wrong("the `Content-Length` is no length, or is there with two values")),
            }
        }
        ([], [encoding]) if !old && encoding.eq_ignore_ascii_case(b"chunked") => Ok(State::Size(Vec::new())),
        ([], _) => Err(wrong("the only `Transfer-Encoding` that is understood is `chunked`")),
        _ => Err(wrong("`Content-Length` and `Transfer-Encoding` cannot stand in one request")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &[u8] =
        b"POST /v1/events HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n5;x=y\r\n{\"a\":\r\n2\r\n1}\r\n0\r\nt: 1\r\n\r\n\
        GET /a?q=%20 HTTP/1.1\r\nHost: a\r\n\r\n\
        POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\n\r\n\r\
        GET http://A/ HTTP/1.1\r\nhost: a\r\n\r\n\
        GET / HTTP/1.0\r\n\r\n\
        OPTIONS * HTTP/1.1\nhost: a\n\n";

    /// Feeds in pieces of these lengths; how many bytes were passed before the first refusal, and its code.
    fn feed(bytes: &[u8], mut lengths: impl Iterator<Item = usize>) -> Option<(usize, String)> {
        let mut heads = Heads::new(1_000);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(lengths.next().unwrap_or(rest.len()).clamp(1, rest.len()));
            rest = more;
            if let Err((good, refusal)) = heads.feed(piece) {
                let passed = bytes.len() - rest.len() - piece.len() + good;
                return Some((passed, refusal.code().to_owned()));
            }
        }
        None
    }

    fn wrong_heads() -> Vec<(&'static str, String)> {
        let get = |more: &str| format!("GET / HTTP/1.1\r\nhost: a\r\n{more}\r\n");
        vec![
            ("invalid_request", get("content-length: 2\r\ntransfer-encoding: chunked\r\n")),
            ("invalid_request", get("transfer-encoding: chunked\r\ncontent-length: 2\r\n")),
            ("invalid_request", get("content-length: 2\r\ncontent-length: 3\r\n")),
            ("invalid_request", get("content-length: -1\r\n")),
            ("invalid_request", get("content-length: +1\r\n")),
            ("invalid_request", get("content-length: 99999999999999999999999\r\n")),
            ("invalid_request", get("transfer-encoding: gzip, chunked\r\n")),
            ("invalid_request", get("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n")),
            ("invalid_request", get("x: a\r\n b\r\n")),
            ("invalid_request", get("x: a\0\r\n")),
            ("invalid_request", get("host: b\r\n")),
            ("invalid_request", "GET / HTTP/1.1\r\nx: y\r\n\r\n".into()),
            ("invalid_request", "GET http://evil/ HTTP/1.1\r\nhost: a\r\n\r\n".into()),
            ("invalid_request", "GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".into()),
            ("invalid_request", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
            ("invalid_request", "NONSENSE\r\n\r\n".into()),
            ("invalid_request", "\u{16}\u{3}\u{1}\u{2}".into()),
            ("headers_too_large", get(&"x: y\r\n".repeat(101))),
            ("headers_too_large", get(&format!("x: {}", "y".repeat(2_000)))),
            ("headers_too_large", format!("GET /{}", "y".repeat(2_000))),
        ]
    }

    proptest! {
        #[test]
        fn good_requests_pass_in_any_pieces(lengths in prop::collection::vec(1_usize..80, 0..60)) {
            prop_assert_eq!(feed(GOOD, lengths.into_iter()), None);
        }

        /// Also behind requests that are right, wherever the pieces end.
        #[test]
        fn a_wrong_head_is_found_in_any_pieces(which in 0_usize..20, length in 1_usize..200, behind: bool) {
            let (code, head) = wrong_heads().swap_remove(which);
            let bytes = if behind { [GOOD, head.as_bytes()].concat() } else { head.into_bytes() };
            let (passed, found) = feed(&bytes, std::iter::repeat(length)).unwrap();
            prop_assert_eq!(found.as_str(), code, "{}", String::from_utf8_lossy(&bytes));
            // What comes before is passed on, and the wrong head never whole.
            prop_assert!((if behind { GOOD.len() } else { 0 }..bytes.len()).contains(&passed), "{passed}");
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), good in 0_usize..200, length in 1_usize..50) {
            let bytes = [GOOD.get(..good).unwrap_or_default(), &bytes].concat();
            feed(&bytes, std::iter::repeat(length));
        }
    }

    #[test]
    fn there_are_as_many_wrong_heads_as_are_tried() {
        assert_eq!(wrong_heads().len(), 20);
    }
}
