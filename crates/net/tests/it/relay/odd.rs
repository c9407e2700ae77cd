//! An IO with faults that pipes and sockets do not have.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use chaski_core::{Io, test_util::Pipe};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A pipe's end, or a socket that it shows as plain, whose write half misbehaves as chosen.
pub(super) struct Odd<S = Pipe> {
    pub(super) inner: S,
    /// What a shutdown comes to.
    pub(super) shutdown: Shutdown,
    /// Written bytes are kept back until a flush.
    pub(super) lazy: bool,
    pub(super) held_back: Vec<u8>,
    /// Every other write is not taken at once.
    pub(super) stutters: bool,
    stutter: bool,
    pub(super) calls: Arc<Calls>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shutdown {
    Works,
    Never,
    Fails(io::ErrorKind),
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) shutdowns: AtomicU64,
    pub(super) flushes: AtomicU64,
    /// Writes and flushes after a shutdown has begun.
    pub(super) late: AtomicU64,
}

impl<S: Io> Odd<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            shutdown: Shutdown::Works,
            lazy: false,
            held_back: Vec::new(),
            stutters: false,
            stutter: false,
            calls: Arc::new(Calls::default()),
        }
    }

    fn note_late(&self) {
        if self.calls.shutdowns.load(Relaxed) > 0 {
            self.calls.late.fetch_add(1, Relaxed);
        }
    }

    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held_back.is_empty() {
            let n = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held_back))?;
            self.held_back.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Io> Io for Odd<S> {
    fn plain_socket(&self) -> Option<&TcpStream> {
        self.inner.plain_socket()
    }
}

impl<S: Io> AsyncRead for Odd<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: Io> AsyncWrite for Odd<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.note_late();
        self.stutter = self.stutters && !self.stutter;
        if self.stutter {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.lazy {
            self.held_back.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note_late();
        self.calls.flushes.fetch_add(1, Relaxed);
        self.poll_release(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let asked = self.calls.shutdowns.fetch_add(1, Relaxed);
        assert!(asked < 1_000, "whoever asks that often spins");
        match self.shutdown {
            Shutdown::Works => Pin::new(&mut self.inner).poll_shutdown(cx),
            Shutdown::Never => Poll::Pending,
            Shutdown::Fails(kind) => Poll::Ready(Err(kind.into())),
        }
    }
}
