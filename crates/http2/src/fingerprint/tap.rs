use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use chaski_core::{Conn, Extensions, Io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{FingerprintReader, Reading};

/// An IO that looks at what is read through it until a client's first request has begun, and leaves the
/// [`Http2Fingerprint`](super::Http2Fingerprint) as a fact in the connection's scope.
///
/// To be put around a connection right beneath an HTTP/2 server, above TLS. The fact is there before the server has the bytes
/// that begin the first request, so it is found on all requests. From then on, and after
/// [`MAX_BYTES`](FingerprintReader::MAX_BYTES), nothing is looked at, and nothing is kept in memory.
#[derive(Debug)]
pub struct FingerprintTap<IO> {
    inner: IO,
    // Boxed, as it is there for the first moments of a connection that may last for days.
    watch: Option<Box<Watch>>,
}

#[derive(Debug)]
struct Watch {
    reader: FingerprintReader,
    scope: Extensions,
}

impl<IO> FingerprintTap<IO> {
    /// Looks at a connection of which nothing has been read yet.
    pub fn tap(conn: Conn<IO>) -> Conn<Self> {
        let watch = Watch { reader: FingerprintReader::default(), scope: conn.ext.clone() };
        conn.map_io(|inner| Self { inner, watch: Some(Box::new(watch)) })
    }

    /// Whether it still looks.
    #[cfg(test)]
    pub(super) fn looks(&self) -> bool {
        self.watch.is_some()
    }
}

impl Watch {
    /// Says whether more is to be looked at.
    fn look(&mut self, bytes: &[u8]) -> bool {
        match self.reader.read(bytes) {
            Reading::Unfinished => return true,
            Reading::Found(fingerprint) => {
                self.scope.insert(fingerprint);
            }
            Reading::GaveUp => {}
        }
        false
    }
}

impl<IO: Io> Io for FingerprintTap<IO> {
    fn abort(&mut self) {
        self.inner.abort();
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for FingerprintTap<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if let Some(watch) = &mut self.watch
            && !watch.look(&buf.filled()[before..])
        {
            self.watch = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for FingerprintTap<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
