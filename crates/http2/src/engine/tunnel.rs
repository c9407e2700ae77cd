//! A stream as a connection: what CONNECT makes of it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use chaski_core::Io;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Chunk, Room};

/// The bytes of a stream, both ways (RFC 9113 section 8.5). Each direction ends by itself: the end of the stream that is read
/// leaves the other one open, and a shutdown says END_STREAM and goes on reading.
///
/// What was not read holds its window; a write waits for the peer's. Dropped before both directions have ended, it resets the
/// stream.
pub(crate) struct Tunnel {
    sender: SendStream<Chunk>,
    receiver: RecvStream,
    /// What of the last frame was not read yet.
    unread: Bytes,
    is_shut_down: bool,
    room: Arc<Room>,
}

impl Tunnel {
    pub(crate) fn new(sender: SendStream<Chunk>, receiver: RecvStream, room: Arc<Room>) -> Self {
        Self { sender, receiver, unread: Bytes::new(), is_shut_down: false, room }
    }

    /// The stream is closed for sending, and why.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> io::Error {
        match self.sender.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => io::Error::new(io::ErrorKind::BrokenPipe, h2::Error::from(reason)),
            Poll::Ready(Err(error)) => into_io(error),
            Poll::Pending => io::ErrorKind::BrokenPipe.into(),
        }
    }

    /// How much may be written now; never 0.
    fn poll_window(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.sender.reserve_capacity(wanted);
        match self.sender.capacity() {
            0 => match ready!(self.sender.poll_capacity(cx)) {
                Some(Ok(window)) => Poll::Ready(Ok(window)),
                Some(Err(_)) | None => Poll::Ready(Err(self.poll_closed(cx))),
            },
            window => Poll::Ready(Ok(window)),
        }
    }
}

/// An error of a stream as one of IO: a reset is one.
fn into_io(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::Other.into());
    }
    let kind = if error.is_reset() { io::ErrorKind::ConnectionReset } else { io::ErrorKind::ConnectionAborted };
    io::Error::new(kind, error)
}

impl Io for Tunnel {}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.unread.is_empty() {
            match ready!(this.receiver.poll_data(cx)) {
                Some(Ok(data)) => this.unread = data,
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
                // Trailers have no place in a tunnel.
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread[..count]);
        this.unread.advance(count);
        // The window opens as bytes are read, so that a slow reader slows the peer down. It cannot fail: they were received.
        let _ = this.receiver.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.is_shut_down {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let window = ready!(this.poll_window(bytes.len(), cx))?;
        let Some(chunk) = Chunk::copy(&bytes[..window.min(bytes.len())], &this.room, cx) else {
            return Poll::Pending;
        };
        let count = chunk.remaining();
        match this.sender.send_data(chunk, false) {
            Ok(()) => Poll::Ready(Ok(count)),
            Err(_) => Poll::Ready(Err(this.poll_closed(cx))),
        }
    }

    /// What was written is on its way: the connection's task writes it out.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_shut_down, true)
            && self.sender.send_data(Chunk::small(Bytes::new()), true).is_err()
        {
            return Poll::Ready(Err(self.poll_closed(cx)));
        }
        Poll::Ready(Ok(()))
    }
}
