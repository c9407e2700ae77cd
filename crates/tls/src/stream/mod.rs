//! A TLS connection as a byte stream.

mod adapter;
mod handshake;
mod maybe;

pub(crate) use adapter::Reader;
pub use maybe::MaybeTls;

use std::{
    fmt,
    future::Future,
    io::{self, BufRead, Write},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use chaski_core::{Elapsed, Io};
use rustls::Connection;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use self::adapter::Writer;
use crate::TlsError;

/// A byte stream over TLS, of either side; made by [`Acceptor`](crate::Acceptor) and [`Connector`](crate::Connector).
///
/// # The end
///
/// - A peer that says `close_notify` ends its direction: reading gives the end of the stream, and writing goes on.
/// - A peer that closes its connection without saying so (RFC 8446 section 6.1) is not told from an attacker who cut it. When
///   all bytes that arrived have been read, reading fails with [`UnexpectedEof`](io::ErrorKind::UnexpectedEof), in which
///   [`find_cause`](chaski_core::find_cause) finds [`TlsError::Truncated`]. Whether that matters is for the protocol to say: a
///   message that told its own length is whole.
/// - `close_notify` is sent by [`poll_shutdown`](AsyncWrite::poll_shutdown), and when the stream is dropped before that, as far
///   as the IO takes it at once, unless it was [aborted](chaski_core::Io::abort). An error in what the peer sent is answered with an alert instead.
/// - Shutting down takes [`CLOSE_TIMEOUT`](Self::CLOSE_TIMEOUT) at most, for a peer that reads nothing any more. Behind it nothing
///   is written or flushed.
///
/// # Memory
///
/// Written bytes are encrypted at once and wait for the IO, 64 KiB of them at most: flush before waiting for an answer.
///
/// # Cancel safety
///
/// As a socket: a read or write that is dropped while pending has moved no byte.
///
/// # Panics
///
/// Shutting down, when the IO is not ready at once, outside of a tokio runtime with time enabled.
pub struct TlsStream<S: Io> {
    io: S,
    // Boxed: it is a kilobyte and more, and a stream is moved through the layers above.
    tls: Box<Connection>,
    state: State,
    /// The peer has sent what it must not. Nothing more is read.
    broken: bool,
    /// A writer waits for the IO to take more, and its waker is there.
    blocked: bool,
    closing: Option<Pin<Box<Sleep>>>,
}

/// How far the writing side has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The handshake is under way: nothing was agreed that could be closed.
    Handshake,
    Open,
    /// `close_notify` is encrypted, and may still have to be written.
    Closing,
    /// The IO was shut down, or writing to it failed, or the stream was [aborted](Io::abort). The IO is left alone.
    Closed,
}

impl<S: Io> TlsStream<S> {
    /// How long shutting down may take in all, once the IO was not ready for it: 10 seconds.
    pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

    /// The IO beneath, whose bytes are encrypted.
    pub const fn inner(&self) -> &S {
        &self.io
    }

    pub(crate) fn new(io: S, tls: impl Into<Connection>) -> Self {
        Self { io, tls: Box::new(tls.into()), state: State::Handshake, broken: false, blocked: false, closing: None }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.tls
    }
}

impl<S: Io> TlsStream<S> {
    /// Takes what the IO has and looks at it; 0 bytes are the end of the IO's stream.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, TlsError>> {
        if self.broken {
            return Poll::Ready(self.process().map(|()| 0));
        }
        let read = match self.tls.read_tls(&mut Reader { io: &mut self.io, cx }) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(TlsError::Io(error))),
        };
        Poll::Ready(self.process().map(|()| read))
    }

    /// Looks at what was taken. An error is the last word: it is given again whenever this is called.
    fn process(&mut self) -> Result<(), TlsError> {
        self.tls.process_new_packets().map(drop).map_err(|error| {
            self.broken = true;
            // The alert that tells the peer why.
            self.send_now();
            TlsError::from_rustls(error)
        })
    }

    /// Writes all that was encrypted.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.blocked = false;
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Writer { io: &mut self.io, cx }) {
                Ok(0) => return self.fail(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Poll::Pending;
                }
                Err(error) => return self.fail(error),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, error: io::Error) -> Poll<io::Result<()>> {
        self.state = State::Closed;
        Poll::Ready(Err(error))
    }

    /// Writes as much of what was encrypted as the IO takes at once. Nobody is woken when it would take more. A writer that waits
    /// keeps its place, and sends this too when its turn comes.
    fn send_now(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        if !self.blocked && self.state != State::Closed && matches!(self.poll_send(cx), Poll::Ready(Ok(()))) {
            let _ = Pin::new(&mut self.io).poll_flush(cx);
        }
    }
}

impl<S: Io> Io for TlsStream<S> {
    fn abort(&mut self) {
        // Also of a handshake, which has nothing to close.
        self.state = State::Closed;
        self.io.abort();
    }
}

impl<S: Io> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            // What is decrypted comes first, so that nothing of it is lost to an error or an end behind it.
            match this.tls.reader().fill_buf() {
                Ok(plain) => {
                    let n = plain.len().min(buf.remaining());
                    buf.put_slice(&plain[..n]);
                    this.tls.reader().consume(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Err(TlsError::Truncated.into()));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(this.poll_receive(cx))?;
        }
    }
}

impl<S: Io> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_encrypt(cx, |tls| tls.writer().write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_encrypt(cx, |tls| tls.writer().write_vectored(bufs))
    }

    /// Always: the pieces go into the same records.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.state == State::Closed {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.state == State::Closed {
            return Poll::Ready(Ok(()));
        }
        this.begin_to_close();
        let closed = match this.poll_send(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.io).poll_shutdown(cx),
            pending_or_failed => pending_or_failed,
        };
        let closed = match closed {
            Poll::Ready(closed) => closed,
            Poll::Pending => {
                let limit = Self::CLOSE_TIMEOUT;
                let closing = this.closing.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
                ready!(closing.as_mut().poll(cx));
                let elapsed = Elapsed { what: "closing the TLS connection", limit };
                Err(io::Error::new(io::ErrorKind::TimedOut, TlsError::Timeout(elapsed)))
            }
        };
        this.state = State::Closed;
        this.closing = None;
        Poll::Ready(closed)
    }
}

impl<S: Io> TlsStream<S> {
    fn poll_encrypt(
        &mut self,
        cx: &mut Context<'_>,
        mut encrypt: impl FnMut(&mut Connection) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.state != State::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // What was taken before goes first, so that no more than one write's worth waits.
        ready!(self.poll_send(cx))?;
        let taken = encrypt(&mut self.tls).map_err(TlsError::from_write)?;
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What the IO does not take yet is kept; the next write or flush goes on.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }
}

impl<S: Io> TlsStream<S> {
    fn begin_to_close(&mut self) {
        if self.state == State::Open {
            // Does nothing when an alert has told already that the connection is over.
            self.tls.send_close_notify();
        }
        if self.state != State::Closed {
            self.state = State::Closing;
        }
    }
}

impl<S: Io> Drop for TlsStream<S> {
    fn drop(&mut self) {
        if matches!(self.state, State::Open | State::Closing) {
            self.begin_to_close();
            // Nobody waits any more.
            self.blocked = false;
            self.send_now();
        }
    }
}

/// Nothing of the keys.
impl<S: Io + fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("io", &self.io).field("state", &self.state).finish_non_exhaustive()
    }
}
