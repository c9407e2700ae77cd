use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Io;

/// A connection on which nothing ever waits: every read is filled, with the same bytes over and over, and every write is
/// taken. It knows no budget of the runtime's, as the IO of others may not.
///
/// For tests that whoever has always more to do lets other tasks run.
///
/// ```
/// use chaski_core::test_util::Endless;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut end = Endless::new(b"ping ", 1000);
/// let taken = end.taken();
/// let mut bytes = [0; 8];
/// end.read_exact(&mut bytes).await?;
/// assert_eq!(&bytes, b"ping pin");
/// end.write_all(b"pong").await?;
/// assert_eq!(taken.load(std::sync::atomic::Ordering::Relaxed), 4);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
pub struct Endless {
    bytes: &'static [u8],
    /// So many of them were read already.
    at: usize,
    left: usize,
    taken: Arc<AtomicUsize>,
}

impl Endless {
    /// Reads give `bytes` over and over, `total` bytes in all: so many that only who starves the others comes to the end,
    /// and fails its test instead of hanging it.
    ///
    /// # Panics
    ///
    /// When there are no `bytes`.
    #[must_use]
    pub fn new(bytes: &'static [u8], total: usize) -> Self {
        assert!(!bytes.is_empty(), "nothing cannot be repeated");
        Self { bytes, at: 0, left: total, taken: Arc::default() }
    }

    /// Counts the bytes that are written here, also when the connection has gone.
    #[must_use]
    pub fn taken(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.taken)
    }
}

impl Io for Endless {}

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while buf.remaining() > 0 && self.left > 0 {
            let rest = &self.bytes[self.at..];
            let n = rest.len().min(buf.remaining()).min(self.left);
            buf.put_slice(&rest[..n]);
            self.at = (self.at + n) % self.bytes.len();
            self.left -= n;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.taken.fetch_add(bytes.len(), Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
