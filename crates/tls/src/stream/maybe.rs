use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use chaski_core::Io;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::TlsStream;

/// A byte stream with TLS or without: what a [`Connector`](crate::Connector) makes, which knows at each dial only whether the
/// protocol is a secure one.
#[derive(Debug)]
pub enum MaybeTls<S: Io> {
    /// In clear: the IO as it is.
    Plain(S),
    /// Over TLS.
    Tls(TlsStream<S>),
}

impl<S: Io> MaybeTls<S> {
    /// Whether there is TLS.
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl<S: Io> Io for MaybeTls<S> {
    fn plain_socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(io) => io.plain_socket(),
            Self::Tls(io) => io.plain_socket(),
        }
    }

    fn leftover(&self) -> &[u8] {
        match self {
            Self::Plain(io) => io.leftover(),
            Self::Tls(io) => io.leftover(),
        }
    }

    fn abort(&mut self) {
        match self {
            Self::Plain(io) => io.abort(),
            Self::Tls(io) => io.abort(),
        }
    }
}

/// Asks whichever it is.
macro_rules! either {
    ($self:ident, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain(io) => {
                let $io = Pin::new(io);
                $call
            }
            Self::Tls(io) => {
                let $io = Pin::new(io);
                $call
            }
        }
    };
}

impl<S: Io> AsyncRead for MaybeTls<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_read(cx, buf))
    }
}

impl<S: Io> AsyncWrite for MaybeTls<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }
}
