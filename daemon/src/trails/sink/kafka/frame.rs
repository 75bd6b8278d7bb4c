//! Answers as they come over a connection: their length, the number of their request, their bytes.
//!
//! Limits: an answer has at most `ANSWER_BYTES_MAX` bytes; memory follows the bytes that come, not the length that is claimed.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest answer: who leads a hundred thousand partitions.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Reads the answer to the request with this number.
///
/// # Errors
/// `InvalidData` with what it does not do, to be said behind a name, when it is no answer or another's; else when the connection breaks.
pub async fn read(input: &mut (impl AsyncRead + Unpin), expected: i32) -> io::Result<Vec<u8>> {
    let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let length = usize::try_from(input.read_i32().await?).ok().filter(|length| (4..=ANSWER_BYTES_MAX).contains(length));
    let length = length.ok_or_else(|| strange("does not speak Kafka"))?;
    if input.read_i32().await? != expected {
        return Err(strange("does not answer in order, as Kafka does"));
    }
    let mut answer = Vec::new();
    let read = input.take(length as u64 - 4).read_to_end(&mut answer).await?;
    if read + 4 < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failed(mut bytes: &[u8]) -> String {
        read(&mut bytes, 7).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn answers_are_read_and_all_else_is_refused() {
        let mut two = &b"\0\0\0\x06\0\0\0\x07xy\0\0\0\x04\0\0\0\x08"[..];
        assert_eq!((read(&mut two, 7).await.unwrap(), read(&mut two, 8).await.unwrap()), (b"xy".to_vec(), Vec::new()));
        assert!(two.is_empty());
        for length in [&b"\0\0\0\x03"[..], b"\xff\xff\xff\xff", b"\0\x80\0\x01", b"HTTP"] {
            assert_eq!(failed(&[length, b"\0\0\0\x07xy"].concat()).await, "does not speak Kafka");
        }
        assert_eq!(failed(b"\0\0\0\x06\0\0\0\x08xy").await, "does not answer in order, as Kafka does");
        for early in [&b"\0\0"[..], b"\0\0\0\x06\0\0", b"\0\0\0\x06\0\0\0\x07x"] {
            let error = read(&mut &*early, 7).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{early:?}");
        }
    }
}
