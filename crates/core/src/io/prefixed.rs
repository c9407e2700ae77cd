use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::Io;

/// An IO with bytes in front that were read too early: what a handshake left over, or what was peeked.
#[derive(Debug)]
pub struct Prefixed<S> {
    prefix: Bytes,
    inner: S,
}

impl<S> Prefixed<S> {
    /// Puts `prefix` in front of what `inner` will give.
    pub const fn new(prefix: Bytes, inner: S) -> Self {
        Self { prefix, inner }
    }

    /// The bytes not read yet, and the IO beneath.
    pub fn into_parts(self) -> (Bytes, S) {
        (self.prefix, self.inner)
    }

    /// The IO beneath.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Io> Io for Prefixed<S> {
    fn plain_socket(&self) -> Option<&TcpStream> {
        // What is left of the prefix comes before whatever the inner one still holds; only one of the two can be told.
        if self.prefix.is_empty() || self.inner.leftover().is_empty() { self.inner.plain_socket() } else { None }
    }

    fn leftover(&self) -> &[u8] {
        if self.prefix.is_empty() { self.inner.leftover() } else { &self.prefix }
    }

    fn abort(&mut self) {
        self.inner.abort();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let n = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..n]);
        self.prefix.advance(n);
        if self.prefix.is_empty() {
            // Let go of the buffer that the prefix was a slice of.
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_prefix_comes_first_in_pieces_of_any_size() {
        for size in 1..8 {
            let (mut far, near) = duplex(64);
            far.write_all(b"world").await.unwrap();
            drop(far);
            let mut io = Prefixed::new(Bytes::from_static(b"hello "), near);
            let (mut all, mut piece) = (Vec::new(), vec![0; size]);
            loop {
                match io.read(&mut piece).await.unwrap() {
                    0 => break,
                    n => all.extend_from_slice(&piece[..n]),
                }
            }
            assert_eq!(all, b"hello world");
        }
    }

    #[tokio::test]
    async fn the_socket_beneath_shows_through_nested_prefixes() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let inner = Prefixed::new(Bytes::from_static(b"in"), socket);
        assert_eq!(inner.leftover(), b"in");
        assert!(inner.plain_socket().is_some());
        let outer = Prefixed::new(Bytes::new(), inner);
        assert_eq!(outer.leftover(), b"in");
        assert!(outer.plain_socket().is_some());
        let (_, inner) = outer.into_parts();
        let both = Prefixed::new(Bytes::from_static(b"out"), inner);
        assert!(both.plain_socket().is_none(), "two leftovers cannot be told in one slice");
    }
}
