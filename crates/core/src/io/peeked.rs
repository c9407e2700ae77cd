use std::io;

use bytes::{Bytes, BytesMut};
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
    /// The most bytes that [`fill`](Self::fill) waits for: 64 KiB.
    pub const MAX: usize = 64 * 1024;

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

    /// The IO, from its first byte on.
    pub fn into_io(self) -> Prefixed<S> {
        let prefix = if self.seen.is_empty() { Bytes::new() } else { self.seen.freeze() };
        Prefixed::new(prefix, self.inner)
    }
}
