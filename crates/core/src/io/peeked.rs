use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::{Io, Prefixed};

/// An IO whose first bytes are looked at before a protocol is chosen. Nothing is consumed: [`into_io`](Self::into_io)
/// gives an IO that starts at the first byte again.
///
/// ```
/// use chaski_core::Peeked;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// # async fn example() -> std::io::Result<()> {
/// let (mut client, server) = duplex(64);
/// client.write_all(b"GET / HTTP/1.1\r\n").await?;
///
/// let mut peeked = Peeked::new(server);
/// assert!(peeked.fill(4).await?);
/// assert!(peeked.bytes().starts_with(b"GET "));
///
/// let mut method = [0; 3];
/// peeked.into_io().read_exact(&mut method).await?;
/// assert_eq!(&method, b"GET");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
pub struct Peeked<S> {
    seen: BytesMut,
    inner: S,
}

impl<S: Io> Peeked<S> {
    /// The most bytes that are seen: 64 KiB.
    pub const MAX: usize = 64 * 1024;

    /// The memory with which [`read_more`](Self::read_more) begins: 1 KiB, a whole request head in most cases.
    const FIRST: usize = 1024;

    /// Nothing seen yet.
    pub fn new(inner: S) -> Self {
        Self { seen: BytesMut::new(), inner }
    }

    /// The bytes seen so far.
    pub fn bytes(&self) -> &[u8] {
        &self.seen
    }

    /// Reads until at least `want` bytes have been seen; `false` when the stream ended before that.
    ///
    /// # Errors
    ///
    /// Those of the IO, and `InvalidInput` when `want` is more than [`MAX`](Self::MAX).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what was read has been seen.
    pub async fn fill(&mut self, want: usize) -> io::Result<bool> {
        if want > Self::MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot peek at more than 64 KiB"));
        }
        while self.seen.len() < want {
            self.seen.reserve(want - self.seen.len());
            if self.inner.read_buf(&mut self.seen).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads once, as much as is there, until `limit` bytes have been seen in all; gives how many came. 0 says that the
    /// stream has ended.
    ///
    /// # Errors
    ///
    /// Those of the IO, and `InvalidInput` when `limit` is more than [`MAX`](Self::MAX) or is reached already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what was read has been seen.
    pub async fn read_more(&mut self, limit: usize) -> io::Result<usize> {
        if limit > Self::MAX || limit <= self.seen.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to peek at more"));
        }
        let room = limit - self.seen.len();
        if self.seen.capacity() == self.seen.len() {
            // The first bytes of most protocols fit at once; the memory of the rest grows with what has arrived.
            self.seen.reserve(room.min(Self::FIRST));
        }
        self.inner.read_buf(&mut (&mut self.seen).limit(room)).await
    }

    /// The IO, from its first byte on.
    pub fn into_io(self) -> Prefixed<S> {
        let prefix = if self.seen.is_empty() { Bytes::new() } else { self.seen.freeze() };
        Prefixed::new(prefix, self.inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn more_is_read_up_to_the_limit_and_not_beyond() {
        let (mut far, near) = duplex(8192);
        far.write_all(&[7; 3000]).await.unwrap();
        let mut peeked = Peeked::new(near);
        let mut pieces = Vec::new();
        while peeked.bytes().len() < 2500 {
            pieces.push(peeked.read_more(2500).await.unwrap());
        }
        assert_eq!((pieces[0], pieces.iter().sum::<usize>()), (1024, 2500));
        for limit in [2500, 0, Peeked::<tokio::io::DuplexStream>::MAX + 1] {
            assert_eq!(peeked.read_more(limit).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        drop(far);
        assert_eq!(peeked.read_more(4000).await.unwrap(), 500);
        assert_eq!(peeked.read_more(4000).await.unwrap(), 0, "the end");
        let mut all = Vec::new();
        peeked.into_io().read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [7; 3000]);
    }
}
